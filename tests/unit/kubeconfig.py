"""A kubeconfig for whatever a test needs one for."""

from __future__ import annotations

from typing import Any

import yaml


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
