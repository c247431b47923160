"""The permission page, `/debug/rights`: what the operator may do where, as it is now."""
