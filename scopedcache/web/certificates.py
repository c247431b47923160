"""Certificates of a server's own: an authority and a leaf in Secrets, renewed in time, and the bundle where it is due.

The leader makes them; every replica serves with what is in the Secret. Authority, bundle, webhooks, leaf: in that
order, so that nobody serves what its clients do not trust yet.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..backoff import Backoff
from ..cache import InformerHandle, ScopedCache
from ..clock import wall_time
from ..controller import Runnable
from ..errors import NotFoundError, ScopedCacheError
from ..informer import EventHandler
from ..kinds import GVK, ObjectKey
from ..needs import Need
from ..objects import Object
from .authority import KeyPair
from .certificate_plan import Plan, plan
from .webhook_bundles import WebhookConfiguration, write_bundle

logger = logging.getLogger("scopedcache.web")

SECRET: Final = GVK("", "v1", "Secret")
TYPE: Final = "kubernetes.io/tls"
# What nobody tells us of: a clock that was set, and what we may not watch.
LOOK_SECONDS: Final = 60.0


class Certificates:
    """An authority and the certificate of a server, kept in two Secrets.

        certificates = Certificates(cache, "capsule-system", hosts=["capsule.capsule-system.svc"], name="capsule")
        Manager(cache, runnables=[*certificates.runnables, Server(":9443", application, tls=certificates)])

    The Secrets are NAME-ca (`tls.crt`, `tls.key`, and `ca.crt`, the bundle to trust) and NAME-tls. What is missing,
    unreadable, expired or for other hosts is made anew, and what ends with a third of its life left.

    Args:
        namespace: of the Secrets.
        hosts: names and addresses that clients know the server by.
        name: what the Secrets' names begin with, and the authority's name.
        webhooks: configurations that the bundle is written into; one that is not there is waited for.
        timer: tells the date and time.
        look_every: seconds between looks at what nobody tells us of.
    """

    def __init__(
        self,
        cache: ScopedCache,
        namespace: str,
        *,
        hosts: Iterable[str],
        name: str,
        webhooks: Iterable[WebhookConfiguration] = (),
        timer: Callable[[], datetime] = wall_time,
        look_every: float = LOOK_SECONDS,
    ) -> None:
        self._cache = cache
        self._hosts = list(hosts)
        if not self._hosts:
            raise ValueError("hosts= names what clients know the server by: at least one")
        self._name = name
        self._authority = ObjectKey(namespace, f"{name}-ca")
        self._leaf = ObjectKey(namespace, f"{name}-tls")
        self._webhooks = tuple(webhooks)
        self._timer = timer
        self._look_every = look_every
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._loaded = asyncio.Event()
        self._serving = b""

    @property
    def runnables(self) -> tuple[Runnable, Runnable]:
        """Return what makes the certificates, for the leader, and what loads them, for everybody."""
        return (
            Runnable(self.issue, leader_only=True, name=f"issue {self._name}"),
            Runnable(self.load, name=f"load {self._name}"),
        )

    async def loaded(self) -> ssl.SSLContext:
        """Wait until there is a certificate to serve with; later ones come into the same context."""
        await self._loaded.wait()
        return self._context

    async def issue(self) -> None:
        """Make what is missing, and what ends soon, until cancelled. What fails is tried again."""
        changed, backoff = asyncio.Event(), Backoff()
        async with AsyncExitStack() as stack:
            for key in (self._authority, self._leaf):
                await self._watch(stack, SECRET, key, changed)
            for webhook in self._webhooks:
                await self._watch(stack, webhook.gvk, ObjectKey("", webhook.name), changed)
            while True:
                changed.clear()
                try:
                    made = await self.step()
                    backoff.reset()
                    left = (made.look_at - self._timer()).total_seconds()
                    pause = max(1.0, min(left, self._look_every))
                except ScopedCacheError as error:
                    pause = backoff.next()
                    logger.warning("certificates.failed", extra={"error": str(error), "retry_seconds": round(pause, 1)})
                await _wait(changed, pause)

    async def step(self) -> Plan:
        """Look once, and make what is due.

        Raises:
            ForbiddenError, APIError, TransportError: it could not be read or written.
        """
        authority, leaf = await self._read(self._authority), await self._read(self._leaf)
        bundle = _decoded(authority, "ca.crt") if authority is not None else b""
        made = plan(self._name, self._hosts, _pair(authority), bundle, _pair(leaf), self._timer())
        trust = made.trust
        if made.new_authority or bundle != trust.bundle:
            await self._write(self._authority, authority, trust.authority, trust.bundle)
            self._tell("authority", made.new_authority)
        for webhook in self._webhooks:
            if not await write_bundle(self._cache.client, webhook, trust.bundle):
                logger.info("webhook.missing", extra={"configuration": f"{webhook.gvk.kind} {webhook.name}"})
        if made.new_leaf:
            await self._write(self._leaf, leaf, trust.leaf, trust.bundle)
            self._tell("leaf", made.new_leaf)
        return made

    async def load(self) -> None:
        """Take what is in the Secret of the leaf, whenever it changes, until cancelled."""
        changed, backoff = asyncio.Event(), Backoff()
        async with AsyncExitStack() as stack:
            shown = await self._watch(stack, SECRET, self._leaf, changed)
            while True:
                changed.clear()
                try:
                    await shown.wait_synced()
                    found = shown.get(self._leaf)
                    if found is not None:
                        self._take(found)
                    await changed.wait()
                    backoff.reset()
                except ScopedCacheError as error:  # denied: what was loaded last is served
                    logger.warning("certificates.unseen", extra={"error": str(error)})
                    await _wait(changed, backoff.next())

    def _take(self, secret: Object) -> None:
        pair = _pair(secret)
        if pair is None or pair.parsed() is None:
            logger.warning("certificates.unreadable", extra={"secret": str(self._leaf)})
            return
        if pair.certificate != self._serving:
            load_pair(self._context, pair)
            self._serving = pair.certificate
            logger.info("certificates.loaded", extra={"secret": str(self._leaf)})
        self._loaded.set()

    async def _watch(self, stack: AsyncExitStack, kind: GVK, key: ObjectKey, changed: asyncio.Event) -> InformerHandle:
        need = Need(kind, name=key.name)
        handle = await stack.enter_async_context(self._cache.informer(need, namespace=key.namespace or None))
        handle.add_handler(
            EventHandler(
                on_add=lambda *_: changed.set(), on_update=lambda *_: changed.set(), on_delete=lambda *_: changed.set()
            )
        )
        return handle

    async def _read(self, key: ObjectKey) -> Object | None:
        try:
            return await self._cache.client.get(SECRET, key)
        except NotFoundError:
            return None

    async def _write(self, key: ObjectKey, found: Object | None, pair: KeyPair, bundle: bytes) -> None:
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": bundle}
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "type": TYPE,
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }
        if found is None:
            await self._cache.client.create(body)
            return
        # In the version that was read: of two that make one, the second finds that it is there.
        await self._cache.client.update({**found.to_dict(), "data": body["data"]})

    def _tell(self, what: str, why: str | None) -> None:
        fields = {"authority": self._name, "what": what, "why": why or "its bundle changed"}
        logger.info("certificates.issued", extra=fields)

    def __repr__(self) -> str:
        return f"<Certificates {self._name} in {self._leaf.namespace}, {'' if self._loaded.is_set() else 'not '}loaded>"


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _pair(secret: Object | None) -> KeyPair | None:
    if secret is None:
        return None
    certificate, key = _decoded(secret, "tls.crt"), _decoded(secret, "tls.key")
    return KeyPair(certificate, key) if certificate or key else None


def _decoded(secret: Object, name: str) -> bytes:
    try:
        return base64.b64decode(secret.at("data", name, default="") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b"?"  # there is something, and it cannot be read


def load_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Let a context serve with a pair. Python reads it from a file alone."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.touch(mode=0o600)
        file.write_bytes(pair.certificate + b"\n" + pair.key)
        context.load_cert_chain(file)
