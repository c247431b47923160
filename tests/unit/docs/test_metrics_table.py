"""The table of metrics is the library's."""

import re
from pathlib import Path

from scopedcache.metrics import DECLARED

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", re.M)


def test_every_metric_is_listed_with_its_type_labels_and_meaning():
    listed = {name: (kind, labels, words) for name, kind, labels, words in ROW.findall(PAGE.read_text())}

    assert listed == {
        name: (metric.type, ", ".join(f"`{label}`" for label in metric.labels), metric.help)
        for name, metric in DECLARED.items()
    }
