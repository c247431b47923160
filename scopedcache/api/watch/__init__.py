"""One watch: bytes ▸ lines ▸ typed events."""
