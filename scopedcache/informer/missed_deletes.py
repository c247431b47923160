"""Deletions that nobody saw: what was held when a place went dark, to compare with the next complete list."""

from __future__ import annotations

from collections.abc import Mapping

Key = tuple[str, str]

# (namespace, name) → UID of what was purged unseen: reported as deleted if the next sync does not bring it back.
PurgedKeys = Mapping[Key, str]
