"""Tenants: a set of Namespaces for each, with quotas that they share, and what keeps them apart."""
