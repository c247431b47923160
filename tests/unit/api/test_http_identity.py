"""Who we are, over real sockets: credentials, impersonation, certificates that are replaced, limits on answers."""

import asyncio
import gzip
import json
import shutil
import ssl

import attrs
import pytest
from aiohttp import web

from scopedcache.api.client import Client
from scopedcache.api.configuration import FILES_PERIOD_SECONDS, Configuration, from_kubeconfig, load, of_client
from scopedcache.api.http_transport import BODY_LIMIT_BYTES, HTTPTransport
from scopedcache.api.identity.rest_config import (
    ClientCertificate,
    Endpoint,
    ExecPlugin,
    OpenIdConnect,
    Pem,
    RestConfig,
    Token,
    TokenFile,
)
from scopedcache.errors import ConfigurationError, ProtocolError, TransportError, UnauthorizedError
from tests.unit.api.certificates import Authority
from tests.unit.api.http_server import always, given_for, serving, stream_of
from tests.unit.informer.events import PODS
from tests.unit.informer.fake_transport import status

IMPERSONATION = (("Impersonate-User", "jane"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def server():
    async with serving() as made:
        made.handler = always({})
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def tls_for(authority, name="server"):
    issued = authority.issue(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def transport_for(url, login=None, clock=None, **more):
    config = RestConfig(Endpoint(url), login, **more)
    return HTTPTransport(Configuration(lambda: config, **({"timer": clock} if clock else {})))


async def both(transport):
    """Send a request and open a stream."""
    answer = await transport.request("GET", "/")
    async with transport.stream("/", idle_timeout=5) as stream:
        return answer.status, stream.status


# -- credentials -----------------------------------------------------------------------------------------------------


async def test_requests_and_watches_say_whom_we_act_as(server):
    transport = transport_for(server.url, Token("t"), impersonation=IMPERSONATION)
    await both(transport)
    await transport.close()
    for request in server.seen:
        headers = request.headers
        assert (headers["Authorization"], headers["Impersonate-User"]) == ("Bearer t", "jane")
        assert headers.getall("Impersonate-Group") == ["a", "b"]


async def test_a_ready_client_acts_as_whom_its_default_headers_name(server):
    from kubernetes.client import ApiClient

    given = ApiClient(given_for(server.url))
    given.set_default_header("Impersonate-User", "jane")
    given.set_default_header("Cookie", "other")
    transport = HTTPTransport(of_client(given))
    await both(transport)
    await transport.close()
    assert [(r.headers.get("Impersonate-User"), r.headers.get("Cookie")) for r in server.seen] == [("jane", None)] * 2


async def test_without_credentials_nothing_is_sent(server):
    plugin = ExecPlugin("no-such-plugin", "client.authentication.k8s.io/v1", "Never")
    for login in (plugin, TokenFile("/nowhere"), OpenIdConnect(f"{server.url}/idp", "c")):
        transport = transport_for(server.url, login)
        with pytest.raises(ConfigurationError):
            await transport.request("GET", "/")
        with pytest.raises(ConfigurationError):
            async with transport.stream("/", idle_timeout=5):
                pass
        await transport.close()
    assert server.seen == []


class Slow:
    """A ready client whose hook waits until it is told."""

    def __init__(self, url):
        self.host = url
        self.hurry = asyncio.Event()

    async def auth_settings(self):
        await self.hurry.wait()
        return {"BearerToken": {"value": "t"}}


async def test_the_wait_for_credentials_counts_into_the_time_of_a_request(server):
    given = Slow(server.url)
    transport = HTTPTransport(of_client(given))
    with pytest.raises(TransportError, match=r"the credentials for .* were not there in time"):
        await transport.request("GET", "/", timeout=0.05)
    given.hurry.set()
    assert (await transport.request("GET", "/")).status == 200
    await transport.close()
    assert len(server.seen) == 1


async def test_a_hook_that_blocks_holds_nobody_else_up(server):
    """It runs in a thread; the loop goes on."""
    import threading

    given, release = given_for(server.url), threading.Event()
    given.api_key["BearerToken"] = "old"

    def hook(configuration):
        release.wait(10)
        configuration.api_key["BearerToken"] = "Bearer new"

    given.refresh_api_key_hook = hook
    transport = HTTPTransport(of_client(given))
    asking = asyncio.ensure_future(transport.request("GET", "/"))
    for _ in range(10):
        await asyncio.sleep(0)
    release.set()
    await asking
    await transport.close()
    assert [request.headers["Authorization"] for request in server.seen] == ["Bearer new"]


async def test_closing_a_client_ends_the_wait_for_credentials(server):
    transport = HTTPTransport(of_client(Slow(server.url)))
    asking = asyncio.ensure_future(transport.request("GET", "/"))
    for _ in range(5):
        await asyncio.sleep(0)
    await transport.close()
    with pytest.raises(ConfigurationError, match="this client is closed"):
        await asking


@pytest.mark.parametrize("content_type", ["text/html", "application/json", "text/plain"])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>"])
async def test_a_401_is_a_401_whatever_its_body_for_requests_and_watches(server, content_type, body):
    server.handler = always(body, 401, content_type)
    async with Client(transport_for(server.url, Token("t"))) as client:
        with pytest.raises(UnauthorizedError):
            await client.list(PODS)
        with pytest.raises(UnauthorizedError):
            async for _ in client.watch(PODS):
                pass


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_an_answer_over_the_limit_is_cut_off_and_refused(server):
    server.handler = lambda request: stream_of(request, *[b"x" * 1000] * 11)
    config = RestConfig(Endpoint(server.url))
    transport = HTTPTransport(Configuration(lambda: config), answer_limit_bytes=10_000)
    with pytest.raises(ProtocolError, match="over the limit of 10000 bytes; raise answer_limit_bytes="):
        await transport.request("GET", "/")
    server.handler = lambda request: stream_of(request, *[b"x" * 1000] * 10)
    assert len((await transport.request("GET", "/")).body) == 10_000
    await transport.close()


async def test_the_limit_is_an_option_of_the_client(server, tmp_path):
    server.handler = always({"gitVersion": "v" * 100})
    path = tmp_path / "config"
    path.write_text(json.dumps({
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "contexts": [{"name": "x", "context": {"cluster": "c"}}],
    }))  # fmt: skip
    async with Client.configured(load(path), answer_limit_bytes=50) as client:
        with pytest.raises(ProtocolError, match="over the limit"):
            await client.version()
    async with Client.connect(kubeconfig=path) as client:
        assert await client.version() == "v" * 100


async def test_of_a_refusal_no_more_than_a_mebibyte_is_read(server):
    server.handler = lambda request: stream_of(request, *[b"x" * 2**18] * 6, code=500)
    transport = transport_for(server.url)
    assert len((await transport.request("GET", "/")).body) == BODY_LIMIT_BYTES
    await transport.close()


@pytest.mark.parametrize("code", [200, 403])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP"])
async def test_what_was_compressed_unasked_is_refused_unread(server, code, encoding):
    body = gzip.compress(b"0" * 10_000)
    server.handler = always(body, code, headers={"Content-Encoding": encoding})
    transport = transport_for(server.url)
    with pytest.raises(ProtocolError, match="the answer is compressed"):
        await transport.request("GET", "/")
    with pytest.raises(ProtocolError, match="the answer is compressed"):
        async with transport.stream("/", idle_timeout=5):
            pass
    await transport.close()
    assert {request.headers["Accept-Encoding"] for request in server.seen} == {"identity"}


async def test_a_proxy_that_refuses_is_named(server):
    server.handler = always(b"", 407)
    config = RestConfig(Endpoint("http://kube.invalid", proxy=server.url))
    transport = HTTPTransport(Configuration(lambda: config))
    for opening in (transport.request("GET", "/"), transport.stream("/", idle_timeout=5).__aenter__()):
        with pytest.raises(
            TransportError, match=r"the proxy http://127.* refused to connect to http://kube\.invalid: 407"
        ):
            await opening
    await transport.close()


# -- certificates ----------------------------------------------------------------------------------------------------


async def test_a_CA_replaced_in_place_is_taken_for_requests_and_watches(tmp_path, clock):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    old, new = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    ca = tmp_path / "ca.crt"
    shutil.copyfile(old.certificate, ca)
    async with serving(tls_for(old)) as before, serving(tls_for(new)) as after:
        before.handler = after.handler = always({})
        first = RestConfig(Endpoint(before.url, Pem(str(ca))))
        config = [first]
        transport = HTTPTransport(Configuration(lambda: config[0], timer=clock))
        assert await both(transport) == (200, 200)
        shutil.copyfile(new.certificate, ca)
        clock.now += FILES_PERIOD_SECONDS
        with pytest.raises(TransportError, match=r"did not sign: (unable to get local issuer|self)"):
            await transport.request("GET", "/")
        with pytest.raises(TransportError, match="did not sign"):
            async with transport.stream("/", idle_timeout=5):
                pass
        config[0] = attrs.evolve(first, endpoint=attrs.evolve(first.endpoint, host=after.url))
        ca.touch()
        clock.now += FILES_PERIOD_SECONDS
        assert await both(transport) == (200, 200)
        await transport.close()


async def test_a_kubeconfig_replaced_in_place_is_taken(authority, tmp_path, clock):
    path = tmp_path / "config"

    def write(url, token):
        user = {"name": "u", "user": {"token": token}}
        cluster = {"server": url, "certificate-authority": str(authority.certificate)}
        path.write_text(json.dumps({
            "current-context": "x", "clusters": [{"name": "c", "cluster": cluster}], "users": [user],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }))  # fmt: skip

    async with serving(tls_for(authority)) as one, serving(tls_for(authority)) as two:
        one.handler = two.handler = always({})
        write(one.url, "first")
        transport = HTTPTransport(from_kubeconfig(str(path), timer=clock))
        await both(transport)
        write(two.url, "second")
        clock.now += FILES_PERIOD_SECONDS
        await both(transport)
        await transport.close()
    seen = [[request.headers["Authorization"] for request in server.seen] for server in (one, two)]
    assert seen == [["Bearer first"] * 2, ["Bearer second"] * 2]


def subject_of(request):
    certificate = request.transport.get_extra_info("peercert")
    return dict(pair for group in certificate["subject"] for pair in group)["commonName"] if certificate else None


async def test_a_client_certificate_replaced_in_place_is_taken_and_a_half_written_one_is_not(
    authority, tmp_path, clock, caplog
):
    old, new = authority.issue("old", client=True), authority.issue("new", client=True)
    certificate, key = tmp_path / "crt", tmp_path / "key"
    shutil.copyfile(old.certificate, certificate)
    shutil.copyfile(old.key, key)
    shown = ClientCertificate(Pem(str(certificate)), Pem(str(key)))
    async with serving(tls_for(authority)) as server:
        names = []

        async def handler(request):
            names.append(subject_of(request))
            return web.json_response({})

        server.handler = handler
        config = RestConfig(Endpoint(server.url, Pem(str(authority.certificate)), shown))
        transport = HTTPTransport(Configuration(lambda: config, timer=clock))
        await both(transport)
        shutil.copyfile(new.certificate, certificate)
        clock.now += FILES_PERIOD_SECONDS
        await both(transport)
        shutil.copyfile(new.key, key)
        clock.now += FILES_PERIOD_SECONDS
        await both(transport)
        await transport.close()
    assert names == ["old"] * 4 + ["new"] * 2
    assert [record.message for record in caplog.records] == ["configuration.unreadable"]


async def test_certificates_renewed_in_place_are_taken_after_a_401(authority, tmp_path, clock):
    old, new = authority.issue("old", client=True), authority.issue("new", client=True)
    for source, name in ((old.certificate, "crt"), (old.key, "key")):
        shutil.copyfile(source, tmp_path / name)
    shown = ClientCertificate(Pem(str(tmp_path / "crt")), Pem(str(tmp_path / "key")))
    async with serving(tls_for(authority)) as server:

        async def handler(request):
            known = subject_of(request) == "new"
            return web.json_response({} if known else status(401), status=200 if known else 401)

        server.handler = handler
        config = RestConfig(Endpoint(server.url, Pem(str(authority.certificate)), shown))
        transport = HTTPTransport(Configuration(lambda: config, timer=clock))
        assert (await transport.request("GET", "/")).status == 401
        for source, name in ((new.certificate, "crt"), (new.key, "key")):
            shutil.copyfile(source, tmp_path / name)
        clock.now += 2
        assert await both(transport) == (200, 200)
        await transport.close()


async def test_files_are_looked_at_once_in_a_while_and_not_for_every_request(tmp_path, clock):
    loads = []
    file = tmp_path / "config"
    file.write_text("")
    config = RestConfig(Endpoint("http://127.0.0.1:1"), files=(str(file),))

    def load():
        loads.append(1)
        return config

    configuration = Configuration(load, timer=clock)
    for _ in range(5):
        file.write_text("x" * (len(loads) + 1))
        await configuration.look_at_files()
    before = len(loads)
    clock.now += FILES_PERIOD_SECONDS
    for _ in range(5):
        await configuration.look_at_files()
    assert (before, len(loads)) == (1, 2)


async def test_data_certificates_are_shown_as_files_are(authority):
    issued = authority.issue("jane", client=True)
    shown = ClientCertificate(Pem(data=issued.certificate.read_bytes()), Pem(data=issued.key.read_bytes()))
    async with serving(tls_for(authority)) as server:
        names = []

        async def handler(request):
            names.append(subject_of(request))
            return web.json_response({})

        server.handler = handler
        config = RestConfig(Endpoint(server.url, Pem(data=authority.certificate.read_bytes()), shown))
        transport = HTTPTransport(Configuration(lambda: config))
        await both(transport)
        await transport.close()
    assert names == ["jane", "jane"]


async def test_a_plugin_may_give_a_certificate(authority, tmp_path):
    issued = authority.issue("plugin", client=True)
    given = {"clientCertificateData": issued.certificate.read_text(), "clientKeyData": issued.key.read_text()}
    printed = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": given}
    (tmp_path / "printed").write_text(json.dumps(printed))
    plugin = ExecPlugin("cat", "client.authentication.k8s.io/v1", "Never", (str(tmp_path / "printed"),))
    async with serving(tls_for(authority)) as server:
        names = []

        async def handler(request):
            names.append((subject_of(request), request.headers.get("Authorization")))
            return web.json_response({})

        server.handler = handler
        config = RestConfig(Endpoint(server.url, Pem(str(authority.certificate))), plugin)
        transport = HTTPTransport(Configuration(lambda: config))
        await both(transport)
        await transport.close()
    assert names == [("plugin", None)] * 2


@pytest.mark.parametrize("as_data", [True, False])
def test_a_key_with_a_passphrase_is_an_error_and_not_a_question(authority, as_data):
    issued = authority.issue("locked", client=True, passphrase="secret")
    pems = [Pem(data=file.read_bytes()) if as_data else Pem(str(file)) for file in (issued.certificate, issued.key)]
    config = RestConfig(Endpoint("https://127.0.0.1:1", certificate=ClientCertificate(*pems)))
    with pytest.raises(ConfigurationError, match="the key of the client certificate has a passphrase"):
        HTTPTransport(Configuration(lambda: config))


# -- OpenID Connect --------------------------------------------------------------------------------------------------


def jwt(name, expires):
    import base64

    payload = base64.urlsafe_b64encode(json.dumps({"exp": expires, "sub": name}).encode()).decode().rstrip("=")
    return f"e30.{payload}.sig"


class Provider:
    """An OpenID Connect provider; `tokens` are given out in turn."""

    def __init__(self, server):
        self.server = server
        self.tokens = []
        self.forms = []
        self.takes_header = True
        server.handler = self.answer

    async def answer(self, request):
        if request.path == "/idp/.well-known/openid-configuration":
            return web.json_response({"token_endpoint": f"{self.server.url}/token"})
        if request.path != "/token":
            return web.json_response({})
        self.forms.append((request.headers.get("Authorization"), dict(await request.post())))
        if not self.takes_header and "Authorization" in request.headers:
            return web.json_response({"error": "invalid_client"}, status=401)
        if not self.tokens:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(self.tokens.pop(0))


FAR = 4_070_908_800


async def test_an_ID_token_that_holds_is_sent_and_its_provider_not_asked(server):
    provider = Provider(server)
    transport = transport_for(server.url, OpenIdConnect(f"{server.url}/idp", "c", id_token=jwt("a", FAR)))
    await both(transport)
    await transport.close()
    assert {request.headers["Authorization"] for request in server.seen} == {f"Bearer {jwt('a', FAR)}"}
    assert provider.forms == []


@pytest.mark.parametrize("takes_header", [True, False])
async def test_an_expired_ID_token_is_renewed_once_for_all(server, authority, takes_header):
    async with serving(tls_for(authority)) as idp:
        provider = Provider(idp)
        provider.takes_header = takes_header
        provider.tokens = [{"id_token": jwt("new", FAR), "refresh_token": "r2"}]
        login = OpenIdConnect(
            f"{idp.url}/idp/", "c:1", "s", jwt("old", 1), "r1", ca=Pem(data=authority.certificate.read_bytes())
        )
        transport = transport_for(server.url, login)
        await asyncio.gather(*(transport.request("GET", "/") for _ in range(10)))
        await transport.close()
    assert {request.headers["Authorization"] for request in server.seen} == {f"Bearer {jwt('new', FAR)}"}
    form = {"grant_type": "refresh_token", "refresh_token": "r1"}
    by_header = ("Basic YyUzQTE6cw==", form)
    in_form = (None, {**form, "client_id": "c:1", "client_secret": "s"})
    assert provider.forms == ([by_header] if takes_header else [by_header, in_form])


async def test_a_refused_ID_token_is_renewed_although_it_holds(server, clock):
    async with serving() as idp:
        provider = Provider(idp)
        provider.tokens = [{"id_token": jwt("new", FAR)}]

        async def only_new(request):
            known = request.headers["Authorization"] == f"Bearer {jwt('new', FAR)}"
            return web.json_response({} if known else status(401), status=200 if known else 401)

        server.handler = only_new
        login = OpenIdConnect(f"{idp.url}/idp", "c", id_token=jwt("old", FAR), refresh_token="r")
        transport = transport_for(server.url, login, clock)
        clock.now += 10
        assert await both(transport) == (200, 200)
        await transport.close()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([{}], "gave no id_token"),
        ([], r"refused the refresh-token \(400\): log in to it again"),
        ([{"id_token": "x"}], "is not a JSON Web Token"),
    ],
)
async def test_a_provider_that_gives_no_token_is_named_and_nothing_is_sent(server, answers, words):
    async with serving() as idp:
        Provider(idp).tokens = answers
        transport = transport_for(server.url, OpenIdConnect(f"{idp.url}/idp", "c", refresh_token="r"))
        with pytest.raises(ConfigurationError, match=words):
            await transport.request("GET", "/")
        await transport.close()
    assert server.seen == []


@pytest.mark.parametrize(
    ("login", "words"),
    [
        (OpenIdConnect("https://idp", "c"), "no valid id-token and no refresh-token"),
        (OpenIdConnect("https://idp", "c", id_token="a.b"), "is not a JSON Web Token"),
        (OpenIdConnect("http://idp.example", "c", refresh_token="r"), "is not an https URL: 'http://idp.example"),
        (OpenIdConnect("https://127.0.0.1:1", "c", refresh_token="r"), "cannot be connected to: Connection refused"),
    ],
)
async def test_a_login_that_cannot_be_renewed_is_named(server, login, words):
    transport = transport_for(server.url, login)
    with pytest.raises(ConfigurationError, match=words):
        await transport.request("GET", "/")
    await transport.close()
    assert server.seen == []


async def test_a_request_of_somebody_else_shows_neither_our_certificate_nor_our_token(authority):
    ours = authority.issue("ours", client=True)
    shown = ClientCertificate(Pem(str(ours.certificate)), Pem(str(ours.key)))
    async with serving(tls_for(authority)) as server:
        seen = []

        async def handler(request):
            seen.append((subject_of(request), request.headers.get("Authorization"), "User-Agent" in request.headers))
            return web.json_response({})

        server.handler = handler
        config = RestConfig(Endpoint(server.url, Pem(str(authority.certificate)), shown), Token("ours"))
        transport = HTTPTransport(Configuration(lambda: config))
        await transport.request("GET", "/")
        connection = await transport.connection_for_others()
        for headers in ({}, {"Authorization": "Bearer theirs"}):
            sent = connection.with_headers(headers)
            await transport.forwards.get(connection.url("/", ()), headers=sent, **connection.options)
        await transport.close()
    assert seen == [("ours", "Bearer ours", True), (None, None, False), (None, "Bearer theirs", False)]
