"""Benchmarks: scopedcache and other Python clients against one load server, in one run (`make bench`).

The walk: `pods` draws the objects, `cluster` keeps their versions, `server` speaks HTTPS; each file of `drivers` is one
client in a process of its own; `micro` measures reads and routing of ours; `figures` knows the targets; `__main__` runs
them all and prints the table.

The embedded cluster has a table of its own (`make bench-embedded`): `workloads` is what is done to it, `embedded` runs
that and prints.
"""
