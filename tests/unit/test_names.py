"""The names of the package and of its test kit: imported when they are used, known to all who ask."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

import pytest

import scopedcache
import scopedcache.testing

LAZY = [scopedcache, scopedcache.testing]
DOORS = ["scopedcache", "scopedcache.kit", "scopedcache.sync", "scopedcache.testing", "scopedcache.web"]

# Every name for the first time, each in a thread of its own, all at once.
AT_ONCE = """
import sys, threading
import scopedcache, scopedcache.testing

names = [(package, name) for package in (scopedcache, scopedcache.testing) for name in package.__all__]
together = threading.Barrier(len(names))
failed = []

def use(package, name):
    together.wait()
    try:
        getattr(package, name)
    except BaseException as error:
        failed.append((name, error))

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=use, args=pair) for pair in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(repr(failed) if failed else 0)
"""


def promised(package: ModuleType) -> dict[str, str]:
    """Return the names that type checkers see, each with the module that they take it from."""
    tree = ast.parse(Path(str(package.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.name: node.module or "" for node in imports for name in node.names}


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_see_what_is_there(package: ModuleType) -> None:
    assert sorted(promised(package)) == sorted(package.__all__)
    for name, module in promised(package).items():
        home = import_module(f".{module or name}", package.__name__)
        assert getattr(package, name) is (getattr(home, name) if module else home)


@pytest.mark.parametrize("package", LAZY)
def test_dir_shows_every_name(package: ModuleType) -> None:
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("package", LAZY)
def test_a_name_that_does_not_exist_is_refused_with_the_name_of_the_package(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Nonsense'"):
        _ = package.Nonsense


@pytest.mark.parametrize("door", DOORS)
def test_every_public_name_can_be_imported(door: str) -> None:
    package = import_module(door)

    assert [name for name in package.__all__ if getattr(package, name, None) is None] == []


def test_there_is_one_version_for_the_package_and_for_what_installs_it() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", scopedcache.__version__)
    assert scopedcache.__version__ == metadata.version("scopedcache")


def test_modules_are_names_too_without_an_import_of_their_own() -> None:
    program = "import scopedcache as sc; print(sc.errors.ForbiddenError.__name__, sc.ForbiddenError.__name__)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["ForbiddenError"] * 2


def test_importing_the_package_imports_nothing_of_it() -> None:
    program = "import sys, scopedcache.testing; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    imported = {name for name in run.stdout.split() if name.startswith("scopedcache")}
    assert imported == {"scopedcache", "scopedcache.lazy_names", "scopedcache.testing"}


def test_threads_may_begin_with_different_names_at_the_same_moment() -> None:
    run = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


ON_WHICH_THREAD = """
import asyncio, sys, threading
import scopedcache

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "aiohttp":
            print(threading.current_thread() is threading.main_thread())

async def main():
    sys.meta_path.insert(0, Finder())
    try:
        async with scopedcache.ScopedCache.connect(kubeconfig="/nowhere"):
            pass
    except scopedcache.ConfigurationError:
        pass

asyncio.run(main())
"""


def test_connecting_imports_what_speaks_HTTP_without_holding_the_loop() -> None:
    run = subprocess.run([sys.executable, "-c", ON_WHICH_THREAD], capture_output=True, text=True, timeout=60)

    assert (run.stdout, run.stderr) == ("False\n", "")
