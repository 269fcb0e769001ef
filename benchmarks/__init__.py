"""Benchmarks: each prints a ratio against the plain way, measured in the same run."""
