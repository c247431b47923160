"""The commands: each asks, hands what it heard to a plain module, and prints what that makes of it."""
