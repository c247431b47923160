"""What is stripped from an object before it is kept."""

import json

import pytest
from hypothesis import given

from scopedcache.api import codec
from scopedcache.api.strip_managed_fields import strip_managed_fields, strip_span
from tests.unit.api.strange_bodies import encodings, objects, without_managed_fields


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ('{"managedFields":[{"manager":"a"}]}', "{}"),
        ('{"managedFields":[{"manager":"a"}],"name":"x"}', '{"name":"x"}'),
        ('{"name":"x","managedFields":[{"manager":"a"}]}', '{"name":"x"}'),
        ('{"name":"x","managedFields":[],"uid":"u"}', '{"name":"x","uid":"u"}'),
        ('{"name":"x","managedFields":null}', '{"name":"x"}'),
        ('{"labels":{"managedFields":"y"},"managedFields":[{}]}', '{"labels":{"managedFields":"y"}}'),
        (
            '{"annotations":{"last":"{\\"managedFields\\":[{}]}"},"managedFields":[{}]}',
            '{"annotations":{"last":"{\\"managedFields\\":[{}]}"}}',
        ),
    ],
)
def test_managedFields_is_cut_wherever_it_stands_in_the_metadata(metadata, kept):
    body = b'{"apiVersion":"v1","kind":"Pod","metadata":%s,"spec":{"managedFields":[{}]}}'
    entry, _ = codec.decode_object(body % metadata.encode())
    assert entry.raw == body % kept.encode()


def test_an_object_without_managedFields_keeps_the_very_bytes_it_came_in():
    body = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"},"spec":{"a":1.50}}'
    assert codec.decode_object(body)[0].raw is body


@given(objects(), encodings)
def test_it_is_cut_wherever_it_stands_however_the_object_is_written(body, written):
    raw = written(body).encode("utf-8", "surrogatepass")
    entry, _ = codec.decode_object(raw)
    assert json.loads(entry.body) == without_managed_fields(body)


FIRST = b'{"managedFields":[{}],"metadata":{"managedFields":[{}],"name":"x"}}'
ESCAPED = b'{"x\\"metadata":{"managedFields":[{}]},"metadata":{"managedFields":[{}],"name":"x"}}'


@pytest.mark.parametrize(
    ("body", "stripped"),
    [
        (FIRST, {"managedFields": [{}], "metadata": {"name": "x"}}),
        (ESCAPED, {'x"metadata': {"managedFields": [{}]}, "metadata": {"name": "x"}}),
        (b'{"spec":{"managedFields":[{}]},"metadata":{"managedFields":[{}]}}', {
            "spec": {"managedFields": [{}]}, "metadata": {},
        }),
    ],
)  # fmt: skip
def test_what_looks_like_it_and_is_not_stays(body, stripped):
    assert strip_span(body, 0, len(body), len(body), b"[{}]") is None
    assert json.loads(strip_managed_fields(body, b"[{}]")) == stripped
