"""A webhook for a real API server: HTTPS on loopback, in a thread, around a function."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scopedcache.testing.embedded.doors.server_certificate import server_context
from tests.contract.server import Callback, Server

API = "admissionregistration.k8s.io"
NAME = "admission.example.com"


@contextmanager
def webhook(callback: Callback) -> Iterator[tuple[str, str]]:
    """Serve a function; yield the address, and the bundle that its clients trust."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            response = {**callback(review["request"]), "uid": review["request"]["uid"]}
            if "patch" in response:
                patch = response["patch"]
                coded = base64.b64encode(patch).decode() if isinstance(patch, bytes) else patch
                response |= {"patch": coded, "patchType": "JSONPatch"}
            body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None: ...

    with tempfile.TemporaryDirectory() as folder:
        context, certificate = server_context(Path(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        bundle = base64.b64encode(certificate.read_bytes()).decode()
        try:
            yield f"https://127.0.0.1:{server.server_port}", bundle
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def registered(server: Server, resource: str, operations: list[str], url: str, bundle: str) -> Iterator[None]:
    """Register a mutating webhook, wait until the server asks it, and take it away again."""
    plural, _, group = resource.partition(".")
    rule = {"apiGroups": [group], "apiVersions": ["*"], "resources": [plural], "operations": operations}
    probed = {**rule, "apiGroups": [""], "resources": ["configmaps"], "operations": ["CREATE"]}
    hook = {
        "name": NAME, "clientConfig": {"url": url, "caBundle": bundle}, "rules": [rule], "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }  # fmt: skip
    probe = {
        **hook, "name": f"probe.{NAME}", "rules": [probed],
        "clientConfig": {"url": "https://127.0.0.1:1", "caBundle": bundle},
        "objectSelector": {"matchLabels": {"probe": server.new_name()}},
    }  # fmt: skip
    name = server.new_name("hooks")
    path = f"/apis/{API}/v1/mutatingwebhookconfigurations"
    server.request("POST", path, {"metadata": {"name": name}, "webhooks": [probe, hook]})
    labels = probe["objectSelector"]["matchLabels"]  # type: ignore[index]
    probing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "labels": labels}}
    maps = "/api/v1/namespaces/default/configmaps"
    try:
        # The first hook leads nowhere: once it refuses, both are known.
        server.eventually(lambda: server.call("POST", maps, probing, dryRun="All").status == 500)
        yield
    finally:
        server.request("DELETE", f"{path}/{name}")
        server.eventually(lambda: server.call("POST", maps, probing, dryRun="All").status == 201)
