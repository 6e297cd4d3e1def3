"""
Benchmarks: what a monitored consumer costs, and gains, beside a bare one.

`python -m benchmarks` measures both sides in one run, interleaved, and prints the figures against the targets of
the design. See docs/benchmarks.md.
"""
