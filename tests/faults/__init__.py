"""The fault matrix: what readers, handlers and /readyz see while something goes wrong, and how soon it is over."""
