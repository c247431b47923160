"""A kubeconfig for whatever a test needs one for."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from scopedcache.testing import Identity


def kubeconfig(server: str, *, ca: object = None, **user: Any) -> str:
    """Return the text of a kubeconfig with the context `testing`."""
    cluster = {"server": server} | ({"certificate-authority": str(ca)} if ca else {})
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testing", "cluster": cluster}],
            "users": [{"name": "somebody", "user": user}],
            "contexts": [{"name": "testing", "context": {"cluster": "testing", "user": "somebody"}}],
            "current-context": "testing",
        }
    )


def flat(account: Identity) -> bytes:
    """Return an identity's kubeconfig without files, as `kubectl config view --raw --flatten` does."""
    config = yaml.safe_load(account.kubeconfig.read_text())
    for entry in config["clusters"]:
        ca = Path(entry["cluster"].pop("certificate-authority")).read_bytes()
        entry["cluster"]["certificate-authority-data"] = base64.b64encode(ca).decode()
    return json.dumps(config).encode()
