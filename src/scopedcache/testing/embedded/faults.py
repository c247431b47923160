"""What goes wrong, on purpose: rules that are matched against requests, in the order in which they were added."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs


@attrs.define(eq=False)
class Fault:
    """A rule: which requests it is for, how often, and what happens to them. Unset fields match everything.

    Attributes:
        times: so many requests, then never again; None is for ever. `skip` lets the first ones pass.
        chance: how likely a matching request is struck, by the cluster's seeded source.
        latency: seconds before the server looks at the request.
        code, reason, message, retry_after: answer with this Status; `html` answers with a page instead.
        refuse: no connection at all.
        cut_after: end a watch in the middle of the line after so many; `silence_after` says nothing more, for ever.
        drip: seconds between single bytes of a watch.
        oversize: send one line of so many bytes in a watch.
    """

    user: str | None = None
    verb: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    times: int | None = None
    skip: int = 0
    chance: float = 1.0
    latency: float = 0.0
    code: int = 0
    reason: str = ""
    message: str = ""
    retry_after: int = 0
    html: bool = False
    refuse: bool = False
    cut_after: int | None = None
    silence_after: int | None = None
    drip: float = 0.0
    oversize: int = 0


class Faults:
    """The rules in force. The same seed and the same requests meet the same faults."""

    def __init__(self, seed: int = 0) -> None:
        self._rules: list[Fault] = []
        self._chance: Callable[[], float] = random.Random(seed).random

    def add(self, fault: Fault) -> Fault:
        """Put a rule into force; return it, for `remove`."""
        self._rules.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a rule out of force; nothing happens when it is over."""
        self._rules = [rule for rule in self._rules if rule is not fault]

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules = []
