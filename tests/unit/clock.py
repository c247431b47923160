"""The loop that tests of waiting run on, under the name that they know it by."""

from scopedcache.testing.virtual_time import VirtualTimeLoop, after, idle, loop_factories, now, suspend

__all__ = ["VirtualTimeLoop", "after", "idle", "loop_factories", "now", "suspend"]
