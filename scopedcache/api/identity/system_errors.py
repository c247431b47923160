"""What the system says about a failure: the part of a foreign error that quotes nothing of ours."""

from __future__ import annotations

import errno
import os
import ssl


def words_of_system(error: BaseException) -> str:
    """Return what the system says about a failure, never the error's own text: that may quote what it was given."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return getattr(error, "verify_message", None) or "it is not trusted"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(getattr(error, 'reason', None) or 'failed').lower().replace('_', ' ')}"
    if isinstance(error, OSError):
        if error.errno is not None and error.errno in errno.errorcode:
            return os.strerror(error.errno)
        # The resolver has numbers of its own; its words are its own too, and name nothing.
        return error.strerror or type(error).__name__
    return type(error).__name__
