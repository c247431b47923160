"""Text that is none: bytes that are not UTF-8, and escapes of half a surrogate pair.

Go reads both as U+FFFD, and so does kubectl; no decoder here reads them at all.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def repair_text(body: bytes) -> bytes:
    """Return JSON with U+FFFD wherever there was no text; the same bytes where there was."""
    try:
        body.decode()
    except UnicodeDecodeError:
        body = body.decode(errors="replace").encode()
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
