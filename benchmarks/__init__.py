"""simsa beside its peers, on the same work: `python -m benchmarks [PART ...] [--threads N ...] [--publish]`."""
