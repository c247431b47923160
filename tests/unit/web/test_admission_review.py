"""Admission, decided: what goes in, and what comes out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from scopedcache import ProtocolError
from scopedcache.errors import ForbiddenError
from scopedcache.testing import EmbeddedCluster
from scopedcache.web import AdmissionRequest, Verdict, allow, answer, deny, patched
from scopedcache.web.admission_review import respond


def review(operation: str = "CREATE", **more: Any) -> dict[str, Any]:
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "oil-dev"}}
    request = {
        "uid": "u-1", "operation": operation, "name": "oil-dev",
        "kind": {"group": "", "version": "v1", "kind": "Namespace"},
        "resource": {"group": "", "version": "v1", "resource": "namespaces"},
        "userInfo": {"username": "alice", "groups": ["oil"]}, "object": obj, "oldObject": None, **more,
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def test_who_writes_what_is_read() -> None:
    asked = AdmissionRequest.read(review(dryRun=True)["request"])
    told = (asked.operation, asked.gvk.kind, asked.gvr.resource, asked.username, asked.groups, asked.dry_run)
    assert told == ("CREATE", "Namespace", "namespaces", "alice", frozenset({"oil"}), True)
    assert (asked.obj.name if asked.obj else None, asked.old) == ("oil-dev", None)


def test_an_answer_carries_the_uid_of_its_question() -> None:
    assert answer(lambda _: allow("soon gone"), review()) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u-1", "allowed": True, "warnings": ["soon gone"]},
    }


def test_a_refusal_says_why_and_with_which_code() -> None:
    verdicts = {"no": deny("no"), "how": deny("how", code=422)}
    responses = [answer(lambda r: verdicts[r.name], review(name=name))["response"]["status"] for name in verdicts]
    assert responses == [{"code": 403, "message": "no", "reason": "Forbidden"}, {"code": 422, "message": "how"}]


def test_a_change_becomes_a_patch_and_the_question_stays_as_it_was() -> None:
    asked = review()

    def label(request: AdmissionRequest) -> Verdict:
        return patched(request, lambda draft: draft["metadata"].update(labels={"tenant": "oil"}))

    response = answer(label, asked)["response"]

    operations = [{"op": "add", "path": "/metadata/labels", "value": {"tenant": "oil"}}]
    assert (response["patchType"], json.loads(base64.b64decode(response["patch"]))) == ("JSONPatch", operations)
    assert asked == review()


def test_a_change_of_nothing_is_no_patch() -> None:
    response = answer(lambda request: patched(request, lambda _: None), review())["response"]
    assert response == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    "bad", [{}, {"request": 1}, {"request": {}}, {"request": {**review()["request"], "kind": 1}}, []]
)
def test_what_is_no_review_is_named(bad: Any) -> None:
    with pytest.raises(ProtocolError, match="no AdmissionReview"):
        answer(lambda _: allow(), bad)


def test_the_same_function_decides_on_the_embedded_cluster() -> None:
    def four_eyes(request: AdmissionRequest) -> Verdict:
        return allow() if request.username != "admin" else deny("not alone")

    with EmbeddedCluster.start() as cluster, cluster.admission("configmaps", lambda r: respond(four_eyes, r)):
        with pytest.raises(ForbiddenError, match="not alone"):
            cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "default")
