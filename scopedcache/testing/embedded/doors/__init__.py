"""The ways in: a transport inside of the process, and HTTP on loopback."""
