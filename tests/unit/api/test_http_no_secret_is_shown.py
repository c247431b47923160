"""Canaries: a secret is put in every place that can hold one, every path is walked to its failure, all texts are read.

Errors, their causes and contexts, tracebacks, log records with all their fields, reprs. `/readyz`, metrics, conditions
and Events are made of these texts.
"""

import asyncio
import base64
import contextlib
import json
import logging
import sys
import traceback
import urllib.parse
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from scopedcache.api.client import Client
from scopedcache.api.configuration import FILES_PERIOD_SECONDS, Configuration, from_kubeconfig, of_client
from scopedcache.api.http_transport import HTTPTransport
from scopedcache.api.identity.documents import parse
from scopedcache.api.identity.exec_plugin import ExecSource
from scopedcache.api.identity.kubeconfig_files import read_documents
from scopedcache.api.identity.redaction import words_of_program
from scopedcache.api.identity.rest_config import (
    BasicAuth,
    ClientCertificate,
    Endpoint,
    ExecPlugin,
    Login,
    OpenIdConnect,
    Pem,
    RestConfig,
    Token,
    TokenFile,
)
from tests.unit.api.http_server import always, serving
from tests.unit.informer.events import PODS
from tests.unit.informer.fake_transport import status

CANARY = "c4n4ry.in-a-c0al_mine"
V1 = "client.authentication.k8s.io/v1"
ENCODED = base64.b64encode(f"me:{CANARY}".encode()).decode()
JWT = f"{CANARY.replace('.', '0')}.{base64.urlsafe_b64encode(json.dumps({'exp': 1}).encode()).decode()}.{CANARY[-11:]}x"
FORMS = (CANARY, urllib.parse.quote(CANARY), ENCODED, ENCODED[4:20], base64.b64encode(CANARY.encode()).decode(), JWT)


def fixed(config):
    return Configuration(lambda: config)


class Walk:
    """Collects every text that somebody could see."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = []

    def see(self, *things):
        self.texts += [f"{thing!r} {thing}" for thing in things]

    def see_error(self, error):
        self.texts.append("".join(traceback.format_exception(error)))
        seen, waiting = set(), [error]
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            self.see(one, getattr(one, "__dict__", ""), getattr(one, "__notes__", ""), one.args)
            waiting += [one.__cause__, one.__context__]

    @contextlib.contextmanager
    def trying(self):
        try:
            yield
        except Exception as error:
            self.see_error(error)

    @contextlib.contextmanager
    def failing(self):
        before = len(self.texts)
        with self.trying():
            yield
        assert len(self.texts) > before, "this path was to fail"

    def kubeconfig(self, user=None, cluster=None, **top):
        document = {
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": user or {}}],
            **top,
        }
        path = self.folder / "config"
        path.write_text(json.dumps(document))
        return path

    async def ask(self, configuration, path="/"):
        """Send a request and open a watch; both are to fail."""
        async with Client.configured(configuration) as client:
            self.see(client, client.transport, configuration, vars(configuration), configuration.endpoint)
            with self.failing():
                await client.list(PODS)
            with self.failing():
                async for _ in client.watch(PODS):
                    pass
            with contextlib.suppress(Exception):
                transport: Any = client.transport
                self.see(await transport.connection())


DATA = base64.b64encode(CANARY.encode()).decode()
TOKENS = {"refresh-token": CANARY, "client-secret": CANARY}
SECRET = [{"name": "A", "value": CANARY}]
NEVER = {"apiVersion": V1, "command": "no-such", "interactiveMode": "Never"}
USERS = {
    "a list for a password": {"username": "me", "password": [CANARY]},
    "token and name": {"token": CANARY, "username": "me", "password": CANARY},
    "a line break": {"token": f"{CANARY}\n{CANARY}"},
    "a line break in as": {"token": CANARY, "as": f"{CANARY}\nx"},
    "groups without as": {"token": CANARY, "as-groups": [CANARY]},
    "a certificate that is not there": {"client-certificate": "nowhere", "client-key-data": DATA},
    "a broken key": {"client-certificate-data": "AAAA", "client-key-data": DATA},
    "a key that is no base64": {"client-key-data": f"%{CANARY}"},
    "a removed provider": {"auth-provider": {"name": "gcp", "config": {"access-token": CANARY}}},
    "oidc without an issuer": {"auth-provider": {"name": "oidc", "config": TOKENS}},
    "oidc of the wrong type": {"auth-provider": {"name": "oidc", "config": [CANARY]}},
    "a plugin without a command": {"exec": {**NEVER, "command": "", "env": SECRET, "args": [CANARY]}},
    "a variable without a name": {"exec": {**NEVER, "env": [{"value": CANARY}]}},
    "a variable of the wrong type": {"exec": {**NEVER, "env": [{"name": [], "value": CANARY}]}},
    "a plugin that is not there": {"exec": {**NEVER, "args": ["--token", CANARY], "env": SECRET}},
}
DOCUMENTS = {
    "a user twice": json.dumps({"users": [{"name": "u", "user": {"token": CANARY}}] * 2}),
    "an unknown anchor": f"users: [{{name: u, user: {{token: *{CANARY}}}}}]",
    "an unknown tag": f"users: [{{name: u, user: {{token: !!{CANARY} x}}}}]",
    "an open quote": f'users: [{{name: u, user: {{token: "{CANARY}',
    "a broken escape": f'users: [{{name: u, user: {{token: "\\q{CANARY}"}}}}]',
    "text": CANARY,
    "a list": f"[{CANARY}]",
    "a control character": f"token: {CANARY}\x01",
    "a tab": f"users:\n\t{CANARY}: x",
    "another kind": f"kind: {CANARY}",
    "a list of words": f"users: [{CANARY}]",
}
CLUSTERS = {
    "a proxy of another kind": {"proxy-url": f"socks5://me:{CANARY}@p:1"},
    "a proxy without a host": {"proxy-url": f"http://me:{CANARY}@"},
    "a proxy without a scheme": {"proxy-url": f"me:{CANARY}@p:1"},
    "a proxy with a broken port": {"proxy-url": f"http://me:{CANARY}@p:x"},
    "a server of another kind": {"server": f"ftp://me:{CANARY}@kube"},
    "a server with a broken port": {"server": f"https://me:{CANARY}@kube:x"},
    "a server that is not there": {"server": f"https://me:{CANARY}@127.0.0.1:1"},
    "a proxy that is not there": {"server": "https://kube.invalid", "proxy-url": f"http://me:{CANARY}@127.0.0.1:1"},
}


async def kubeconfigs(walk):
    for user in USERS.values():
        path = walk.kubeconfig(user)
        with walk.trying():
            await walk.ask(from_kubeconfig(str(path)))
        with contextlib.suppress(Exception):
            found = read_documents([str(path)])
            walk.see(*found, *found[0].users.values(), *found[0].clusters.values())
    for text in DOCUMENTS.values():
        with walk.trying():
            walk.see(parse("config", text.encode()))
    for cluster in CLUSTERS.values():
        with walk.trying():
            await walk.ask(from_kubeconfig(str(walk.kubeconfig({"token": CANARY}, cluster))))


async def environments(walk):
    for url in (f"socks5://me:{CANARY}@p", f"http://me:{CANARY}@127.0.0.1:1", f"me:{CANARY}@127.0.0.1:1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HTTPS_PROXY", url)
            with walk.trying():
                path = walk.kubeconfig({"token": CANARY}, {"server": "https://kube.invalid"})
                await walk.ask(from_kubeconfig(str(path)))


PLUGINS = {
    "it says everything": "sys.exit(f'token={S} password: {S} {S} Bearer {S} https://me:{S}@x {sys.argv}{os.environ}')",
    "it prints it and fails": "print(S); sys.exit(1)",
    "it prints it as no JSON": "print('token: ' + S + ': [')",
    "a token with a line break": "give(token=S + chr(10) + S)",
    "a token of another type": "give(token=[S])",
    "a key that is none": "give(clientKeyData=S, clientCertificateData=S)",
    "a time that is none": "give(token=S, expirationTimestamp=S)",
    "it hangs": "sys.stderr.write(S); sys.stderr.flush(); import time; time.sleep(100)",
}
PROLOGUE = f"""#!{sys.executable}
import json, os, sys
S = os.environ["SECRET"]
def give(**status):
    print(json.dumps(dict(apiVersion={V1!r}, kind="ExecCredential", status=status)))
"""


async def plugins(walk):
    path = walk.folder / "plugin"
    for body in PLUGINS.values():
        path.write_text(f"{PROLOGUE}{body}\n")
        path.chmod(0o755)
        arguments = ("--client-secret", CANARY, f"--password={CANARY}")
        plugin = ExecPlugin(str(path), V1, "Never", arguments, (("SECRET", CANARY),), f"hint token={CANARY}")
        walk.see(plugin, RestConfig(Endpoint("https://x"), plugin))
        with walk.failing():
            await ExecSource(plugin, Endpoint("https://x"), time_limit=2.0).fetch()
    inherited = f"{JWT} and {CANARY * 2}"  # of no environment we know: it looks like what it is
    walk.see(words_of_program(inherited, [CANARY]))


async def providers(walk):
    async with serving() as idp:

        async def echo(request):
            text = f"{await request.text()} {request.headers} {CANARY}"
            return web.Response(text=text, status=400, headers={"X-Echo": CANARY})

        def at(body):
            async def answer(request):
                if request.path.endswith("configuration"):
                    return web.json_response({"token_endpoint": f"{idp.url}/token"})
                return web.json_response(body)

            return answer

        async def elsewhere(request):
            return web.json_response({"token_endpoint": f"http://me:{CANARY}@elsewhere/{CANARY}"})

        answers = [echo, at({"id_token": f"{CANARY}"}), at([CANARY]), at({"id_token": [CANARY]}), elsewhere]
        for handler in answers:
            idp.handler = handler
            login = OpenIdConnect(f"{idp.url}/idp", "c", CANARY, JWT, CANARY)
            walk.see(login)
            await walk.ask(fixed(RestConfig(Endpoint("http://127.0.0.1:1"), login)))
    for url in ("https://127.0.0.1:1", f"https://me:{CANARY}@127.0.0.1:1", f"http://me:{CANARY}@idp.example"):
        login = OpenIdConnect(url, "c", CANARY, JWT, CANARY)
        await walk.ask(fixed(RestConfig(Endpoint("http://127.0.0.1:1"), login)))


async def servers(walk):
    async with serving() as server:

        def echo(code, content_type):
            async def answer(request):
                said = f"{request.headers} {request.headers.get('Authorization', '')}"
                body = json.dumps({**status(code, "Odd", said)}) if content_type.endswith("json") else said
                return web.Response(text=body, status=code, content_type=content_type)

            return answer

        async def cut(request):
            request.transport.abort()

        codes = (400, 401, 403, 404, 409, 410, 422, 429, 500, 503)
        handlers = [echo(code, kind) for code in codes for kind in ("application/json", "text/html")]
        handlers += [cut, always(b"", 302, headers={"Location": f"https://x/?{CANARY}"}), always(b"", 407)]
        logins: list[Login] = [Token(CANARY), BasicAuth("me", CANARY)]
        (walk.folder / "token").write_text(CANARY)
        logins.append(TokenFile(str(walk.folder / "token")))
        for login in logins:
            for handler in handlers:
                server.handler = handler
                config = RestConfig(Endpoint(server.url), login, impersonation=(("Impersonate-User", "jane"),))
                walk.see(config)
                await walk.ask(fixed(config))


async def proxies(walk):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def babble(reader, writer):
        writer.write(b"SSH-2.0\r\n\r\n")
        writer.close()

    for serve in (refuse, hang_up, babble):
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            for host in ("https://10.1.2.3:6443", "http://10.1.2.3:8080"):
                given = SimpleNamespace(
                    host=host, proxy=f"http://me:{CANARY}@127.0.0.1:{port}", proxy_headers={"X": CANARY},
                    auth_settings=lambda: {"BearerToken": {"value": f"Bearer {CANARY}"}},
                )  # fmt: skip
                await walk.ask(of_client(given))
                given.proxy = f"http://127.0.0.1:{port}"
                await walk.ask(of_client(given))


async def hooks(walk):
    def fail():
        raise RuntimeError(f"no login for {CANARY}")

    async def fail_later():
        raise KeyError(CANARY)

    for hook in (fail, fail_later, lambda: CANARY, lambda: {"BearerToken": CANARY}):
        await walk.ask(of_client(SimpleNamespace(host="http://127.0.0.1:1", auth_settings=hook)))


async def files_replaced(walk):
    """What was good is replaced by what cannot be read: a log line tells."""
    now = [0.0]
    path = walk.kubeconfig({"token": CANARY})
    configuration = from_kubeconfig(str(path), timer=lambda: now[0])
    for text in DOCUMENTS.values():
        path.write_text(text)
        now[0] += FILES_PERIOD_SECONDS
        await configuration.look_at_files()
        await configuration.reload(await configuration.authorization())
    token = walk.folder / "token"
    token.write_text(f"{CANARY}\n{CANARY}")
    await walk.ask(Configuration(lambda: RestConfig(Endpoint("http://127.0.0.1:1"), TokenFile(str(token)))))
    pem = Pem(data=CANARY.encode())
    for endpoint in (Endpoint("https://x", pem), Endpoint("https://x", certificate=ClientCertificate(pem, pem))):
        walk.see(endpoint)
        with walk.failing():
            HTTPTransport(fixed(RestConfig(endpoint)))


async def other_libraries(walk):
    async with serving() as server:
        server.handler = always(b"", 407)
        given = SimpleNamespace(
            host="http://kube.invalid", proxy=server.url.replace("//", f"//me:{CANARY}@"),
            auth_settings=lambda: {"BearerToken": {"value": CANARY}},
        )  # fmt: skip
        for address in (given.proxy, f"http://me:{CANARY}@127.0.0.1:1"):
            given.proxy = address
            async with Client.configured(of_client(given)) as client:
                from kubernetes.client import CoreV1Api
                from kubernetes_asyncio.client import CoreV1Api as AsyncCoreV1Api

                theirs, ours = client.kubernetes(), client.kubernetes_asyncio()
                walk.see(theirs, ours, vars(theirs), vars(ours), theirs.rest_client.pool_manager)
                with walk.failing():
                    await AsyncCoreV1Api(ours).list_namespace()
                with walk.failing():
                    await asyncio.to_thread(CoreV1Api(theirs).list_namespace)
                await ours.close()
                theirs.close()


@pytest.fixture
def records():
    """Every record of every logger, at every level, with all its fields."""
    found = []

    class Keep(logging.Handler):
        def emit(self, record):
            found.append(f"{record.getMessage()} {vars(record)}")

    keep, root = Keep(), logging.getLogger()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(keep)
    root.setLevel(before)


PATHS = [
    kubeconfigs, environments, plugins, providers, servers, proxies, hooks, files_replaced, other_libraries,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_no_secret_is_shown_on_any_path(tmp_path, records, path):
    walk = Walk(tmp_path)
    await path(walk)
    shown = [text for text in [*walk.texts, *records] for form in FORMS if form in text]
    assert (shown[:3], len(walk.texts) > 3) == ([], True)
