"""Credentials from an exec plugin: a program that prints an ExecCredential."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta

import yaml

from scopedcache.api.configuration import RELOAD_PAUSE_SECONDS, load

PLUGIN = """
import json, pathlib, sys
calls = pathlib.Path(sys.argv[1])
number = int(calls.read_text() or 0) + 1 if calls.exists() else 1
calls.write_text(str(number))
status = {"token": f"token-{number}"} | json.loads(sys.argv[2])
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


def kubeconfig(folder, status):
    plugin, calls = folder / "plugin.py", folder / "calls"
    plugin.write_text(PLUGIN)
    arguments = [str(plugin), str(calls), json.dumps(status)]
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": arguments,
        "interactiveMode": "Never",
    }
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"exec": run}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path, calls


async def test_the_token_of_an_exec_plugin_is_the_header(tmp_path):
    path, _ = kubeconfig(tmp_path, {})

    assert await load(path).authorization() == "Bearer token-1"


async def test_a_plugin_is_asked_again_after_a_401(tmp_path):
    path, _ = kubeconfig(tmp_path, {})
    configuration = load(path)
    refused = await configuration.authorization()
    await asyncio.sleep(RELOAD_PAUSE_SECONDS)

    assert await configuration.reload(refused)
    assert await configuration.authorization() == "Bearer token-2"


async def test_an_expired_token_is_replaced_without_a_401(tmp_path):
    gone = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path, calls = kubeconfig(tmp_path, {"expirationTimestamp": gone})
    configuration = load(path)
    before = int(calls.read_text())

    await configuration.authorization()

    assert int(calls.read_text()) > before
