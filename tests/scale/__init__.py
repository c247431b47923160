"""How far replicas that share their work go, on a real control plane: `make scale`."""
