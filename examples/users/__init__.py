"""A Namespace for each User, and what a User's groups may do in it."""
