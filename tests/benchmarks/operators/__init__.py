"""What an operator feels: the same operator on scopedcache, kopf and controller-runtime, on a real control plane."""
