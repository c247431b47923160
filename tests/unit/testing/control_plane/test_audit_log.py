"""Reading the audit log, from lines as a real API server writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scopedcache.testing.control_plane.audit_log import AuditLog, Source, parse


def line(audit_id: str, stage: str = "ResponseComplete", verb: str = "list", **fields: Any) -> bytes:
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": audit_id,
        "stage": stage,
        "requestURI": "/apis/apps/v1/namespaces/a/deployments/web/status",
        "verb": verb,
        "user": {"username": "alice", "groups": ["dev"]},
        "sourceIPs": ["127.0.0.1"],
        "userAgent": "me",
        "objectRef": {
            "resource": "deployments",
            "namespace": "a",
            "name": "web",
            "apiGroup": "apps",
            "apiVersion": "v1",
            "subresource": "status",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-01-02T03:04:05.000001Z",
        "stageTimestamp": "2026-01-02T03:04:06.000001Z",
        **fields,
    }
    return json.dumps(event).encode() + b"\n"


class Server:
    """A log file and whether its server runs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.log"
        self.runs = True
        self.log = AuditLog([Source(self.path, lambda: self.runs)])

    def write(self, *lines: bytes) -> None:
        with self.path.open("ab") as out:
            out.write(b"".join(lines))


def test_a_line_tells_who_asked_for_what_and_how_it_ended() -> None:
    request = parse(line("1", verb="patch"))
    assert (request.user, request.verb, request.resource, request.subresource) == (
        "alice",
        "patch",
        "deployments.apps",
        "status",
    )
    assert (request.namespace, request.name, request.code, request.user_agent) == ("a", "web", 200, "me")
    assert request.ended is not None
    assert (request.ended - request.received).total_seconds() == 1.0


def test_a_path_that_is_no_resource_has_none() -> None:
    request = parse(line("1", verb="get", objectRef={}))
    assert (request.resource, request.namespace, request.name) == ("", None, None)


def test_who_is_impersonated_is_who_asked() -> None:
    assert parse(line("1", impersonatedUser={"username": "bob"})).user == "bob"


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert Server(tmp_path).log.requests() == []


def test_a_watch_is_open_from_its_first_line_to_its_second(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write(line("1", "ResponseStarted", "watch"), line("2"))
    assert [request.id for request in server.log.open_watches()] == ["1"]
    server.write(line("1", "ResponseComplete", "watch"))
    assert server.log.open_watches() == []
    assert server.log.count(verb="watch") == 1


def test_a_refused_watch_was_never_open(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write(line("1", "ResponseStarted", "watch", responseStatus={"code": 403}))
    assert server.log.open_watches() == []


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    server = Server(tmp_path)
    whole = line("2")
    server.write(line("1"), whole[:50])
    assert server.log.count() == 1
    server.write(whole[50:])
    assert [request.id for request in server.log.requests()] == ["1", "2"]


def test_a_mark_hides_what_was_written_before(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write(line("1"))
    mark = server.log.mark()
    server.write(line("2"), line("3", verb="get"))
    assert server.log.count(mark) == 2
    assert [request.id for request in server.log.requests(mark, verb="get", user="alice")] == ["3"]
    assert server.log.count(mark, user="bob") == 0


def test_what_was_open_on_a_server_ends_with_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write(line("1", "ResponseStarted", "watch"))
    assert len(server.log.open_watches()) == 1
    server.runs = False
    assert server.log.open_watches() == []


def test_what_was_open_before_a_restart_is_not_open_after_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write(line("1", "ResponseStarted", "watch"))
    server.log.restarted(0)
    server.write(line("2", "ResponseStarted", "watch"))
    assert [request.id for request in server.log.open_watches()] == ["2"]
