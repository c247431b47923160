"""The command line: what a person asks about rights, and a start for a new operator. Needs `scopedcache[cli]`.

Decisions are plain modules of values; the files in `commands/` ask a server, and print. Nothing in the library imports
this package.
"""
