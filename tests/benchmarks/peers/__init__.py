"""Programs of other languages that are measured beside ours: their sources, and what builds them."""
