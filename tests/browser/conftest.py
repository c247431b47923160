"""The page in a real browser: `.ci/debian chromium-driver` unpacks one, `make test-browser` runs this."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import attrs
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from scopedcache import GVK, Need, ObjectKey, OwnerId, ScopedCache, ScopedCacheError
from scopedcache.controller import Manager
from scopedcache.testing import EmbeddedCluster, Grant, eventually
from tests.browser.chromium import Chromium

T = TypeVar("T")

OWNER: Final = GVK("cache.example.com", "v1", "Memcached")
CONFIG_MAP: Final = GVK("", "v1", "ConfigMap")
DEPLOYMENT: Final = GVK("apps", "v1", "Deployment")
NEEDS: Final = (Need(DEPLOYMENT, verbs=("create", "patch")), Need(CONFIG_MAP))
VERBS: Final = ("list", "watch", "create", "patch")
PATIENCE_SECONDS: Final = 20.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write the pictures of the docs")


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    """Yield a running browser."""
    found = Chromium.find()
    if found is None:
        words = "no chromium with its chromedriver: .ci/debian chromium-driver unpacks Debian's"
        if os.environ.get("PROGRAMS") == "required":
            pytest.fail(words)
        pytest.skip(words)
    with found.running() as running:
        yield running


class Page:
    """What a person does and sees on the page; every call blocks."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.read_log()  # what earlier pages logged is not this one's
        driver.get(url)
        self.wait(lambda: self.connection == "live")

    def wait(self, true: Callable[[], T]) -> T:
        found: T = WebDriverWait(self.driver, PATIENCE_SECONDS, poll_frequency=0.05).until(lambda _: true())
        return found

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def read_log(self) -> list[str]:
        """Return what the browser's console got since the last look."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
        return [entry["message"] for entry in entries]

    @property
    def connection(self) -> str | None:
        return self.find("#connection").get_attribute("data-state")

    @property
    def labels(self) -> list[str]:
        """Return what a screen reader says of the cells of the matrix."""
        labels: list[str] = self.run("[...document.querySelectorAll('.body [aria-label]')].map(c => c.ariaLabel)")
        return labels

    @property
    def first_column(self) -> list[str]:
        words: list[str] = self.run("[...document.querySelectorAll('.body [role=rowheader]')].map(c => c.textContent)")
        return words

    @property
    def focused(self) -> str:
        words: str = self.run("document.activeElement.ariaLabel || document.activeElement.textContent")
        return words

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def prefer(self, scheme: str) -> None:
        """Let the system be light, or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@attrs.define
class Operator:
    """A cache over the embedded cluster, and the page about it."""

    cluster: EmbeddedCluster
    cache: ScopedCache
    url: str
    rights: dict[str, Grant]

    def grant(self, *namespaces: str) -> None:
        for namespace in namespaces:
            self.cluster.create_namespace(namespace)
            user = self.cluster.user("operator")
            kinds = ["configmaps", "deployments.apps"]
            self.rights[namespace] = self.cluster.grant(user, VERBS, kinds, namespace=namespace)

    async def open(self, *namespaces: str) -> None:
        """Let one owner in each namespace open what it needs."""
        await asyncio.gather(*(self._open(namespace) for namespace in namespaces))

    async def _open(self, namespace: str) -> None:
        owner = OwnerId(OWNER, ObjectKey(namespace, "sample"), f"uid-of-{namespace}")
        with suppress(ScopedCacheError):  # it waits for its rights, as an operator's would
            await self.cache.open(owner, *NEEDS, sync_timeout=60)

    async def look(self, driver: webdriver.Chrome, look: Callable[[Page], T]) -> T:
        """Look at the page in a thread, while the operator goes on here."""

        def looking() -> T:
            try:
                return look(Page(driver, self.url))
            finally:
                driver.get("about:blank")

        return await asyncio.to_thread(looking)


@asynccontextmanager
async def operating(**options: Any) -> AsyncIterator[Operator]:
    """Run an operator whose page is on."""
    with EmbeddedCluster.start(controllers=(), kubelet=False) as cluster:
        user = cluster.user("operator")
        async with cluster.client(user) as client, ScopedCache(client, review_rate=1e4, **options) as cache:
            manager = Manager(cache, health_address="127.0.0.1:0", rights_page=True)
            stop = asyncio.Event()
            running = asyncio.create_task(manager.run(stop))
            await eventually(lambda: manager.addresses)
            yield Operator(cluster, cache, f"http://{manager.addresses[0]}/debug/rights", {})
            stop.set()
            await running


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    async with operating() as running:
        yield running
