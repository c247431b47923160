"""What goes on in a cluster besides requests."""
