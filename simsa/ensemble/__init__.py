"""An ensemble of runs: names looked up (resolve), cells and blocks (plan, cost), work (executors, drive), replays."""
