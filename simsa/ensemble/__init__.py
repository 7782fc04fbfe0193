"""An ensemble of runs: planned (plan), driven over blocks (drive), and kept on disk (store)."""
