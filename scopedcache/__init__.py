"""A cache and a small runtime for Kubernetes controllers whose permissions may change at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy_names import lazy_names

if TYPE_CHECKING:
    from .api import Client
    from .cache import InformerHandle, Lister, OwnerChanged, OwnerId, ResourceCache, ScopedCache, Snapshot
    from .controller import (
        Cluster,
        Clusters,
        ClusterSecrets,
        Controller,
        ControllerRing,
        LeaderElection,
        Manager,
        Request,
        Result,
        Sharding,
        Watch,
    )
    from .errors import (
        AlreadyExistsError,
        APIError,
        CacheError,
        ConfigurationError,
        ConflictError,
        ForbiddenError,
        GoneError,
        InvalidError,
        NoSuchIndexError,
        NotFoundError,
        NotLeaderError,
        NotSyncedError,
        NotWatchedError,
        ProtocolError,
        ScopeClosedError,
        ScopedCacheError,
        ServerError,
        TerminalError,
        TooManyRequestsError,
        TransportError,
        UnauthorizedError,
        UnknownKindError,
    )
    from .identity import As, ServiceAccount
    from .informer import EventHandler, Informer, InformerOptions
    from .kinds import GVK, GVR, ObjectKey, Resource
    from .needs import Need
    from .objects import Metadata, Object, OwnerReference
    from .selectors import LabelSelector
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "api": "Client",
            "cache": "InformerHandle Lister OwnerChanged OwnerId ResourceCache ScopedCache Snapshot",
            "controller": (
                "Cluster ClusterSecrets Clusters Controller ControllerRing LeaderElection Manager Request Result "
                "Sharding Watch"
            ),
            "errors": (
                "AlreadyExistsError APIError CacheError ConfigurationError ConflictError ForbiddenError GoneError "
                "InvalidError NoSuchIndexError NotFoundError NotLeaderError NotSyncedError NotWatchedError "
                "ProtocolError ScopeClosedError ScopedCacheError ServerError TerminalError TooManyRequestsError "
                "TransportError UnauthorizedError UnknownKindError"
            ),
            "identity": "As ServiceAccount",
            "informer": "EventHandler Informer InformerOptions",
            "kinds": "GVK GVR ObjectKey Resource",
            "needs": "Need",
            "objects": "Metadata Object OwnerReference",
            "selectors": "LabelSelector",
        },
    )

__version__ = "0.1.0"

__all__ = [
    "GVK",
    "GVR",
    "APIError",
    "AlreadyExistsError",
    "As",
    "CacheError",
    "Client",
    "Cluster",
    "ClusterSecrets",
    "Clusters",
    "ConfigurationError",
    "ConflictError",
    "Controller",
    "ControllerRing",
    "EventHandler",
    "ForbiddenError",
    "GoneError",
    "Informer",
    "InformerHandle",
    "InformerOptions",
    "InvalidError",
    "LabelSelector",
    "LeaderElection",
    "Lister",
    "Manager",
    "Metadata",
    "Need",
    "NoSuchIndexError",
    "NotFoundError",
    "NotLeaderError",
    "NotSyncedError",
    "NotWatchedError",
    "Object",
    "ObjectKey",
    "OwnerChanged",
    "OwnerId",
    "OwnerReference",
    "ProtocolError",
    "Request",
    "Resource",
    "ResourceCache",
    "Result",
    "ScopeClosedError",
    "ScopedCache",
    "ScopedCacheError",
    "ServerError",
    "ServiceAccount",
    "Sharding",
    "Snapshot",
    "TerminalError",
    "TooManyRequestsError",
    "TransportError",
    "UnauthorizedError",
    "UnknownKindError",
    "Watch",
]
