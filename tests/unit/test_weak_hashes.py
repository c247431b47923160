"""Nothing takes MD5 or SHA-1: a Python in FIPS mode refuses them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What such a Python does, for the hashes that Python code asks for; OpenSSL's own are not reached by this.
REFUSING = """
import hashlib

def refusing(name, made):
    def new(*args, usedforsecurity=True, **rest):
        if usedforsecurity:
            raise ValueError(f"[digital envelope routines] unsupported: {name}")
        return made(*args, usedforsecurity=False, **rest)
    return new

for name in ("md5", "sha1"):
    setattr(hashlib, name, refusing(name, getattr(hashlib, name)))
"""

AN_AUTHORITY_SIGNS = """
from datetime import UTC, datetime
from scopedcache.web import new_authority, new_leaf

authority = new_authority("ours", datetime.now(UTC))
print(new_leaf(authority, ["localhost"], datetime.now(UTC)).parsed() is not None)
"""

A_CACHE_IS_READ_OVER_TLS = """
import asyncio
import scopedcache as sc
from scopedcache.testing import EmbeddedCluster

async def main(kubeconfig):
    async with sc.ScopedCache.connect(kubeconfig=kubeconfig) as cache:
        owner = await cache.client.get("namespaces", "default")
        scope = await cache.open(owner, "configmaps", namespace="default")
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
        await cache.client.create(made, namespace="default")
        print(scope.get("configmaps", "one") is not None)

with EmbeddedCluster.start(http=True) as cluster:
    asyncio.run(main(cluster.admin.kubeconfig))
"""


@pytest.mark.parametrize("program", [AN_AUTHORITY_SIGNS, A_CACHE_IS_READ_OVER_TLS])
def test_it_works_where_weak_hashes_are_refused(program: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", REFUSING + program],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=50,
    )  # fmt: skip

    assert run.stdout.splitlines() == ["True"], run.stderr
