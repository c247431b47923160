"""`scopedcache new`: a starter operator, whose test passes at once."""

from __future__ import annotations

from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from ..asking import give_up, show_report
from ..exit_status import CommandError
from ..printing import Output
from ..report import Report
from ..starter_files import OperatorNames, files

Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called, and the folder: my-operator.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="The kind of its custom resources; NAME in capitals.")]
Group = Annotated[str, typer.Option("--group", help="The API group of its kind: a domain that is yours.")]


def new(name: Name, kind: KindOption = None, group: Group = "example.com") -> None:
    """Make a folder with an operator to begin with: reconciler, CRD, RBAC, a test that passes, Dockerfile."""
    try:
        names = OperatorNames.of(name, kind, group)
        made = _write(names)
    except CommandError as error:
        give_up(str(error), error.status)
    words = f"cd {name}\npython -m pytest\npython -m {names.package} --help"
    listing = "\n".join(f"  {name}/{path}" for path in made)
    show_report(Report({"files": made}, [f"Made\n{listing}", f"Next:\n\n{words}"]), Output.TABLE)


def _write(names: OperatorNames) -> list[str]:
    """Write the files into a new folder.

    Raises:
        CommandError: there is something already, or it cannot be written.
    """
    folder = Path(names.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder} is there already, and not empty: nothing was written")
    made = files(_templates(package_files("scopedcache.cli") / "starter"), names)
    try:
        for path, text in made.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    except OSError as error:
        raise CommandError(f"cannot write {error.filename}: {error.strerror}") from None
    return sorted(made)


def _templates(folder: Traversable, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found |= _templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".template"):
            found[prefix + entry.name] = entry.read_text()
    return found
