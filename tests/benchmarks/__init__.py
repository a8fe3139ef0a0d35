"""Benchmarks: `python -m tests.benchmarks` prints every figure as a ratio to a floor measured in
the same run. Times are printed and gate nothing."""
