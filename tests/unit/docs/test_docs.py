"""What the documentation shows, runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.name}-{number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
}
PROGRAMS = [name for name, block in BLOCKS.items() if "import " in block]
FRAGMENTS = [name for name in BLOCKS if name not in PROGRAMS]
LINKS = [
    pytest.param(page, link, id=f"{page.name}-{link}")
    for page in PAGES
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
]


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
