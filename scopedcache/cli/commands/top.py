"""`scopedcache top`: a running operator, looked at through its health port."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Final

import aiohttp
import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ...clock import loop_time
from .. import operator_view
from ..asking import finish, wait
from ..health_port import fetch_page
from ..options import Format
from ..printing import Output, console, renderables
from ..report import Report

DEFAULT_ADDRESS: Final = "127.0.0.1:8081"
INTERVAL_SECONDS: Final = 2.0
SHORTEST_SECONDS: Final = 0.1

Address = Annotated[str, typer.Option("--address", metavar="HOST:PORT", help="The operator's health port.")]
Interval = Annotated[
    float, typer.Option("--interval", metavar="SECONDS", min=SHORTEST_SECONDS, help="How long between two looks.")
]
Once = Annotated[bool, typer.Option("--once", help="One look, also on a terminal.")]


def top(
    address: Address = DEFAULT_ADDRESS,
    interval: Interval = INTERVAL_SECONDS,
    once: Once = False,
    output: Format = Output.TABLE,
) -> None:
    """Look at a running operator: its scopes and verdicts, watches, rates, memory, and which rights it lacks.

    On a terminal it goes on until Ctrl-C, or until the operator is gone (exit status 3); elsewhere it prints one look.

    Exit status 4 of one look: it is not ready, or lacks a right.
    """
    screen = console(sys.stdout)
    if once or output != Output.TABLE or not screen.is_terminal or screen.is_dumb_terminal:
        finish(_look(address), output)
    wait(_watch(address, interval))


async def _look(address: str) -> Report:
    async with aiohttp.ClientSession() as session:
        return operator_view.report(await fetch_page(session, address))


async def _watch(address: str, interval: float) -> None:
    """Show one look after the other until cancelled, or until nobody answers."""
    out = console(sys.stdout)
    async with aiohttp.ClientSession() as session:
        page, at = await fetch_page(session, address), loop_time()
        with Live(_screen(address, operator_view.report(page)), console=out, screen=True, auto_refresh=False) as live:
            while True:
                live.refresh()
                await asyncio.sleep(interval)
                before, since = page, at
                page, at = await fetch_page(session, address), loop_time()
                live.update(_screen(address, operator_view.report(page, before, at - since)))


def _screen(address: str, report: Report) -> RenderableType:
    title = Text(f"{address}   Ctrl-C ends", style="dim")
    parts: list[RenderableType] = [title]
    for block in report.blocks:
        parts += [Text(), *renderables(block, console(sys.stdout).width)]
    return Group(*parts)
