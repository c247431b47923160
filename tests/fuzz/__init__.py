"""Bytes of any kind for whatever reads bytes of others: `make fuzz`."""
