"""The way from a webhook's request to the function that decides."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from ..errors import ProtocolError
from .admission_review import Decide, answer

logger = logging.getLogger("scopedcache.web")

# An object of three mebibytes, and the one before it, with what JSON adds.
REVIEW_LIMIT_BYTES: Final = 8 * 2**20


def admission(decide: Decide) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler for an admission webhook, validating or mutating.

        application.router.add_post("/namespaces", admission(decide))

    What is no AdmissionReview is answered 400, and a defect of `decide` 500: the `failurePolicy` of the webhook says
    what becomes of the write.
    """

    async def handler(request: web.Request) -> web.Response:
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            if len(body) > REVIEW_LIMIT_BYTES:
                return web.Response(status=413, text=f"over the limit of {REVIEW_LIMIT_BYTES} bytes\n")
        try:
            answered = answer(decide, msgspec.json.decode(body))
        except (ProtocolError, msgspec.DecodeError) as error:
            return web.Response(status=400, text=f"{error}\n")
        except Exception:
            logger.exception("admission.failed", extra={"path": request.path})
            return web.Response(status=500, text="the decision failed\n")
        return web.Response(body=msgspec.json.encode(answered), content_type="application/json")

    return handler
