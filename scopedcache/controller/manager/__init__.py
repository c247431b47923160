"""The process around controllers: leader election, probes and metrics, stopping."""
