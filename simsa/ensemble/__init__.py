"""An ensemble of runs: planned (plan), and driven over blocks (drive)."""
