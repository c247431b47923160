"""Rows about the operator's Pod: its token is replaced under it, and it runs as a user that its image does not know.

A kubelet that starts anew remembers no token and asks for another one at once: nobody has to wait for eight minutes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from scopedcache.testing import ControlPlane

from .clock import now
from .in_pod import NAME, OperatorPod
from .observations import DEPLOYMENTS, MEMCACHEDS, PODS
from .rows import Outcome, Row
from .steps import ONE, SIZES, TWO, sample
from .waiting import Failed, differs, eventually, require
from .world import CONVERGED, ROLLED_OUT, SYSTEM, World

# A kubelet looks at a Pod's volumes once in about a minute; the operator reads its file every ten seconds.
REPLACED = 150.0
# Of the range that OpenShift gives a namespace; no image knows it.
USER = 1_000_680_000
CREDENTIAL = "authentication.kubernetes.io/credential-id"


def token_is_replaced(world: World) -> Outcome:
    """Have the token replaced; the operator asks with the new one, and works on."""
    plane, operator = world.plane, world.operator
    assert isinstance(plane, ControlPlane)
    assert isinstance(operator, OperatorPod)
    assert plane.node is not None
    pid, mark, before = operator.process.pid, plane.audit.mark(), credentials(plane, world.account.username)
    began = now()
    plane.node.kubelet.restart()

    def used() -> str | None:
        found = credentials(plane, world.account.username)
        return None if set(found) - set(before) else f"only {len(set(found))} tokens were ever used"

    took = eventually("a new token is used", used, within=REPLACED, since=began)
    followed = 0
    for namespace in (ONE, TWO):
        found = plane.get(MEMCACHEDS, sample(namespace), namespace)
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            world.scale(namespace, sample(namespace), 1)
            world.await_rollout(namespace, sample(namespace), found["spec"]["size"], within=ROLLED_OUT)
            followed += 1
    require(None if followed else "no custom resource is left to follow", "the operator works on")
    require(operator.unexpected_end(), "only its token is another one")
    require(differs("pid", operator.process.pid, pid), "only its token is another one")
    refused = world.requests(mark, code=401)
    require(f"refused: {refused}" if refused else None, "no request was sent with a token that had ended")
    eventually("the Pod is ready", operator.unready, within=CONVERGED)
    return Outcome(took, {"401s": len(refused), "Deployments healed": followed})


def run_as_anybody(world: World) -> Outcome:
    """Have the cluster choose the user: a new Pod takes over, with the image's files read-only and another's."""
    plane, operator = world.plane, world.operator
    assert isinstance(plane, ControlPlane)
    assert isinstance(operator, OperatorPod)
    began = now()
    security = {"runAsUser": USER, "runAsGroup": 0}
    plane.patch(DEPLOYMENTS, NAME, {"spec": {"template": {"spec": {"securityContext": security}}}}, SYSTEM)

    def taken_over() -> str | None:
        if (pid := operator.process.pid) is None or not operator.process.ready:
            return f"the new Pod is not ready: {operator.process.container}"
        seen = Path(f"/proc/{pid}/status").read_text()
        return differs("the process's user", int(re.findall(r"Uid:\s+(\d+)", seen)[0]), USER)

    took = eventually("a Pod of that user is ready", taken_over, within=ROLLED_OUT, since=began)
    alone = eventually("the Pod before it is gone", lambda: others(plane, operator), within=ROLLED_OUT, since=began)
    world.scale(TWO, sample(TWO), 1)
    world.await_rollout(TWO, sample(TWO), SIZES[TWO], within=ROLLED_OUT)
    return Outcome(took, {"uid": USER, "alone after": alone})


def others(plane: ControlPlane, operator: OperatorPod) -> str | None:
    """Tell that there are other Pods of the operator."""
    current = operator.process.pod
    names = [pod["metadata"]["name"] for pod in plane.list(PODS, SYSTEM)]
    return differs("Pods", names, [current and current["metadata"]["name"]])


def credentials(plane: ControlPlane, user: str) -> list[str]:
    """Return which tokens a user's requests came with, in the order of the audit log."""
    found = []
    for line in plane.layout.audit_log(0).read_text().splitlines():
        asking = json.loads(line)["user"]
        if asking["username"] == user:
            found += asking.get("extra", {}).get(CREDENTIAL, [])
    if not found:
        raise Failed("the audit log names no token")
    return found


ROWS = (
    Row("2.token", "the Pod's token is replaced: the operator asks with the new one", REPLACED, token_is_replaced),
    Row("2.user", "the cluster chooses the Pod's user: another Pod takes over", ROLLED_OUT, run_as_anybody),
)
