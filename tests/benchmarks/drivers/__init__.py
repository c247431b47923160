"""One file per client; run as `python -m tests.benchmarks.drivers.NAME --url URL --ca FILE` prints JSON."""
