"""Operators to copy from."""
