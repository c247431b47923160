"""Objects as no API server should send them, and ways to write them down."""

import json

from hypothesis import strategies as st

# Text that looks like what the fast way searches for.
_tricky = st.sampled_from(
    ['"managedFields":', '"metadata":{', '"managedFields":[{}]', "}}", "\\", "\n", "é\U0001f600", "{"]
)
text = st.one_of(st.text(max_size=8), _tricky)
strings = st.dictionaries(st.one_of(text, st.just("managedFields")), text, max_size=3)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), text),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(text, st.sampled_from(["managedFields", "metadata"])), inner, max_size=3),
    ),
    max_leaves=8,
)
_managed = st.one_of(
    st.lists(
        st.dictionaries(st.sampled_from(["manager", "fieldsV1", "managedFields"]), anything, max_size=2), max_size=2
    ),
    st.none(),
)
_metadata_fields = {
    "name": text,
    "namespace": text,
    "uid": text,
    "resourceVersion": st.integers(1, 10**9).map(str),
    "creationTimestamp": st.one_of(st.none(), st.just("2026-01-01T00:00:00Z")),
    "labels": st.one_of(st.none(), strings),
    "annotations": strings,
    "finalizers": st.lists(text, max_size=2),
    "ownerReferences": st.lists(st.fixed_dictionaries({"uid": text, "name": text}), max_size=2),
    "generateName": text,
    "managedFields": _managed,
}


@st.composite
def objects(draw):
    """Return an object whose metadata is metadata, in any order, and whose other fields are anything at all."""
    metadata = draw(st.fixed_dictionaries({}, optional=_metadata_fields))
    others = draw(st.dictionaries(st.sampled_from(["spec", "status", "data", "items", "managedFields"]), anything))
    fields = {"apiVersion": "v1", "kind": "Odd", **others}
    names = draw(st.permutations([*fields, "metadata"]))
    order = draw(st.permutations(list(metadata)))
    return {name: {key: metadata[key] for key in order} if name == "metadata" else fields[name] for name in names}


def without_managed_fields(body):
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}


encodings = st.sampled_from(
    [
        lambda body: json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        lambda body: json.dumps(body, separators=(",", ":")),
        json.dumps,
        lambda body: json.dumps(body, indent=1),
    ]
)
