"""The pages as HTML: `make docs`. They stand where they are; this says how they are read."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from scopedcache import __version__

project = "scopedcache"
author = "the authors of scopedcache"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"scopedcache {__version__}"
exclude_patterns = ["changes"]
myst_heading_anchors = 4
autodoc_typehints = "none"
# Types in signatures that have no entry of their own in the reference; the standard library is not linked.
WITHOUT_ENTRY = (
    r"(argparse|asyncio|collections\.abc|pathlib)\..*",
    r"scopedcache\.(predicates\.Predicate|kit\.places\.T|controller\.manager\.manager\.Runnable)",
    r"scopedcache\.cache\.snapshot\.(ScopeSnapshot|PendingSnapshot|Totals)",
)
nitpick_ignore_regex = [("py:class", name) for name in WITHOUT_ENTRY] + [("py:exc", "MissingPartsError")]

DOCS = Path(__file__).parent
REPOSITORY = "https://github.com/scopedcache/scopedcache/blob/main/"
# Files of our own are looked for in the checkout, by a test.
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)", re.escape(REPOSITORY)]
# A link on a page to a file, which is no picture: no scheme, and no mere anchor.
LINK = re.compile(r"(?<!!)(\[[^\]]*\])\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)")
LITERAL = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def as_rst(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn a docstring, which is Markdown in its words, into what Sphinx reads."""
    for number in range(len(lines) - 1, 1, -1):
        if lines[number].startswith("    ") and not lines[number - 1] and not lines[number - 2].startswith(" "):
            lines[number:number] = ["::", ""]  # code
    parts = LITERAL.split("\n".join(lines))
    lines[:] = "".join(f"``{part}``" if i % 2 else part.replace("*", r"\*") for i, part in enumerate(parts)).split("\n")
    if what in ("property", "attribute"):
        lines[:0] = ["..", ""]  # or what stands before a colon is taken for its type


def lead_out(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let links to files that are no pages lead to the repository."""
    folder = (DOCS / docname).parent

    def absolute(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        is_page = target.is_relative_to(DOCS) and target.suffix == ".md"
        if is_page or not target.exists():  # Sphinx says what is missing
            return link[0]
        return f"{link[1]}({REPOSITORY}{target.relative_to(DOCS.parent).as_posix()}{link[3] or ''})"

    source[0] = LINK.sub(absolute, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", lead_out)
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon
