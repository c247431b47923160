"""Row 2.token: the token of the operator's Pod is replaced under it, as the kubelet does before a token ends.

A kubelet that starts anew remembers no token and asks for another one at once: nobody has to wait for eight minutes.
"""

from __future__ import annotations

import json

from scopedcache.testing import ControlPlane

from .clock import now
from .in_pod import OperatorPod
from .observations import MEMCACHEDS
from .rows import Outcome, Row
from .steps import ONE, TWO, sample
from .waiting import Failed, differs, eventually, require
from .world import CONVERGED, ROLLED_OUT, World

# A kubelet looks at a Pod's volumes once in about a minute; the operator reads its file every ten seconds.
REPLACED = 150.0
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


ROWS = (Row("2.token", "the Pod's token is replaced: the operator asks with the new one", REPLACED, token_is_replaced),)
