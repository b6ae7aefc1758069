"""The ways to an architecture: over a supernet, by scoring single ones on data, on a benchmark table."""
