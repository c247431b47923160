"""What a request is answered whose bearer token may not see a path, or that has none."""

from __future__ import annotations

from aiohttp import web

from ...errors import ScopedCacheError
from .token_access import TokenAccess


async def refusal_of(request: web.Request, access: TokenAccess) -> web.Response | None:
    """Return the answer to who may not see a path; None where they may. Waits for the API server."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return _unauthorized(f"{access.path} is for bearer tokens that may get it")
    try:
        admission = await access.admit(token.strip())
    except ScopedCacheError as error:
        return web.Response(text=f"whether this token may get {access.path} cannot be found out: {error}\n", status=503)
    if admission == "unauthenticated":
        return _unauthorized("the API server does not know this token")
    return None if admission == "yes" else web.Response(text=f"this token may not get {access.path}\n", status=403)


def _unauthorized(words: str) -> web.Response:
    return web.Response(text=f"{words}\n", status=401, headers={"WWW-Authenticate": "Bearer"})
