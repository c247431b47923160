"""Counts how much a piece of code does, in instructions of the interpreter: the same on every machine, however busy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import CodeType, FrameType
from typing import Any


def instructions(work: Callable[[], object]) -> int:
    """Run `work`, and return how many instructions of Python code that took; what C code does in one is one."""
    count = 0

    def one(*_: object) -> None:
        nonlocal count
        count += 1

    with _counting(one):
        work()
    return count


def _counting(one: Callable[..., object]) -> AbstractContextManager[None]:
    if sys.version_info >= (3, 12):
        return _monitored(one)
    return _traced(one)


if sys.version_info >= (3, 12):

    @contextmanager
    def _monitored(one: Callable[[CodeType, int], object]) -> Iterator[None]:
        watch, tool = sys.monitoring, sys.monitoring.PROFILER_ID
        watch.use_tool_id(tool, "instructions")
        watch.register_callback(tool, watch.events.INSTRUCTION, one)
        watch.set_events(tool, watch.events.INSTRUCTION)
        try:
            yield
        finally:
            watch.set_events(tool, 0)
            watch.free_tool_id(tool)


@contextmanager
def _traced(one: Callable[[], object]) -> Iterator[None]:
    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            one()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
