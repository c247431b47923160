"""The permission page, in a browser: what people see, hear and press.

`--screenshots` writes what is looked at into `docs/images`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from scopedcache.testing import eventually
from tests.browser.conftest import VERBS, Operator, Page

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
TEAMS: Final = ("team-a", "team-b", "team-c", "team-d", "team-e", "team-f")
DENIED: Final = "list deployments.apps in namespace team-c: denied, since "
# Of every text on the page with what lies behind it, the contrast as WCAG computes it.
CONTRASTS: Final = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => { for (; element; element = element.parentElement) {
    const found = rgb(getComputedStyle(element).backgroundColor);
    if (found[3] === 255) return found; } return [255, 255, 255]; };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("noscript")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.slice(0, 40)]);
  }
  return found.sort((x, y) => x[0] - y[0])[0];
})()"""


def shoot(page: Page, name: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--screenshots", False):
        IMAGES.mkdir(exist_ok=True)
        page.driver.save_screenshot(str(IMAGES / f"{name}.png"))


async def six_teams(operator: Operator) -> None:
    operator.grant(*TEAMS)
    await operator.open(*TEAMS)


async def denied_to_one(operator: Operator) -> None:
    await six_teams(operator)
    operator.rights["team-c"].revoke()
    await eventually(lambda: operator.cache.snapshot().waiting)


async def test_a_lost_right_is_shown_without_a_reload_with_since_when_and_why(
    operator: Operator, driver: webdriver.Chrome
) -> None:
    await six_teams(operator)

    def look(page: Page) -> tuple[list[str], str, list[str], str]:
        before = [label for label in page.labels if "denied" in label]
        operator.rights["team-c"].revoke()
        label = page.wait(lambda: next((one for one in page.labels if one.startswith(DENIED)), ""))
        first = page.first_column
        page.find(f'[aria-label="{label}"]').click()
        return before, label, first, page.find("#detail").text

    before, _, first, detail = await operator.look(driver, look)
    assert before == []
    assert first[0] == "team-c"  # what is missing stands first
    assert "may not list deployments.apps in namespace team-c" in detail
    assert "refused by the authorizer" in detail


async def test_a_right_that_is_granted_is_shown_too(operator: Operator, driver: webdriver.Chrome) -> None:
    await denied_to_one(operator)

    def look(page: Page) -> str:
        page.wait(lambda: any(label.startswith(DENIED) for label in page.labels))
        operator.grant("team-c")
        page.wait(lambda: not any("denied" in label for label in page.labels))
        page.find("#tab-changes").click()
        return page.find(".body").text

    changes = await operator.look(driver, look)
    assert "list deployments.apps" in changes
    assert "allowed" in changes


async def test_it_can_be_used_with_the_keyboard_alone(operator: Operator, driver: webdriver.Chrome) -> None:
    await denied_to_one(operator)

    def look(page: Page) -> tuple[str, str, str, str, str]:
        page.wait(lambda: "team-c" in page.first_column)
        page.find("body").send_keys(Keys.TAB, Keys.TAB)  # past the link that skips
        page.press("team-")
        page.press(Keys.TAB, Keys.TAB, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.TAB)
        begin = page.focused
        page.press(Keys.ARROW_RIGHT)
        cell = page.focused
        page.press(Keys.ENTER)
        detail = page.find("#detail").text
        page.press(Keys.CONTROL + Keys.END)
        end = page.focused
        page.driver.switch_to.active_element.send_keys(Keys.NULL)
        page.press(Keys.CONTROL + Keys.HOME)
        return begin, cell, detail, end, page.focused

    begin, cell, detail, end, again = await operator.look(driver, look)
    assert begin == "team-c"
    assert cell.startswith("list configmaps in namespace team-c: denied, since ")
    assert "may not list configmaps in namespace team-c" in detail
    assert end.startswith("patch deployments.apps in namespace team-f: allowed, since ")
    assert again == "team-c"


async def test_a_screen_reader_is_told_roles_names_and_places(operator: Operator, driver: webdriver.Chrome) -> None:
    await denied_to_one(operator)

    def look(page: Page) -> tuple[dict[str, str], list[tuple[str, str]]]:
        page.wait(lambda: len(page.first_column) == len(TEAMS))
        grid = page.find("[role=grid]")
        about = {name: str(grid.get_attribute(name)) for name in ("aria-label", "aria-rowcount", "aria-colcount")}
        page.driver.execute_cdp_cmd("Accessibility.enable", {})
        tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        named = [
            (node["role"]["value"], node["name"]["value"])
            for node in tree
            if not node.get("ignored") and node.get("name", {}).get("value")
        ]
        return about, named

    about, named = await operator.look(driver, look)
    assert about == {"aria-label": "Rights by namespace", "aria-rowcount": "8", "aria-colcount": "7"}
    assert ("rowheader", "team-c") in named
    assert ("columnheader", "list deployments.apps") in named
    assert any(role == "gridcell" and name.startswith(DENIED) for role, name in named)
    assert {("tab", "Informers"), ("searchbox", "Filter"), ("checkbox", "Only what is missing")} <= set(named)


async def test_filter_and_check_box_leave_what_is_asked_for(operator: Operator, driver: webdriver.Chrome) -> None:
    await denied_to_one(operator)

    def look(page: Page) -> tuple[list[str], list[str], str]:
        page.wait(lambda: len(page.first_column) == len(TEAMS))
        page.find("#filter").send_keys("team-b")
        filtered = page.first_column
        page.find("#filter").clear()
        page.find("#filter").send_keys(" ")
        page.find("#missing").click()
        return filtered, page.first_column, page.find("#count").text

    filtered, missing, count = await operator.look(driver, look)
    assert (filtered, missing, count) == (["team-b"], ["team-c"], "1 of 6 rows")


async def test_informers_owners_and_changes_have_their_views(
    operator: Operator, driver: webdriver.Chrome, request: pytest.FixtureRequest
) -> None:
    await denied_to_one(operator)
    for number in range(30):
        name = f"settings-{number}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "team-a"}}
        operator.cluster.create({**body, "data": {"key": "value" * 50}})

    def look(page: Page) -> dict[str, str]:
        texts = {}
        page.wait(lambda: len(page.first_column) == len(TEAMS))
        for name in ("informers", "owners", "changes"):
            page.find(f"#tab-{name}").click()
            shoot(page, f"rights-page-{name}", request)
            texts[name] = page.find(".body").text
        return texts

    texts = await operator.look(driver, look)
    assert "configmaps\nteam-a\nsynced\n30\n" in texts["informers"]
    assert "Memcached team-c/sample\nteam-c\nwaiting\nConfigMap, Deployment\n" in texts["owners"]
    assert "allowed\nsuspect" in texts["changes"] or "suspect\ndenied" in texts["changes"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_light_or_dark_as_the_system_is_and_readable_in_both(
    operator: Operator, driver: webdriver.Chrome, scheme: str, request: pytest.FixtureRequest
) -> None:
    await denied_to_one(operator)

    def look(page: Page) -> tuple[list[int], tuple[float, str]]:
        page.prefer(scheme)
        label = page.wait(lambda: next((one for one in page.labels if one.startswith(DENIED)), ""))
        page.find(f'[aria-label="{label}"]').click()
        shoot(page, f"rights-page-{scheme}", request)
        ground = page.run("getComputedStyle(document.body).backgroundColor")
        return [int(number) for number in ground[4:-1].split(",")], page.run(CONTRASTS)

    ground, worst = await operator.look(driver, look)
    assert (sum(ground) > 3 * 128) == (scheme == "light")
    assert worst[0] >= 4.5, worst


async def test_a_thousand_namespaces_stay_usable(
    operator: Operator, driver: webdriver.Chrome, request: pytest.FixtureRequest
) -> None:
    names = [f"team-{number:04}" for number in range(1000)]
    for name in names:
        operator.cluster.create_namespace(name)
    operator.cluster.grant(operator.cluster.user("operator"), VERBS, ["configmaps", "deployments.apps"])
    for begin in range(0, len(names), 50):
        await operator.open(*names[begin : begin + 50])

    def look(page: Page) -> tuple[int, str, list[str]]:
        page.wait(lambda: page.find("#count").text == "1000 rows")
        drawn = len(page.all(".body .row"))
        page.find("#filter").send_keys(Keys.TAB, Keys.TAB, Keys.TAB)
        page.press(Keys.CONTROL + Keys.END)
        last = page.focused
        page.driver.switch_to.active_element.send_keys(Keys.NULL)
        page.find("#filter").send_keys("0777")
        shoot(page, "rights-page-filter", request)
        return drawn, last, page.first_column

    drawn, last, filtered = await operator.look(driver, look)
    assert drawn < 60
    assert last.startswith("patch deployments.apps in namespace team-0999: allowed, since ")
    assert filtered == ["team-0777"]


async def test_it_fetches_nothing_from_anywhere_else_and_logs_no_trouble(
    operator: Operator, driver: webdriver.Chrome
) -> None:
    await six_teams(operator)

    def look(page: Page) -> tuple[list[str], list[str]]:
        page.wait(lambda: len(page.first_column) == len(TEAMS))
        page.find("#tab-owners").click()
        fetched = page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
        return fetched, page.read_log()

    fetched, logged = await operator.look(driver, look)
    assert [url for url in fetched if not url.startswith(operator.url)] == []
    assert logged == []
