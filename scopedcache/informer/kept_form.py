"""The form in which objects are kept that are not kept as they came: their metadata alone, changed by the user's
transform, or compressed.

Where an object cannot be brought into that form, it is kept with the little that is known for certain: its record. It
would be wrong to show it as it was before, as if it were gone, or with what the transform was to take away.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..api.codec import Transform, encode, metadata_bytes
from ..api.unreadable_objects import UnreadableObjects
from ..containment import UserFunction
from ..errors import ProtocolError
from ..kinds import Resource
from ..objects import Entry, Object
from ..packed_bytes import Packer

# How every API server begins an object of which it sends the metadata alone.
_METADATA_ALONE: Final = b'{"kind":"PartialObjectMetadata",'


class KeptForm:
    """Brings entries into their form."""

    def __init__(
        self,
        resource: Resource,
        *,
        metadata_only: bool,
        transform: Transform | None,
        compress: bool,
        unreadable: UnreadableObjects,
    ) -> None:
        self._resource = resource
        self._packer = Packer() if compress else None
        self._metadata_only = metadata_only
        self._unreadable = unreadable
        self._transform: UserFunction[bytes] | None = None
        if transform is not None:
            given = transform

            def transformed(body: dict[str, Any]) -> bytes:
                changed: object = given(body)
                if not isinstance(changed, dict):
                    raise TypeError(f"a transform returns a dict, not {type(changed).__name__}")
                return encode(changed)

            self._transform = UserFunction(
                transformed, "transform.failed", otherwise=b"", kind=resource.gvk.kind, named=transform
            )

    def of(self, entry: Entry) -> Entry:
        """Return the entry as it is kept; its metadata record stays the server's."""
        entry = self._cut(entry)
        if self._packer is None or not isinstance(entry.raw, bytes):
            return entry
        return Entry(entry.metadata, self._packer.pack(entry.raw))

    def _cut(self, entry: Entry) -> Entry:
        try:
            if self._metadata_only and not entry.body.startswith(_METADATA_ALONE):
                entry = Entry(entry.metadata, metadata_bytes(entry.body))
            if self._transform is None:
                return entry
            body = Object(entry.metadata, entry.raw, self._resource.gvk).to_dict()
        except (ProtocolError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._unreadable.name(self._resource, entry.metadata, str(error))
            return _bare(entry)
        raw = self._transform.call(entry.metadata, body)
        return Entry(entry.metadata, raw) if raw else _bare(entry)


def _bare(entry: Entry) -> Entry:
    metadata = entry.metadata
    if metadata.labels is not None:
        metadata = msgspec.structs.replace(metadata, labels=dict(metadata.labels))
    return Entry(entry.metadata, encode({"metadata": metadata}))
