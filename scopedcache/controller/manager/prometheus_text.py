"""The text a Prometheus server reads: counters and gauges in its exposition format 0.0.4."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Final

from ...metrics import HELP, Sample

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def prometheus_text(samples: Iterable[Sample]) -> str:
    """Return the samples as text, grouped by name."""
    lines: list[str] = []
    ordered = sorted(samples, key=lambda sample: (sample.name, sample.labels))
    for name, group in itertools.groupby(ordered, key=lambda sample: sample.name):
        series = list(group)
        if name in HELP:
            lines.append(f"# HELP {name} {HELP[name]}")
        lines.append(f"# TYPE {name} {series[0].type}")
        lines.extend(f"{name}{_labels(sample)} {_number(sample.value)}" for sample in series)
    return "".join(f"{line}\n" for line in lines)


def _labels(sample: Sample) -> str:
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(float(value))
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
