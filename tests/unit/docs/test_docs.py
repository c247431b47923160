"""What the documentation shows, runs."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from scopedcache.access.detection_bound import PERIOD_SECONDS, effective_bound
from scopedcache.access.hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "kind" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.name}-{number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
}
# Pages whose blocks are parts of files: `test_how_to.py` and `test_tutorial.py` run them whole.
WHOLE = {page.name for page in (*(ROOT / "docs" / "how-to").glob("*.md"), ROOT / "docs" / "tutorial.md")}
PROGRAMS = [name for name, block in BLOCKS.items() if "import " in block and name.rpartition("-")[0] not in WHOLE]
FRAGMENTS = [name for name in BLOCKS if name not in PROGRAMS]
LINKS = [
    pytest.param(page, link, id=f"{page.name}-{link}")
    for page in PAGES
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
]


# The README is PyPI's page too, where links lead to the repository.
REPOSITORY = re.compile(
    r"https://(?:github\.com/scopedcache/scopedcache/(?:blob|tree)|raw\.githubusercontent\.com/scopedcache/scopedcache)/main/"
)
LINKS_OF_README = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("link", LINKS_OF_README)
def test_a_link_of_the_README_is_absolute_and_leads_somewhere(link):
    assert REPOSITORY.match(link)
    assert (ROOT / REPOSITORY.sub("", link)).exists()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_on_a_page_can_be_loaded(name):
    exec(compile(BLOCKS[name], name, "exec"), {"__name__": "page"})


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_on_a_page_is_python(name):
    lines = "\n".join(f"    {line}" for line in BLOCKS[name].splitlines())
    compile(f"async def page():\n{lines}", name, "exec")


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_on_a_page_leads_somewhere(page, link):
    assert (page.parent / link).exists()


# -- what the pages name is there ----

# Files as text are searched for names; pages are not among them, or every name would vouch for itself.
SOURCES = [
    path
    for folder in ("scopedcache", "tests", "examples", "kind", ".ci", ".github")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".yaml", ".yml", ".mod", ""}
    and path.is_file()
    and not {"__pycache__", "corpus"} & set(path.parts)  # a corpus is any bytes
]
WORDS = set(
    re.findall(r"\w+", "\n".join(path.read_text() for path in [*SOURCES, ROOT / "pyproject.toml", ROOT / "Makefile"]))
)
FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("scopedcache", "tests", "examples", "kind", "docs", ".ci", ".github")
    for path in (ROOT / folder).rglob("*")
    if "__pycache__" not in path.parts
] + [path.name for path in ROOT.iterdir()]
# The files that a reader makes.
FILES += [name for block in BLOCKS.values() for name in re.findall(r"\A# ([\w-]+\.py)$", block, re.M)]
FILES += ["hello.yaml", "kustomization.yaml"]


def prose(page):
    """Return a page without its blocks, and without what its tables say of other people's words."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    return re.sub(r"^\|[^|]*\|", "|", text, flags=re.M) if page.name == "coming-from.md" else text


CODE = sorted(
    {
        (page, span)
        for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
        if page.parent.name not in ("decisions", "changes")  # they tell of their time
        for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))
    }
)
PATHS = [
    (page, span)
    for page, span in CODE
    if re.fullmatch(r"[\w.-]+(/[\w.*-]+)*/?", span) and ("/" in span or re.search(r"\.(py|md|toml|yaml|sh|mod)$", span))
]
NAMES = [(page, name) for page, span in CODE for name in re.findall(r"\b(?:[A-Z]+[a-z]\w*|\w+(?=\())", span)]


@pytest.mark.parametrize(("page", "path"), PATHS, ids=lambda value: getattr(value, "name", value))
def test_a_path_on_a_page_is_there(page, path):
    wanted = path.strip("/")
    known = any(fnmatch(f"/{file}", f"*/{wanted}") for file in FILES)
    assert known, f"{page.name} names {path}, which is not there"


@pytest.mark.parametrize(("page", "name"), sorted(set(NAMES)), ids=lambda value: getattr(value, "name", value))
def test_a_name_on_a_page_is_one_of_the_code(page, name):
    assert name in WORDS, f"{page.name} names {name}, which no source does"


NOTICED = re.compile(r"notic(?:ed?|es)\b[^.|]{0,80}?\b(?:within|in) (?:about )?(\d+(?:\.\d+)?) s(?:econds?)?\b")
# By default, after trouble with the server, and where RBAC objects may be watched.
BOUNDS = {"7.5", "9.5", "1"}


def test_pages_options_and_messages_name_one_bound():
    texts = [*PAGES, *(path for path in SOURCES if path.is_relative_to(ROOT / "scopedcache"))]

    named = {(path.name, bound) for path in texts for bound in NOTICED.findall(path.read_text())}
    assert {bound for _, bound in named} & BOUNDS
    assert {(name, bound) for name, bound in named if bound not in BOUNDS} == set()


def test_the_bound_that_is_named_is_the_one_that_holds():
    assert effective_bound(PERIOD_SECONDS, 100) == 7.5
    assert effective_bound(PERIOD_SECONDS, 100, hold_off=HOLD_OFF_AFTER_TROUBLE_SECONDS) == 9.5


@pytest.mark.parametrize(
    "target", sorted({name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text())})
)
def test_a_target_on_a_page_is_one_of_the_makefile(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), f"make {target} is no target"
