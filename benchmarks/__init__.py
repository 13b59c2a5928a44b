"""Benchmarks: what is measured of sparselrp, each script run as a module from the project's root.

`speed` holds time and memory, `evidence` the experiments of RESULTS.md, `robustness` fuzzed input and runs
that are killed. What was measured lies in `results/`.
"""
