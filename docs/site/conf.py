"""The pages as HTML: `make docs`. They stand where they are; this says how they are read."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

from scopedcache import __version__

project = "scopedcache"
author = "the authors of scopedcache"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
root_doc = "docs/index"
include_patterns = ["docs/**", "examples/**/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
exclude_patterns = ["docs/changes", "docs/site", "**/*.template"]
myst_heading_anchors = 4
autodoc_typehints = "none"
# Links to sources lead out of the pages.
suppress_warnings = ["myst.xref_missing", "toc.not_included"]
# Types in signatures that have no entry of their own in the reference; the standard library is not linked.
WITHOUT_ENTRY = (
    r"(argparse|collections\.abc)\..*",
    r"scopedcache\.(predicates\.Predicate|kit\.places\.T|controller\.manager\.manager\.Runnable)",
    r"scopedcache\.cache\.snapshot\.(ScopeSnapshot|PendingSnapshot|Totals)",
)
nitpick_ignore_regex = [("py:class", name) for name in WITHOUT_ENTRY]

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


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon
