"""What the documentation shows, runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
]
LINKS = [
    pytest.param(page, link, id=f"{page.name}-{link}")
    for page in PAGES
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
]


@pytest.mark.parametrize("block", [block for block in BLOCKS if "import " in block.values[0]])
def test_a_program_on_a_page_can_be_loaded(block):
    exec(compile(block, "page", "exec"), {"__name__": "page"})


@pytest.mark.parametrize("block", [block for block in BLOCKS if "import " not in block.values[0]])
def test_a_fragment_on_a_page_is_python(block):
    lines = "\n".join(f"    {line}" for line in block.splitlines())
    compile(f"async def page():\n{lines}", "page", "exec")


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_on_a_page_leads_somewhere(page, link):
    assert (page.parent / link).exists()
