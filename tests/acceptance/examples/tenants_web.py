"""Rows of the web of Tenants: admission and the filtering proxy, over HTTPS, as alice, bob and an outsider."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import urllib3

from scopedcache.testing import EmbeddedCluster, Identity
from scopedcache.testing.control_plane.binaries import find_kubectl
from scopedcache.testing.control_plane.processes import free_ports
from scopedcache.testing.identities import kubeconfig, write_private
from scopedcache.testing.resources import load_manifests

from ..clock import now
from ..observations import Manifest
from ..program import ROOT
from ..rows import Outcome, Row
from ..waiting import Failed, differs, eventually, require
from ..world import BOUND, CONVERGED
from .world import ExampleWorld

GROUP = "capsule.clastix.io"
LABEL = "capsule.clastix.io/tenant"
TENANTS = "tenants.capsule.clastix.io"
USERS = {"alice": [GROUP], "bob": [GROUP, "gas-people"], "carol": [GROUP], "outsider": []}
FOLDER = ROOT / "examples" / "tenants"
LISTED = "/api/v1/namespaces"
STREAMED = 2.0


def tenant(name: str, kind: str, owner: str, quota: int) -> Manifest:
    """Return a Tenant with nothing in its Namespaces."""
    spec = {"owner": {"kind": kind, "name": owner}, "namespaceQuota": quota, "nodeSelector": {"disk": "fast"}}
    head = {"apiVersion": "capsule.clastix.io/v1alpha1", "kind": "Tenant", "metadata": {"name": name}}
    return {**head, "spec": spec}


@attrs.define
class Door:
    """An HTTPS address, asked as somebody: by kubectl where there is one to the servers, else by plain requests."""

    url: str
    ca_file: Path
    who: Identity
    kubectl: Path | None

    def send(self, method: str, path: str, body: object = None, **query: str) -> tuple[int, dict[str, Any]]:
        """Send one request; return the status and the answer."""
        with self._pool() as pool:
            data = None if body is None else json.dumps(body).encode()
            suffix = f"?{urlencode(query)}" if query else ""
            answer = pool.request(method, f"{self.url}{path}{suffix}", body=data, headers=self._headers())
            try:
                return answer.status, answer.json()
            except ValueError:
                return answer.status, {"text": answer.data.decode(errors="replace")}

    def create(self, body: Manifest) -> tuple[int, str]:
        """Create an object without a namespace of its own; return the status and, where it is refused, why."""
        if self.kubectl is not None:
            done = self._run("create", "-f", "-", sent=json.dumps(body))
            code = 201 if not done.returncode else 403 if "(Forbidden)" in done.stderr else 400
            return code, done.stderr
        status, answer = self.send("POST", LISTED, body)
        return status, answer.get("message", "")

    def names(self, selector: str = "") -> list[str]:
        """List Namespaces."""
        if self.kubectl is not None:
            chosen = ("-l", selector) if selector else ()
            done = self._run("get", "namespaces", "-o", "name", *chosen)
            if done.returncode:
                raise Failed(f"kubectl: {done.stderr}")
            return sorted(line.partition("/")[2] for line in done.stdout.split())
        status, answer = self.send("GET", LISTED, **({"labelSelector": selector} if selector else {}))
        if status != 200:
            raise Failed(f"{status}: {answer}")
        return sorted(item["metadata"]["name"] for item in answer["items"])

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Watch Namespaces; yield the names of those that come, as they come."""
        seen: list[str] = []
        if self.kubectl is not None:
            words = ("get", "namespaces", "--watch", "-o", "name")
            with subprocess.Popen([*self._command(), *words], stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                reader = threading.Thread(target=self._read_names, args=(process.stdout, seen), daemon=True)
                reader.start()
                try:
                    yield seen
                finally:
                    process.terminate()
            return
        with self._pool() as pool:
            answer = pool.request("GET", f"{self.url}{LISTED}", fields={"watch": "true", "timeoutSeconds": "30"},
                                  headers=self._headers(), preload_content=False)  # fmt: skip
            reader = threading.Thread(target=self._read_events, args=(answer, seen), daemon=True)
            reader.start()
            try:
                yield seen
            finally:
                answer.close()

    @staticmethod
    def _read_names(lines: Any, seen: list[str]) -> None:
        for line in lines:
            seen.append(line.strip().partition("/")[2])

    @staticmethod
    def _read_events(answer: Any, seen: list[str]) -> None:
        rest = b""
        try:
            for chunk in answer.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                seen.extend(json.loads(line)["object"]["metadata"].get("name", "") for line in lines)
        except (urllib3.exceptions.HTTPError, AttributeError, ValueError):
            return  # we have left

    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(ca_certs=str(self.ca_file), retries=False, timeout=10.0)

    def _headers(self) -> dict[str, str]:
        given = {"Accept": "application/json", "Content-Type": "application/json"}
        return given | ({"Authorization": f"Bearer {self.who.token}"} if self.who.token else {})

    def _command(self) -> list[str]:
        file = self.ca_file.with_suffix(f".{self.who.username}.kubeconfig")
        write_private(file, kubeconfig(self.url, self.ca_file, self.who.username, self.who.token))
        return [str(self.kubectl), f"--kubeconfig={file}", f"--cache-dir={file}.cache"]

    def _run(self, *words: str, sent: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [*self._command(), *words]
        return subprocess.run(command, input=sent, capture_output=True, text=True, timeout=30, check=False)


@attrs.define
class Served:
    """What the program serves: where, and whom its clients trust."""

    webhook: str
    filter: str
    ca_file: Path


def kubectl_of(world: ExampleWorld) -> Path | None:
    return None if isinstance(world.plane, EmbeddedCluster) else find_kubectl()


def through(world: ExampleWorld, name: str) -> Door:
    """Return the filter, as a user."""
    served: Served = world.memory["served"]
    return Door(served.filter, served.ca_file, world.plane.user(name), kubectl_of(world))


def direct(world: ExampleWorld, name: str) -> Door:
    """Return the API server itself, as a user."""
    ca_file = world.logs / "server-ca.crt"
    ca_file.write_bytes(world.plane.ca_file.read_bytes())
    return Door(world.plane.url, ca_file, world.plane.user(name), kubectl_of(world))


def serving(world: ExampleWorld) -> None:
    """Start the program with webhook and filter, once, and register the webhook."""
    if "served" in world.memory:
        return
    webhook, filter_ = free_ports(2)
    world.apply(FOLDER / "users.yaml")
    world.apply(registered(f"https://127.0.0.1:{webhook}/namespaces"))
    world.start_operator(
        f"--webhook-address=127.0.0.1:{webhook}", f"--filter-address=127.0.0.1:{filter_}", "--tls-hosts=127.0.0.1"
    )
    served = Served(f"https://127.0.0.1:{webhook}", f"https://127.0.0.1:{filter_}", world.logs / "tenants-ca.crt")
    eventually("an authority", lambda: trusted(world, served), within=CONVERGED)
    for port in (webhook, filter_):
        eventually("it listens", partial(unheard, port), within=CONVERGED)
    world.memory["served"] = served
    for one in (tenant("oil", "User", "alice", 3), tenant("gas", "Group", "gas-people", 2)):
        world.apply(one)
    hooked(world, served)


def registered(url: str) -> Manifest:
    """Return the webhook configuration of the example, for a program that is no Service."""
    (made,) = load_manifests(FOLDER / "webhook.yaml")
    made["webhooks"][0]["clientConfig"] = {"url": url}
    return made


def trusted(world: ExampleWorld, served: Served) -> str | None:
    """Write whom clients trust; tell that there is nobody yet."""
    found = world.plane.get("secrets", "tenants-ca", world.home)
    if found is None:
        return "there is no Secret"
    served.ca_file.write_bytes(base64.b64decode(found["data"]["ca.crt"]))
    return None


def unheard(port: int) -> str | None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError as error:
        return str(error)
    return None


def hooked(world: ExampleWorld, served: Served) -> None:
    """Let the embedded cluster ask the webhook: it keeps configurations, and calls nobody by itself."""
    if not isinstance(world.plane, EmbeddedCluster):
        return

    def ask(request: dict[str, Any]) -> Mapping[str, Any]:
        if GROUP not in request["userInfo"]["groups"]:
            return {"allowed": True}  # the matchConditions of webhook.yaml
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        with urllib3.PoolManager(ca_certs=str(served.ca_file), retries=False, timeout=5.0) as pool:
            answer = pool.request("POST", f"{served.webhook}/namespaces", body=json.dumps(review).encode())
        response: dict[str, Any] = answer.json()["response"]
        return response

    world.memory["hook"] = asked = world.plane.admission("namespaces", ask, operations=["CREATE"])
    asked.__enter__()


def namespace(name: str, **labels: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def admission(world: ExampleWorld) -> Outcome:
    """K2, with admission."""
    serving(world)
    alice, bob, outsider = (direct(world, name) for name in ("alice", "bob", "outsider"))

    def unwelcome() -> str | None:
        status, answer = alice.send("POST", LISTED, namespace("oil-try"), dryRun="All")
        return None if status == 201 and LABEL in answer["metadata"]["labels"] else f"{status}: {answer}"

    since = now()
    took = world.see(
        "alice may create a Namespace, and it is given to her Tenant", unwelcome, within=CONVERGED, since=since
    )
    require("a dry run stored it" if world.plane.get("namespaces", "oil-try") else None, "dry run")
    uid = world.find(TENANTS, "oil")["metadata"]["uid"]
    for name in ("oil-dev", "oil-test", "oil-prod"):
        status, why = alice.create(namespace(name))
        require(differs("status", status, 201), f"{name}: {why}")
        metadata = world.find("namespaces", name)["metadata"]
        seen = ([owner["uid"] for owner in metadata["ownerReferences"]], metadata["labels"][LABEL],
                metadata["annotations"]["scheduler.alpha.kubernetes.io/node-selector"])  # fmt: skip
        require(differs(name, seen, ([uid], "oil", "disk=fast")), "what a Namespace is given")
        eventually("it is counted", partial(counted, world, name), within=CONVERGED)
    refused = {
        "a fourth": (alice, namespace("oil-four"), "as many as its quota"),
        "another's": (alice, namespace("oil-x", **{LABEL: "gas"}), "say whose it is"),
        "nobody's": (
            direct(world, "carol"),
            namespace("c"),
            "own none",
        ),
    }
    for what, (door, body, words) in refused.items():
        status, why = door.create(body)
        require(differs("status", status, 403), f"{what}: {why}")
        require(None if words in why else why, what)
    require(differs("bob's", bob.create(namespace("gas-dev"))[0], 201), "the Tenant of a group")
    status, why = outsider.create(namespace("mine"))
    require(differs("the outsider's", (status, "webhook" in why), (403, False)), "who is no user of Tenants")
    world.plane.create_namespace("not-of-a-tenant")
    return Outcome(took, {"refused": ", ".join(refused), "by": "kubectl" if alice.kubectl else "plain requests"})


def counted(world: ExampleWorld, name: str) -> str | None:
    """Tell that the program's own count does not include a Namespace yet: by its Tenant's conditions and status."""
    status = world.find(TENANTS, "oil").get("status", {})
    return None if name in status.get("namespaces", []) else f"status is {status}"


def filtering(world: ExampleWorld) -> Outcome:
    """K8."""
    serving(world)
    alice, bob, outsider = (through(world, name) for name in ("alice", "bob", "outsider"))
    own = ["oil-dev", "oil-prod", "oil-test"]
    require(
        differs("alice's list at the API server", direct(world, "alice").send("GET", LISTED)[0], 403),
        "she may not list",
    )
    world.see("alice lists her own", lambda: differs("alice's", alice.names(), own))
    require(differs("bob's", bob.names(), ["gas-dev"]), "bob lists his group's")
    require(differs("the outsider's", outsider.names(), []), "an empty list")
    others = {
        f"{LABEL}=gas": [], f"{LABEL}": own, f"!{LABEL}": [], f"{LABEL} notin (oil)": [], f"{LABEL}!=oil,{LABEL}": [],
        "kubernetes.io/metadata.name in (gas-dev,oil-dev)": ["oil-dev"],
    }  # fmt: skip
    for selector, expected in others.items():
        require(differs(selector, alice.names(selector), expected), "a selector of her own")
    plain = Door(alice.url, alice.ca_file, alice.who, None)
    nobody = Identity("nobody", (), "", Path(), Path())
    refused = {
        "no credentials": Door(alice.url, alice.ca_file, nobody, None).send("GET", LISTED)[0],
        "a wrong token": Door(alice.url, alice.ca_file, attrs.evolve(nobody, token="wrong"), None).send("GET", LISTED)[
            0
        ],
        "one Namespace of another": plain.send("GET", f"{LISTED}/gas-dev")[0],
        "Secrets": plain.send("GET", f"/api/v1/namespaces/{world.home}/secrets")[0],
    }
    expected_codes = {"no credentials": 401, "a wrong token": 401, "one Namespace of another": 403, "Secrets": 403}
    require(differs("answers", refused, expected_codes), "everything else is the API server's affair")
    require(differs("/_healthz", plain.send("GET", "/_healthz"), (200, {"text": "ok"})), "the filter lives")
    world.allow("oil-dev")
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}, "data": {"a": "b" * 200_000}}
    world.see("alice writes into her own, through the filter", lambda: unwritten(plain, note), within=BOUND)
    world.plane.patch(TENANTS, "oil", {"spec": {"namespaceQuota": 9}})
    with alice.watched() as hers, bob.watched() as his, outsider.watched() as theirs:
        eventually("alice's watch shows what is there", lambda: differs("hers", sorted({*hers}), own), within=CONVERGED)
        eventually("bob's too", lambda: differs("his", sorted({*his}), ["gas-dev"]), within=CONVERGED)
        since = now()
        world.plane.create_namespace("oil-late", {LABEL: "oil"})
        what = "a watch streams what is created later"
        took = world.see(what, lambda: differs("late", "oil-late" in hers, True), within=STREAMED, since=since)
        require(differs("bob's and the outsider's", ("oil-late" in his, theirs), (False, [])), "nobody else sees it")
    return Outcome(took, {"by": "kubectl" if alice.kubectl else "plain requests"})


def unwritten(door: Door, body: Manifest) -> str | None:
    """Tell that a ConfigMap cannot be written."""
    status, answer = door.send("POST", "/api/v1/namespaces/oil-dev/configmaps", body)
    return None if status == 201 and answer["data"] == body["data"] else f"{status}: {answer.get('message')}"


def served_certificate(world: ExampleWorld) -> Outcome:
    """K7, as clients of the server see it."""
    from .tenants import expire, untrusted

    serving(world)
    served: Served = world.memory["served"]
    port = int(served.filter.rpartition(":")[2])
    pid, before = world.operator.process.pid, shown(port)
    since = now()
    expire(world)
    took = world.see(
        "another certificate is served", lambda: "it is the same" if shown(port) == before else None, since=since
    )
    eventually("all fit together", lambda: untrusted(world), within=CONVERGED)
    require(trusted(world, served), "the new bundle")
    require(differs("the outsider's", through(world, "outsider").names(), []), "clients that trust the new bundle")
    require(differs("the process", world.operator.process.pid, pid), "no restart")
    return Outcome(took)


def shown(port: int) -> bytes:
    """Return the certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as plain, context.wrap_socket(plain) as secure:
        return secure.getpeercert(binary_form=True) or b""


WEB_ROWS: tuple[Row, ...] = (
    Row("K2.admission", "a user's Namespace is given to its Tenant; a fourth, another's, nobody's: refused", CONVERGED,
        admission),
    Row("K8", "alice, bob and an outsider list and watch their own, and nothing else", STREAMED, filtering),
    Row("K7.served", "an expired CA: the running server shows another certificate", CONVERGED, served_certificate),
)  # fmt: skip
