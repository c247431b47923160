"""What a request asks for, in the server's own terms: verb, resource, place. Paths and errors are made from it."""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import quote

import attrs

from ..errors import ScopedCacheError
from ..kinds import Resource

# What may stand in a segment of a path as it is (RFC 3986, pchar): names of RBAC objects hold colons.
_SAFE: Final = "!$&'()*+,;=:@"


@attrs.frozen
class RequestInfo:
    """One request. `namespace` None is the whole cluster; `verb` is the API server's (`deletecollection` …)."""

    verb: str
    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @property
    def path(self) -> str:
        """Return the request path."""
        gvr = self.resource.gvr
        parts = ["", "apis", gvr.group, gvr.version] if gvr.group else ["", "api", gvr.version]
        if self.namespace and self.resource.namespaced:
            parts += ["namespaces", quote(self.namespace, safe=_SAFE)]
        parts.append(gvr.resource)
        # A create of a subresource names its object; a create of an object does not.
        if self.name and (self.verb != "create" or self.subresource) and self.verb not in ("list", "watch"):
            parts.append(quote(self.name, safe=_SAFE))
        if self.subresource:
            parts.append(self.subresource)
        return "/".join(parts)

    @property
    def subject(self) -> str:
        """Return the resource as RBAC names it: `deployments.apps`, `deployments.apps/scale`."""
        base = self.resource.gvr.group_resource
        return f"{base}/{self.subresource}" if self.subresource else base


class Observer(Protocol):
    """Hears how every request of a client ended: the cheapest signal about access."""

    def observed(self, info: RequestInfo, error: ScopedCacheError | None) -> None:
        """Take note; `error` None is success. Called on the loop, right after the answer; must not block or raise."""
