"""Copies of an object of namespace `admin` in many namespaces."""
