"""Prometheus rules out of ConfigMaps of many namespaces."""
