"""One file per client; each runs as `python -m bench.drivers.NAME --url URL --ca FILE` and prints one line of JSON."""
