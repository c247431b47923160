"""The commands by name, and what every one of them does with a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import typer

from .commands.doctor import doctor
from .commands.new import new
from .commands.rbac import rbac
from .commands.rights import rights
from .commands.scale import scale
from .commands.top import top
from .commands.what_if import what_if
from .commands.why import why

app: Final = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (rights, doctor, why, what_if, top, scale, new):
    app.command()(command)
app.add_typer(rbac, name="rbac")


@app.callback()
def _main() -> None:
    """Who may do what in a cluster, for operators whose permissions may change at any time."""


def run(arguments: Sequence[str], *, name: str = "scopedcache") -> int:
    """Run a command line; return its exit status."""
    try:
        app(list(arguments), prog_name=name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
