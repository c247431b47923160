"""A cache and a small runtime for Kubernetes controllers whose permissions may change at any time."""
