"""Hours of an operator's life on a real control plane, and its sudden deaths: `make soak`, `make crashes`."""
