"""im2grad beside other libraries, in one run: `python -m benchmarks`, see README.md."""
