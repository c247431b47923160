"""The TLS context of an endpoint: whom we trust, and the certificate we show."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigurationError
from .redaction import without_password
from .rest_config import ClientCertificate, Endpoint, Pem
from .system_errors import words_of_system

Stamps = tuple[tuple[str, int, int, int], ...]


def tls_context(endpoint: Endpoint, certificate: ClientCertificate | None = None) -> ssl.SSLContext | bool:
    """Return the context for an endpoint; `certificate` goes ahead of the endpoint's own. True where TLS is not used.

    Blocks: it reads files.

    Raises:
        ConfigurationError: a file cannot be read, is no certificate, does not fit its key, or the key has a passphrase.
    """
    if not endpoint.host.startswith("https"):
        return True
    shown = certificate or endpoint.certificate
    try:
        context = _trusting(endpoint.ca)
    except ssl.SSLError:
        raise _unusable(endpoint, "certificate authority", endpoint.ca, "no certificate can be read there") from None
    except OSError as error:
        raise _unusable(endpoint, "certificate authority", endpoint.ca, words_of_system(error)) from None
    # On by default since Python 3.13, and refuses CAs that kubectl and every other client accept.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not (endpoint.verify and endpoint.check_hostname):
        context.check_hostname = False
    if not endpoint.verify:
        context.verify_mode = ssl.CERT_NONE
    if shown:
        try:
            _show(context, shown)
        except (OSError, ValueError) as error:
            raise _unusable(endpoint, "client certificate", shown.certificate, words_of_system(error)) from None
    return context


def files_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the files of certificates and keys."""
    shown = endpoint.certificate
    pems = (endpoint.ca, shown and shown.certificate, shown and shown.key)
    return tuple(pem.file for pem in pems if pem and pem.file)


def stamps(files: tuple[str, ...]) -> Stamps:
    """Return what changes when a file is replaced, in place or by a link to another one; zeros: it is not there."""
    return tuple(_stamp(file) for file in files)


def check_files(endpoint: Endpoint) -> None:
    """See that all files can be read. Blocks.

    Raises:
        ConfigurationError: one cannot; names it.
    """
    for file in files_of(endpoint):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise ConfigurationError(f"cannot read {file}: {words_of_system(error)}") from None


def check_certificate(certificate: ClientCertificate) -> None:
    """See that a client certificate fits its key. Blocks.

    Raises:
        ConfigurationError: it does not, or cannot be read.
    """
    try:
        _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate)
    except (OSError, ValueError) as error:
        raise ConfigurationError(words_of_system(error)) from None


def _stamp(file: str) -> tuple[str, int, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return file, 0, 0, 0
    return file, found.st_mtime_ns, found.st_size, found.st_ino


def _trusting(ca: Pem | None) -> ssl.SSLContext:
    if ca is None:
        return ssl.create_default_context()
    # An empty file trusts nobody. OpenSSL would say nothing, and the system's authorities would count.
    content = ca.data if ca.data is not None else Path(ca.file or "").read_bytes()
    return ssl.create_default_context(cadata=content.decode("ascii", errors="ignore") or " ")


def _show(context: ssl.SSLContext, shown: ClientCertificate) -> None:
    """Load a certificate and its key; OpenSSL only takes files, so bytes are lent one that nobody else can open."""
    with _path_of(shown.certificate) as certificate, _path_of(shown.key) as key:
        context.load_cert_chain(certificate, key, password=_no_passphrase)


def _no_passphrase() -> str:
    """Keep OpenSSL from asking at the terminal."""
    raise ConfigurationError("the key of the client certificate has a passphrase: store it without one")


@contextlib.contextmanager
def _path_of(pem: Pem) -> Iterator[str]:
    if pem.file:
        yield pem.file
        return
    with contextlib.ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            memory = stack.enter_context(os.fdopen(os.memfd_create("pem"), "wb", buffering=0))
            memory.write(pem.data or b"")
            yield f"/proc/self/fd/{memory.fileno()}"
        else:
            file = stack.enter_context(tempfile.NamedTemporaryFile(buffering=0))  # its mode is 0600
            file.write(pem.data or b"")
            yield file.name


def _unusable(endpoint: Endpoint, what: str, pem: Pem | None, why: str) -> ConfigurationError:
    place = f" {pem.file}" if pem and pem.file else ""
    host = without_password(endpoint.host)
    return ConfigurationError(f"the certificates for {host} cannot be loaded: {what}{place}: {why}")
