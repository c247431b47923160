"""The nouns of the API: kinds, keys, the metadata record, and `Object`.

An `Object` is a metadata record plus the bytes the server sent. Metadata is read without decoding; the first other
access decodes the bytes once, into a dict that belongs to this Object alone. What the cache keeps (record and bytes)
is immutable and cannot be reached through it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from .broken_text import repair_text
from .deep_json import members
from .errors import ProtocolError
from .kinds import GVK, ObjectKey
from .openapi_models import is_openapi_model, to_openapi_model
from .packed_bytes import PackedBytes, unpacked

T = TypeVar("T")


NOTHING = msgspec.Raw()


class OwnerReference(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One entry of `metadata.ownerReferences`."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class Metadata(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The part of `metadata` that the cache keeps decoded, one record for each object.

    A msgspec Struct and not an attrs class: it is made for every event, ten times cheaper this way, and `gc=False`
    keeps a hundred thousand of them out of the collector's way (docs/decisions/0002-records.md).
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    finalizers: tuple[str, ...] | None = None
    # Only on the wire: cut from the kept bytes, and emptied, by the codec.
    managed_fields: msgspec.Raw = NOTHING

    @property
    def key(self) -> ObjectKey:
        """Return namespace and name."""
        return ObjectKey(self.namespace, self.name)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What the store keeps of an object: its record and its bytes, managedFields cut. Never handed out."""

    metadata: Metadata
    raw: bytes | PackedBytes

    @property
    def body(self) -> bytes:
        """Return its bytes, unpacked."""
        return unpacked(self.raw)

    @classmethod
    def of(cls, obj: Object) -> Entry:
        """Return what an Object is made of; nothing is decoded for it."""
        return cls(obj._metadata, obj._raw if obj._data is None else obj.to_json())


class _Annotations(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _Annotated(msgspec.Struct, frozen=True):
    metadata: _Annotations = _Annotations()


# What decoding may raise: broken JSON, broken UTF-8, or more levels than a decoder goes (the API server takes 10,000).
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Every type that is decoded has its Decoder from the import on. msgspec (0.22) learns a type when it is first used; two
# threads that use it first at the same moment crash the interpreter.
msgspec.json.Decoder(Metadata)
_annotated = msgspec.json.Decoder(_Annotated)
_texts = msgspec.json.Decoder(dict[str, str | None] | None).decode
_learning = threading.Lock()
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Object(msgspec.Struct, eq=False, repr_omit_defaults=True):
    """An API object: attributes for its metadata, item access for everything else.

    `pod.name`, `pod.labels` … never decode; they tell what the server sent. `pod["spec"]`, `pod.at("status", "phase")`
    and `pod.to_dict()` decode the bytes once, into a dict of this Object's own: change it freely, the cache does not
    see it. `kind` and `api_version` are filled in also where the server left them out (items of lists).
    """

    # A Struct because one is made for every read and every event that somebody hears of: a third of the time of a
    # class with __slots__.
    _metadata: Metadata
    _raw: bytes | PackedBytes
    _gvk: GVK
    partial: bool = False
    _data: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Object:
        """Wrap an object you built; the dict is used as it is, not copied.

        Raises:
            ValueError: `metadata` is not shaped like metadata.
        """
        body = data if isinstance(data, dict) else dict(data)
        try:
            metadata = msgspec.convert(
                {k: v for k, v in (body.get("metadata") or {}).items() if k != "managedFields" and v is not None},
                Metadata,
            )
        except (msgspec.ValidationError, AttributeError) as error:
            raise ValueError(f"not an API object: metadata: {error}") from error
        if metadata.labels is not None:
            msgspec.structs.force_setattr(metadata, "labels", MappingProxyType(metadata.labels))
        made = cls(metadata, b"", GVK.of(str(body.get("apiVersion", "")), str(body.get("kind", ""))))
        made._data = body
        return made

    @property
    def metadata(self) -> Metadata:
        """Return the metadata record as the server sent it; nothing in it can be changed."""
        return self._metadata

    @property
    def gvk(self) -> GVK:
        """Return group, version and kind."""
        return self._gvk

    @property
    def kind(self) -> str:
        """Return its kind."""
        return self._gvk.kind

    @property
    def api_version(self) -> str:
        """Return `group/version`, or the version alone for the core group."""
        return self._gvk.api_version

    @property
    def key(self) -> ObjectKey:
        """Return namespace and name."""
        return ObjectKey(self._metadata.namespace, self._metadata.name)

    @property
    def name(self) -> str:
        """Return its name."""
        return self._metadata.name

    @property
    def namespace(self) -> str:
        """Return its namespace; empty for a cluster-scoped object."""
        return self._metadata.namespace

    @property
    def uid(self) -> str:
        """Return what tells it from an earlier object of its name; empty before a server made it."""
        return self._metadata.uid

    @property
    def resource_version(self) -> str:
        """Return the version of this state of it."""
        return self._metadata.resource_version

    @property
    def generation(self) -> int:
        """Return how often its spec was changed; 0 where the server does not count."""
        return self._metadata.generation

    @property
    def labels(self) -> Mapping[str, str]:
        """Return a read-only view of the labels."""
        return self._metadata.labels or _NO_LABELS

    @property
    def annotations(self) -> Mapping[str, str]:
        """Return the annotations: one narrow pass over the bytes, since the record does not keep them.

        Raises:
            ProtocolError: what the server sent beyond the metadata cannot be read.
        """
        if self._data is not None:
            return MappingProxyType((self._data.get("metadata") or {}).get("annotations") or {})
        try:
            return MappingProxyType(_annotated.decode(unpacked(self._raw)).metadata.annotations or {})
        except _UNREADABLE:
            return MappingProxyType(self._odd_annotations())

    @property
    def owner_references(self) -> tuple[OwnerReference, ...]:
        """Return whose it is."""
        return self._metadata.owner_references or ()

    @property
    def finalizers(self) -> tuple[str, ...]:
        """Return what must be done before it goes."""
        return self._metadata.finalizers or ()

    @property
    def creation_timestamp(self) -> str | None:
        """Return when it was created, as the server wrote it."""
        return self._metadata.creation_timestamp

    @property
    def deletion_timestamp(self) -> str | None:
        """Return when its deletion was asked for; None while nobody did."""
        return self._metadata.deletion_timestamp

    @property
    def controller(self) -> OwnerReference | None:
        """Return the owner reference marked `controller: true`, None where there is none."""
        return next((ref for ref in self.owner_references if ref.controller), None)

    def to_dict(self) -> dict[str, Any]:
        """Return this Object's own dict: decoded at the first call, the same dict afterwards.

        Raises:
            ProtocolError: what the server sent beyond the metadata cannot be read.
        """
        if self._data is None:
            try:
                data: dict[str, Any] = self._read(_decode)
            except msgspec.ValidationError as error:  # a number beyond all numbers
                raise self._unreadable(error) from error
            data["kind"], data["apiVersion"] = self._gvk.kind, self._gvk.api_version
            self._data = data
        return self._data

    def to_model(self, model: type[T]) -> T:
        """Return the object as a `model`: a msgspec Struct, an attrs class, a dataclass, or another client's model.

        Those of `kubernetes` and of `kubernetes_asyncio` are known.

        Raises:
            ValueError: the object does not fit the model.
            ProtocolError: what the server sent beyond the metadata cannot be read.
        """
        if is_openapi_model(model):
            try:
                return to_openapi_model(self.to_dict(), model)
            except ValueError as error:
                raise ValueError(f"{self.kind} {self.key} does not fit {model.__name__}: {error}") from error
        wanted: Any = model  # a class is hashable, which its type does not say
        try:
            decoder: msgspec.json.Decoder[T] = _decoder(wanted)
            if self._data is None:
                return self._read(decoder.decode)
            return msgspec.convert(self._data, model, strict=False)
        except (TypeError, msgspec.ValidationError) as error:
            from_dict = getattr(model, "from_dict", None)
            if callable(from_dict):  # the pydantic models of the `kubernetes` client convert themselves
                converted: T = from_dict(self.to_dict())
                return converted
            raise ValueError(f"{self.kind} {self.key} does not fit {model.__name__}: {error}") from error

    def _read(self, decode: Callable[[bytes], T]) -> T:
        """Decode the bytes, repaired where they are no text; a ValidationError passes, for it is about a model."""
        raw = unpacked(self._raw)
        try:
            try:
                return decode(raw)
            except msgspec.ValidationError:
                raise
            except (msgspec.DecodeError, UnicodeDecodeError):
                return decode(repair_text(raw))
        except msgspec.ValidationError:
            raise
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _odd_annotations(self) -> dict[str, str]:
        """Read the annotations of an object whose other content may be beyond reading."""
        try:
            metadata = members(members(repair_text(unpacked(self._raw))).get("metadata", b""))
            annotations = _texts(metadata.get("annotations", b"null")) or {}
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        return {name: text or "" for name, text in annotations.items()}

    def _unreadable(self, error: Exception) -> ProtocolError:
        return ProtocolError(f"the {self.kind} {self.key} the server sent cannot be read: {error}")

    def to_json(self) -> bytes:
        """Return the object as JSON, changes to the dict included, kind and apiVersion always."""
        return _encode(self.to_dict())

    def at(self, *path: str, default: Any = None) -> Any:
        """Return what stands at a path of field names, `default` where any part of it is missing or null."""
        found: Any = self.to_dict()
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
            if found is None:
                return default
        return found

    def get(self, field: str, default: Any = None) -> Any:
        """Return a field of the object, or `default` where it is not there; decodes once, like `at`."""
        return self.to_dict().get(field, default)

    def __getitem__(self, field: str) -> Any:
        return self.to_dict()[field]

    def __setitem__(self, field: str, value: Any) -> None:
        self.to_dict()[field] = value

    def __contains__(self, field: str) -> bool:
        return field in self.to_dict()

    def __repr__(self) -> str:
        return f"<{self.kind or 'Object'} {self.key} uid={self.uid or '-'} rv={self.resource_version or '-'}>"


@lru_cache(maxsize=256)
def _decoder(model: Any) -> msgspec.json.Decoder[Any]:
    with _learning:
        return msgspec.json.Decoder(model, strict=False)


def is_newer(version: str, than: str) -> bool | None:
    """Compare two resource versions of one kind; None where they are opaque.

    Decimal integers without leading zeros compare by length, then by their digits (KEP-5504); anything else tells
    only whether it is equal.
    """
    if version == than:
        return False
    # The first digit rules out a leading zero, and with it "0", which no object has.
    if version.isdecimal() and than.isdecimal() and "0" < version[0] <= "9" and "0" < than[0] <= "9":
        return version > than if len(version) == len(than) else len(version) > len(than)
    return None
