"""The code on a page: what a reader would put into files, type, and see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import attrs

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(?:^<!-- (?P<note>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.S | re.M)
FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
# What a page shows in place of something that differs each time.
LEFT_OUT = "…"


@attrs.frozen
class Block:
    """A code block.

    Attributes:
        note: the comment on the line above it, which readers do not see.
    """

    language: str
    text: str
    note: str

    @property
    def file(self) -> str | None:
        """Return the file it belongs into, which its first line names."""
        found = FILE.match(self.text) if self.language in ("python", "yaml", "toml") else None
        return found[1] if found else None

    @property
    def content(self) -> str:
        """Return what is put into the file."""
        return FILE.sub("", self.text, count=1) if self.file else self.text


@attrs.frozen
class Command:
    """A command of a console block, and what is printed."""

    line: str
    printed: str

    def shows(self, output: str) -> bool:
        """Tell whether this was printed, apart from what the page leaves out."""
        escaped = re.sub(r"([\[\]*?])", r"[\1]", self.printed.strip())
        return fnmatchcase(output.strip(), escaped.replace(LEFT_OUT, "*"))


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page below docs/, in order."""
    text = (DOCS / page).read_text()
    return [Block(one["language"], one["text"], one["note"] or "") for one in BLOCK.finditer(text)]


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        line, _, printed = part.partition("\n")
        yield Command(line, printed)


def write_files(page: str, folder: Path) -> None:
    """Put the files of a page into a folder; what belongs into one file is added to it."""
    for block in blocks(page):
        if block.file:
            add(block, folder)


def add(block: Block, folder: Path) -> None:
    """Add a block to its file."""
    path = folder / str(block.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() + "\n\n" if path.exists() else ""
    path.write_text(before + block.content)


def load(page: str) -> ModuleType:
    """Run the Python blocks of a page as one module, and return it."""
    module = ModuleType(f"page_{Path(page).stem.replace('-', '_')}")
    text = "\n\n".join(block.text for block in blocks(page) if block.language == "python")
    exec(compile(text, page, "exec", dont_inherit=True), module.__dict__)
    return module
