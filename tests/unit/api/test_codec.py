"""JSON to entries and back."""

import json

import pytest
from hypothesis import given

from scopedcache.api import codec
from scopedcache.errors import ProtocolError
from scopedcache.kinds import GVK
from scopedcache.objects import Metadata, OwnerReference
from tests.unit.api.strange_bodies import encodings, objects, without_managed_fields


@given(objects(), encodings)
def test_the_kept_bytes_are_the_object_without_managedFields(body, written):
    entry, gvk = codec.decode_object(written(body).encode("utf-8", "surrogatepass"))

    assert json.loads(entry.body) == without_managed_fields(body)
    assert gvk == GVK("", "v1", "Odd")


@given(objects())
def test_the_record_says_what_the_metadata_says(body):
    entry, _ = codec.decode_object(json.dumps(body).encode())
    metadata = body["metadata"]

    assert entry.metadata == Metadata(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        creation_timestamp=metadata.get("creationTimestamp"),
        labels=metadata.get("labels"),
        finalizers=tuple(metadata["finalizers"]) if "finalizers" in metadata else None,
        owner_references=tuple(OwnerReference(uid=o["uid"], name=o["name"]) for o in metadata["ownerReferences"])
        if "ownerReferences" in metadata
        else None,
    )


# -- whole bodies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"[]", b"<html/>", b'{"kind":"Pod"}', b'{"metadata":{"uid":7}}'])
def test_a_body_that_is_no_object_is_a_ProtocolError(body):
    with pytest.raises(ProtocolError, match="not an API object"):
        codec.decode_object(body)


def test_a_page_keeps_its_items_as_bytes():
    page = codec.decode_page(
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"8","continue":"t","remainingItemCount":1},'
        b'"items":[{"metadata":{"name":"x"}}]}'
    )
    assert (page.metadata.resource_version, page.metadata.continue_, page.metadata.remaining_item_count) == (
        "8",
        "t",
        1,
    )
    assert [bytes(item) for item in page.items or ()] == [b'{"metadata":{"name":"x"}}']


@pytest.mark.parametrize("items", ["", ',"items":null', ',"items":[]'])
def test_a_list_may_be_empty_in_three_ways(items):
    assert not codec.decode_page(f'{{"kind":"PodList","metadata":{{"resourceVersion":"8"}}{items}}}'.encode()).items


@pytest.mark.parametrize("body", [b"{}", b'{"kind":"Status","code":500}', b'{"kind":"Pod","metadata":{}}', b"[]", b"x"])
def test_what_is_no_list_never_reads_as_an_empty_one(body):
    """A cache that took it for a list would report every object as deleted."""
    with pytest.raises(ProtocolError, match="not a list"):
        codec.decode_page(body)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"kind":"Pod"}', b"404 page not found", b'{"kind":"Status","code":"x"}']
)
def test_only_a_Status_is_a_Status(body):
    assert codec.decode_status(body) is None


def test_metadata_alone_is_apiVersion_kind_and_metadata():
    kept = codec.metadata_bytes(b'{"kind":"Pod","spec":{"a":1},"metadata":{"name":"x"},"apiVersion":"v1"}')
    assert json.loads(kept) == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
