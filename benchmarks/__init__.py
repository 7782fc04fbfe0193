"""simsa beside its peers, on the same work: `python -m benchmarks [--quick] [--threads N] [--publish]`."""
