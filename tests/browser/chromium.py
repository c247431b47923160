"""Finds a Chromium with its driver: on the PATH, or where `.ci/debian chromium-driver` unpacked Debian's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
UNPACKED: Final = CACHE / "scopedcache" / "debian" / "unpacked"
LIBRARIES: Final = UNPACKED / "usr" / "lib" / "x86_64-linux-gnu"


@attrs.frozen
class Chromium:
    """A browser and its driver."""

    browser: str
    driver: str
    environment: dict[str, str]

    @classmethod
    def find(cls) -> Chromium | None:
        """Return the first one there is."""
        for browser in ("chromium", "chromium-browser", "google-chrome"):
            found, driver = shutil.which(browser), shutil.which("chromedriver")
            if found and driver:
                return cls(found, driver, dict(os.environ))
        browser_file, driver_file = UNPACKED / "usr/lib/chromium/chromium", UNPACKED / "usr/bin/chromedriver"
        if browser_file.exists() and driver_file.exists():
            libraries = f"{LIBRARIES}:{LIBRARIES / 'pulseaudio'}"
            return cls(str(browser_file), str(driver_file), {**os.environ, "LD_LIBRARY_PATH": libraries})
        return None

    @contextmanager
    def running(self) -> Iterator[webdriver.Chrome]:
        """Start it without a window."""
        options = Options()
        options.binary_location = self.browser
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,860", "--lang=en-GB"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        with webdriver.Chrome(options=options, service=Service(self.driver, env=self.environment)) as driver:
            driver.implicitly_wait(0)
            yield driver
