"""Modules that decide: they know no event loop, no clock, no chance and no socket, and never wait."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scopedcache

PACKAGE = Path(scopedcache.__file__).parent
# What a rule must be told instead of asking for it. A date may be passed in, so `datetime` is not among them;
# `test_clock.py` sees to it that nobody asks that for the time.
FORBIDDEN = {
    "aiohttp", "asyncio", "concurrent", "http", "multiprocessing", "random", "secrets", "select", "selectors", "socket",
    "ssl", "subprocess", "threading", "time",
    "scopedcache.clock", "scopedcache.supervisor",
}  # fmt: skip

PURE = [
    "access/attempt_mode.py",
    "access/call_signals.py",
    "access/credential_expiry.py",
    "access/detection_bound.py",
    "access/hold_off.py",
    "access/outage.py",
    "access/places_in_use.py",
    "access/probe_schedule.py",
    "access/readiness.py",
    "access/refusals.py",
    "access/review_budget.py",
    "access/review_timeout.py",
    "access/rule_matching.py",
    "access/tracked_verdicts.py",
    "access/verdict.py",
    "api/access_reviews.py",
    "api/codec.py",
    "api/identity/exec_credential.py",
    "api/identity/impersonation.py",
    "api/identity/kubeconfig.py",
    "api/identity/oidc.py",
    "api/identity/proxies.py",
    "api/identity/rest_config.py",
    "api/identity/yaml_as_go_reads_it.py",
    "api/object_list.py",
    "api/odd_objects.py",
    "api/permission.py",
    "api/recorded_bodies.py",
    "api/request_info.py",
    "api/request_query.py",
    "api/status_errors.py",
    "api/strip_managed_fields.py",
    "api/watch/event_decoder.py",
    "api/watch/json_documents.py",
    "api/watch/line_splitter.py",
    "broken_text.py",
    "packed_bytes.py",
    "cache/bound_need.py",
    "cache/deleted_owners.py",
    "cache/informer_plan.py",
    "cache/lister.py",
    "cache/need_registry.py",
    "cache/owner.py",
    "cache/pending_grants.py",
    "cache/rbac_watch.py",
    "cache/resource_cache.py",
    "cache/scope.py",
    "cache/scope_binding.py",
    "cache/scope_effects.py",
    "cache/scope_needs.py",
    "cache/scope_state.py",
    "cache/scope_views.py",
    "cache/snapshot.py",
    "cache/subscribers.py",
    "cache/unserved_need.py",
    "cli/diagnosis.py",
    "cli/exit_status.py",
    "cli/grant_advice.py",
    "cli/least_rights.py",
    "cli/operator_page.py",
    "cli/operator_view.py",
    "cli/permissions.py",
    "cli/rbac_authority.py",
    "cli/rbac_objects.py",
    "cli/report.py",
    "cli/rights_diff.py",
    "cli/rights_lint.py",
    "cli/rights_matrix.py",
    "cli/scale_estimate.py",
    "cli/source_declarations.py",
    "cli/starter_files.py",
    "containment.py",
    "controller/outcome_log.py",
    "controller/reporting/own_reports.py",
    "controller/retry_limits.py",
    "controller/selecting.py",
    "controller/self_waking.py",
    "controller/settling.py",
    "controller/sharding/members.py",
    "controller/sharding/part_state.py",
    "controller/sharding/partition.py",
    "controller/sharding/replica.py",
    "deep_json.py",
    "hash_ranges.py",
    "informer/backlog.py",
    "informer/delta.py",
    "informer/indexed_store.py",
    "informer/indexer.py",
    "informer/informer_options.py",
    "informer/informer_state.py",
    "informer/kept_form.py",
    "informer/last_event.py",
    "informer/missed_deletes.py",
    "informer/own_writes.py",
    "informer/owner_router.py",
    "informer/ownership_chain.py",
    "informer/reflector.py",
    "informer/shard_filter.py",
    "informer/silence_watchdog.py",
    "informer/store.py",
    "needs.py",
    "predicates.py",
    "web/admission_review.py",
    "web/authority.py",
    "web/certificate_plan.py",
    "web/forwarded_headers.py",
    "web/json_patch.py",
]


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names of what a module imports: `time.monotonic` for `from time import monotonic`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def offences(text: str, package: str) -> list[str]:
    """Return what a module does that a pure one does not."""
    tree = ast.parse(text)
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    names = {name for name in imported(tree, package) for one in FORBIDDEN if f"{name}.".startswith(f"{one}.")}
    return [f"line {node.lineno} may wait" for node in waits] + [f"imports {name}" for name in sorted(names)]


@pytest.mark.parametrize("path", PURE)
def test_a_module_that_decides_knows_no_loop_clock_or_socket(path: str) -> None:
    package = ".".join(["scopedcache", *Path(path).parent.parts])

    assert offences((PACKAGE / path).read_text(), package) == []


@pytest.mark.parametrize(
    ("text", "offence"),
    [
        ("import asyncio", "imports asyncio"),
        ("from time import monotonic", "imports time.monotonic"),
        ("import http.client as http", "imports http.client"),
        ("from ..clock import loop_time", "imports scopedcache.clock.loop_time"),
        ("from .. import clock", "imports scopedcache.clock"),
        ("async def wait(): ...", "line 1 may wait"),
    ],
)
def test_what_is_forbidden_is_seen_however_it_is_spelled(text: str, offence: str) -> None:
    assert offences(text, "scopedcache.access") == [offence]


def test_what_only_sounds_alike_is_not_forbidden() -> None:
    text = "from datetime import datetime\nfrom ..selectors import LabelSelector\nfrom .timetable import time"

    assert offences(text, "scopedcache.access") == []
