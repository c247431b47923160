"""All rows, in groups that share a world."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from . import declared, denial, extras, growth, idle, modes, pod, restarts, revocation, scale, seed, steps
from .rows import Group
from .starting import operated, started, wanted_cluster


def groups(logs: Path | None) -> list[Group]:
    """Return all groups of the cluster that is wanted.

    `logs` is where their processes keep their logs, a temporary folder by default.
    """
    story = (*steps.ROWS, *denial.ROWS)
    if wanted_cluster() == "node":  # what a Pod changes; all else says the same on the real control plane
        rows = (*story, *pod.ROWS)
        return [Group("the ten steps, in a Pod", partial(started, logs, "steps", applied=False), rows, story=True)]
    return [
        Group("the ten steps", partial(started, logs, "steps", applied=False), story, story=True),
        Group("an operator left alone", partial(idle.idle_world, logs), idle.ROWS, background=True),
        Group("revocation", partial(operated, logs, "revocation"), revocation.ROWS),
        Group("an operator that watches RBAC", partial(modes.with_rbac_watch, logs), modes.EVENT_ROWS),
        Group("an operator that may not ask", partial(modes.without_reviews, logs), modes.TRYING_ROWS, background=True),
        Group("the second demo", partial(operated, logs, "seed"), seed.ROWS, story=True),
        Group("extra cases", partial(operated, logs, "extras"), extras.ROWS),
        Group("restarts", partial(restarts.pair_world, logs), restarts.ROWS),
        Group(
            "an operator that declares its kinds",
            partial(declared.in_the_whole_cluster, logs),
            declared.CLUSTER_ROWS,
            story=True,
        ),
        Group(
            "the same with rights in single namespaces",
            partial(declared.in_single_namespaces, logs),
            declared.NAMESPACE_ROWS,
            story=True,
            background=True,
        ),
        Group("growth", partial(growth.plain_world, logs), growth.ROWS),
        Group("scale", partial(scale.large_world, logs), scale.ROWS),
    ]
