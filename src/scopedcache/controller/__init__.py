"""Turns what changes into runs of your reconcilers."""
