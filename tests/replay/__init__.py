"""Recordings of a real API server in trouble, played to a cache in virtual time."""
