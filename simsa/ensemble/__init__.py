"""An ensemble of runs: what a scenario names (resolve), cells and blocks (plan, cost), threads (drive), replays."""
