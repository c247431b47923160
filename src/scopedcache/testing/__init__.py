"""What tests need: a real control plane on loopback, identities with RBAC, exact counts of requests."""
