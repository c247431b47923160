"""The reference is complete: public names, errors, flags."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from scopedcache import errors
from scopedcache.kit import Program, Rights

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
PACKAGES = {
    "scopedcache": "scopedcache",
    "scopedcache.kit": "kit",
    "scopedcache.sync": "sync",
    "scopedcache.web": "web",
    "scopedcache.testing": "testing",
}
PUBLIC = [(package, name) for package in PACKAGES for name in importlib.import_module(package).__all__]


def first_cells(page: str) -> list[str]:
    return [cell for row in re.findall(r"^\| (`.*?) \|", page, re.M) for cell in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_a_public_name_can_be_imported_and_is_explained(package: str, name: str) -> None:
    value: Any = getattr(importlib.import_module(package), name)
    page = (REFERENCE / f"{PACKAGES[package]}.md").read_text()

    by_docstring = (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)) and value.__doc__
    assert by_docstring or name in first_cells(page)
    assert f".. automodule:: {package}\n   :members:\n   :imported-members:" in page


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_listed_once_and_in_order_and_dir_shows_them_alone(package: str) -> None:
    module = importlib.import_module(package)

    assert len(set(module.__all__)) == len(module.__all__)
    assert set(module.__all__) <= set(dir(module))


def test_every_error_is_listed_with_what_to_do_and_in_the_order_of_the_tree() -> None:
    listed = first_cells((REFERENCE / "errors.md").read_text().split("## Others")[0])

    defined = [name for name, one in vars(errors).items() if inspect.isclass(one) and issubclass(one, Exception)]
    assert listed == defined


def test_every_flag_of_a_program_is_listed() -> None:
    program = Program(lambda setup: [], name="any", priority=True, crds=[{}], rights=Rights())
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", program.parser().format_help()))

    assert flags
    assert flags - set(first_cells((REFERENCE / "flags.md").read_text())) == set()


def test_every_exit_status_of_a_program_is_listed() -> None:
    statuses = re.compile(r"^\| (\d+) \|", re.M)
    module = inspect.getmodule(Program)
    assert module is not None

    told = statuses.findall(module.__doc__ or "")
    assert statuses.findall((REFERENCE / "flags.md").read_text()) == told
