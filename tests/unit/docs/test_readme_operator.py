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


def test_the_operator_on_the_first_page_makes_what_it_says(embedded_cluster: EmbeddedCluster) -> None:
    [block, *_] = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "page", "exec"), page)

    async def main() -> None:
        embedded_cluster.create(page["CRD"])
        greeting = {"apiVersion": "example.com/v1", "kind": "Greeting", "metadata": {"name": "one"}}
        embedded_cluster.create({**greeting, "spec": {"text": "hello"}}, "default")
        async with sc.ScopedCache(embedded_cluster.client()) as cache, asyncio.TaskGroup() as tasks:
            [controller] = page["assemble"](Setup(cache, Namespace(), "default"))
            running = tasks.create_task(controller.run(cache))
            await eventually(
                lambda: [one["data"] for one in embedded_cluster.list("configmaps", "default") if "data" in one]
            )
            running.cancel()

    virtual_time.run(main())

    made = [one for one in embedded_cluster.list("configmaps", "default") if one["metadata"]["name"] == "one"]
    assert [one["data"] for one in made] == [{"text": "hello"}]
    assert len([line for line in block.splitlines() if line.strip()]) <= 40
