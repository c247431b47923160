"""An address of a pool for each Service of type LoadBalancer."""
