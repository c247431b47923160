"""A real Prometheus for the rows of the rule loader: from Debian's package, unpacked and not installed.

In a cluster a sidecar lays the ConfigMap into Prometheus' folder and passes reloads on; here a small server does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import urllib3

from scopedcache.testing import Process
from scopedcache.testing.control_plane.processes import free_ports

from ..waiting import NotRun

PACKAGE = "prometheus"
DOWNLOAD_SECONDS = 120.0


def find_binaries() -> Path:
    """Return a folder with `prometheus` and `promtool`; Debian's package is unpacked into the user's cache, once.

    Raises:
        NotRun: there is none, and none can be had.
    """
    installed = shutil.which("promtool"), shutil.which("prometheus")
    if installed[0] and installed[1]:
        return Path(installed[0]).parent
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scopedcache" / PACKAGE
    if not (cache / "usr" / "bin" / "promtool").exists():
        _unpack(cache)
    return cache / "usr" / "bin"


def _unpack(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["apt-get", "download", PACKAGE], cwd=cache, check=True, capture_output=True, timeout=DOWNLOAD_SECONDS
        )
        (package,) = cache.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, cache], check=True, capture_output=True)
        package.unlink()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NotRun(f"no Prometheus here: Debian's package cannot be had ({error})") from error


@attrs.define(eq=False)
class Prometheus:
    """A running Prometheus, and who passes reloads on to it.

    Attributes:
        reload_url: where a reload is asked for.
        reloads: how many were passed on.
        refuses: whether one is refused for now.
    """

    url: str
    reload_url: str = ""
    reloads: int = 0
    refuses: bool = False
    _http: urllib3.PoolManager = attrs.field(factory=lambda: urllib3.PoolManager(retries=False, timeout=5.0))

    def groups(self) -> dict[str, str]:
        """Return the groups of rules that are active, each with its first expression."""
        answer = self._http.request("GET", f"{self.url}/api/v1/rules")
        groups = json.loads(answer.data)["data"]["groups"]
        return {group["name"]: group["rules"][0]["query"] for group in groups}

    def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            return self._http.request("GET", f"{self.url}/-/ready").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def reload(self, rules: Path, files: Mapping[str, str]) -> int:
        """Lay files into its folder and have them read; return the status."""
        if self.refuses:
            return 503
        for old in rules.iterdir():
            old.unlink()
        for name, text in files.items():
            (rules / name).write_text(text)
        self.reloads += 1
        return self._http.request("POST", f"{self.url}/-/reload").status


@contextmanager
def running(folder: Path, files: Callable[[], Mapping[str, str]]) -> Iterator[Prometheus]:
    """Run a Prometheus that reads what `files` returns at each reload."""
    rules, (port,) = folder / "rules", free_ports(1)
    rules.mkdir(parents=True)
    (folder / "prometheus.yml").write_text(f"rule_files: ['{rules}/*']\n")
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    process = Process(
        PACKAGE,
        [
            str(find_binaries() / PACKAGE),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
        ],
        folder / "prometheus.log",
        ready=prometheus.ready,
    )
    process.start()
    try:
        with _sidecar(prometheus, rules, files) as url:
            prometheus.reload_url = url
            yield prometheus
    finally:
        process.stop()


@contextmanager
def _sidecar(prometheus: Prometheus, rules: Path, files: Callable[[], Mapping[str, str]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(prometheus.reload(rules, files()))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/-/reload"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
