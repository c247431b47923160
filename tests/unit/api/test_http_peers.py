"""Who answers at the other end: other servers, certificates, addresses that cannot work."""

import os
import shutil
import ssl
import subprocess

import certifi
import pytest

from scopedcache.api.client import Client
from scopedcache.api.http_transport import HTTPTransport
from scopedcache.errors import ConfigurationError, ForbiddenError, ProtocolError, TransportError
from tests.unit.api.http_server import always, configured, serving
from tests.unit.informer.events import PODS, pod
from tests.unit.informer.fake_transport import status


@pytest.fixture
async def server():
    async with serving() as made:
        yield made


@pytest.mark.parametrize(("code", "expected"), [(200, ProtocolError), (403, TransportError), (302, ProtocolError)])
async def test_a_page_in_HTML_is_not_the_answer_of_an_API_server(server, code, expected):
    server.handler = always(b"<html>please log in</html>", code, "text/html")
    async with Client(HTTPTransport(configured(server.url))) as client:
        with pytest.raises(expected, match=r"html|redirect"):
            await client.list(PODS)
        with pytest.raises(expected, match=r"html|redirect"):
            async for _ in client.watch(PODS):
                pass


async def test_a_refusal_of_the_API_server_is_typed(server):
    server.handler = always(status(403, "Forbidden", "no", kind="pods"), 403)
    async with Client(HTTPTransport(configured(server.url))) as client:
        with pytest.raises(ForbiddenError, match="may not list pods in namespace a"):
            await client.list(PODS, namespace="a")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return (certificate, key) of a server on 127.0.0.1, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "crt"), str(folder / "key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=kube",
        "-out",
        cert,
    ]
    subprocess.run(
        [*command, "-keyout", key, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture
async def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with serving(context) as made:
        made.handler = always(pod("x", 1))
        yield made


async def test_the_CA_of_the_kubeconfig_is_what_is_trusted(tls_server, certificate):
    transport = HTTPTransport(configured(tls_server.url, ssl_ca_cert=certificate[0]))
    assert (await transport.request("GET", "/")).status == 200
    await transport.close()


async def test_another_CA_is_named_as_the_cause(tls_server):
    transport = HTTPTransport(configured(tls_server.url))
    with pytest.raises(TransportError, match="showed a certificate that the CA of the kubeconfig did not sign"):
        await transport.request("GET", "/")
    with pytest.raises(TransportError, match="did not sign"):
        async with transport.stream("/", idle_timeout=5):
            pass
    await transport.close()


async def test_verification_is_off_where_the_kubeconfig_says_so(tls_server):
    transport = HTTPTransport(configured(tls_server.url, verify_ssl=False))
    assert (await transport.request("GET", "/")).status == 200
    await transport.close()


async def test_http_to_a_port_that_speaks_TLS_is_no_success(tls_server):
    transport = HTTPTransport(configured(tls_server.url.replace("https", "http")))
    with pytest.raises(TransportError):
        await transport.request("GET", "/")
    await transport.close()


async def test_certificates_renewed_in_place_are_taken_after_a_401(tls_server, certificate, tmp_path):
    """A client certificate that expired is answered 401; its file may have been renewed under the same name."""
    ca = tmp_path / "ca"
    shutil.copyfile(certificate[0], ca)
    tls_server.handler = always(status(401), 401)
    transport = HTTPTransport(configured(tls_server.url, ssl_ca_cert=str(ca)))

    await transport.request("GET", "/")
    unchanged = len(tls_server.connections)
    shutil.copyfile(certifi.where(), ca)
    os.utime(ca, (1, 1))
    with pytest.raises(TransportError, match="did not sign"):
        await transport.request("GET", "/")
    await transport.close()

    assert (unchanged, len(tls_server.seen)) == (1, 2)


@pytest.mark.parametrize(
    ("url", "settings", "message"),
    [
        ("kube.example:6443", {}, "is not an http"),
        ("ftp://kube.example", {}, "is not an http"),
        ("https://kube.example:port", {}, "is not a"),
        ("", {}, "is not an http"),
        ("https://kube.example", {"ssl_ca_cert": "/nowhere/ca.crt"}, "cannot be loaded"),
        ("https://kube.example", {"cert_file": "/nowhere/client.crt"}, "cannot be loaded"),
        ("https://kube.example", {"proxy": "socks5://proxy:1080"}, "no other kind is supported"),
        ("ftp://me:secret@kube.example/x", {}, "address 'ftp://kube.example/x' is not an http"),
        ("https://kube.example", {"proxy": "socks5://me:secret@proxy:1080"}, "the proxy 'socks5://proxy:1080' is not"),
    ],
)
async def test_a_way_that_cannot_work_is_refused_before_it_is_tried(url, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        HTTPTransport(configured(url, **settings))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 cannot be connected to: Connection refused"),
        ("https://me:secret@127.0.0.1:1", "https://127.0.0.1:1 cannot be connected to: Connection refused"),
        ("https://no-such-host.invalid", "https://no-such-host.invalid cannot be connected to: "),
    ],
)
async def test_who_cannot_be_reached_is_named_with_the_systems_own_reason(url, words):
    transport = HTTPTransport(configured(url))
    with pytest.raises(TransportError) as caught:
        await transport.request("GET", "/")
    await transport.close()

    assert str(caught.value).startswith(words)
    assert "object at" not in str(caught.value)


async def test_an_address_may_be_IPv6():
    transport = HTTPTransport(configured("https://[::1]:1"))
    with pytest.raises(TransportError, match=r"^https://\[::1\]:1 cannot be connected to: "):
        await transport.request("GET", "/api/v1/pods", [("a", "b c")])
    await transport.close()


async def test_a_query_is_encoded_on_the_way(server):
    server.handler = always({})
    transport = HTTPTransport(configured(server.url))
    await transport.request("GET", "/api/v1/pods", [("a", "b c"), ("d", "é&=")])
    await transport.close()

    assert server.seen[0].raw_path == "/api/v1/pods?a=b+c&d=%C3%A9%26%3D"
