"""The kinds that are served: what they are called, what they look like, what is filled in."""
