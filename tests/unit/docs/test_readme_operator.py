"""The complete operator that the README shows: it runs, and it is as short as it says."""

from __future__ import annotations

import asyncio
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import scopedcache as sc
from scopedcache.kit import Setup
from scopedcache.testing import EmbeddedCluster, eventually, virtual_time

README = Path(__file__).parents[3] / "README.md"


def test_the_operator_on_the_first_page_makes_what_it_says_and_says_what_it_may_not(
    embedded_cluster: EmbeddedCluster,
) -> None:
    [block, *_] = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "page", "exec", dont_inherit=True), page)
    for manifest in (page["CRD"], *page["PROGRAM"].manifests("rbac")):
        embedded_cluster.create(manifest)
    greeting = {"apiVersion": "example.com/v1", "kind": "Greeting", "metadata": {"name": "one"}}
    embedded_cluster.create({**greeting, "spec": {"text": "hello"}}, "default")
    account = embedded_cluster.service_account("greeter-system", "greeter")

    def said() -> list[str]:
        found: Any = embedded_cluster.get("greetings.example.com", "one", "default")
        return [one["message"] for one in found.get("status", {}).get("conditions", []) if one["status"] == "False"]

    async def main() -> None:
        async with sc.ScopedCache(embedded_cluster.client(account)) as cache, asyncio.TaskGroup() as tasks:
            [controller] = page["assemble"](Setup(cache, Namespace(), "greeter-system"))
            running = tasks.create_task(controller.run(cache))
            await eventually(said)
            assert "may not list configmaps in namespace default" in said()[0]
            embedded_cluster.bind(account, "greeter-in-namespace", namespace="default")
            await eventually(lambda: embedded_cluster.get("configmaps", "one", "default"), within=cache.bound)
            running.cancel()

    virtual_time.run(main())

    made: Any = embedded_cluster.get("configmaps", "one", "default")
    assert made["data"] == {"text": "hello"}
    assert len([line for line in block.splitlines() if line.strip()]) <= 40
