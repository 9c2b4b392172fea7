"""Speed beside peers: each figure a ratio in one run. `python -m benchmarks.run` measures, `benchmarks.report` tells."""
