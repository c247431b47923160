"""The same kubeconfig for kubectl and for us: the same place, the same identity, or both refuse.

kubectl asks a server on loopback, which remembers how it was asked. Where we differ on purpose, the row says so.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scopedcache import Client, ScopedCacheError
from scopedcache.testing.control_plane.binaries import find_kubectl
from tests.unit.api.certificates import Authority

pytestmark = pytest.mark.real
V1 = "client.authentication.k8s.io/v1"
REFUSED = "refused"
Asked = tuple[str, tuple[tuple[str, str], ...]]


class Server(ThreadingHTTPServer):
    """Remembers path and identity of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        said = [(name.title(), value) for name, value in self.headers.items()]
        identity = sorted(pair for pair in said if pair[0].startswith(("Authorization", "Impersonate")))
        subject: Any = getattr(self.connection, "getpeercert", dict)() or {}
        names = [("Certificate", value) for group in subject.get("subject", ()) for _, value in group]
        self.server.asked.append((self.path, tuple(identity + names)))
        body = b'{"major":"1","minor":"36","gitVersion":"v1.36.2"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Both:
    """Asks the same thing by kubectl and by our client."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority
        certificate = authority.issue("server", "IP:127.0.0.1,DNS:localhost,DNS:kube")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate.certificate, certificate.key)
        tls.load_verify_locations(authority.certificate)
        tls.verify_mode = ssl.CERT_OPTIONAL
        self.secure, self.plain = Server(), Server()
        self.secure.socket = tls.wrap_socket(self.secure.socket, server_side=True)
        client = authority.issue("jane", client=True)
        (folder / "jane.crt").write_bytes(client.certificate.read_bytes())
        (folder / "jane.key").write_bytes(client.key.read_bytes())
        (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
        (folder / "token").write_text("of-a-file\n")
        (folder / "blank").write_text("\n")
        plugin = folder / "plugin"
        plugin.write_text(
            f"#!{sys.executable}\nimport json\nprint(json.dumps({{'apiVersion': '{V1}', 'kind': 'ExecCredential', "
            "'status': {'token': 'of-a-plugin'}}))\n"
        )
        plugin.chmod(0o755)
        self.ca = base64.b64encode(authority.certificate.read_bytes()).decode()

    def config(self, user: Any = None, cluster: Any = None, context: Any = None, **top: Any) -> dict[str, Any]:
        cluster = {"server": f"https://{self.secure.place}", "certificate-authority": "ca.crt", **(cluster or {})}
        return {
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": {name: value for name, value in cluster.items() if value != "-"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", **(context or {})}}],
            "users": [{"name": "u", "user": {"token": "t"} if user is None else user}],
            **top,
        }

    def write(self, *documents: Any) -> str:
        paths = []
        for number, document in enumerate(documents):
            path = self.folder / f"config-{number}"
            path.unlink(missing_ok=True)
            if document is not None:
                path.write_text(document if isinstance(document, str) else json.dumps(document))
            paths.append(str(path))
        return os.pathsep.join(paths)

    def kubectl(self, paths: str) -> Asked | str:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECONFIG": paths}
        command = [str(find_kubectl()), "get", "--raw", "/version"]
        done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        return REFUSED if done.returncode else self._taken()

    def ours(self, paths: str) -> Asked | str:
        async def main() -> None:
            async with Client.connect(kubeconfig=paths) as client:
                await client.version()

        try:
            asyncio.run(main())
        except ScopedCacheError:
            self._taken()
            return REFUSED
        return self._taken()

    def _taken(self) -> Asked | str:
        asked = [*self.secure.asked, *self.plain.asked]
        self.secure.asked.clear()
        self.plain.asked.clear()
        return asked[0] if asked else REFUSED


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    made = Both(tmp_path_factory.mktemp("kubectl"), Authority(tmp_path_factory.mktemp("ca")))
    yield made
    made.secure.shutdown()
    made.plain.shutdown()


AS = {"token": "t", "as": "jane"}
EXEC = {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never"}
FILES = {"client-certificate": "jane.crt", "client-key": "jane.key"}
USERS: dict[str, Any] = {
    "a token": {"token": "t"},
    "a token with spaces inside": {"token": "a b"},
    "a token with a line break inside": {"token": "a\nb"},
    "a token that is a number": {"token": 5},
    "a token that is not ASCII": {"token": "tö"},
    "a token beside empty fields": {"token": "t", "tokenFile": "", "username": "", "password": None, "exec": None},
    "a token file": {"tokenFile": "token"},
    "a token file and a token": {"token": "t", "tokenFile": "token"},
    "a token file that is not there, and a token": {"token": "t", "tokenFile": "nowhere"},
    "a token file that is not there": {"tokenFile": "nowhere"},
    "a blank token file": {"tokenFile": "blank"},
    "name and password": {"username": "a", "password": "b"},
    "a name without a password": {"username": "a"},
    "a password without a name": {"password": "b"},
    "a name beside a null token": {"token": None, "username": "a", "password": "b"},
    "token and name": {"token": "t", "username": "a"},
    "fields that are all empty": {"token": "", "username": None},
    "a client certificate": FILES,
    "a client certificate and a token": {**FILES, "token": "t"},
    "a certificate without a key": {"client-certificate": "jane.crt"},
    "a key without a certificate": {"client-key": "jane.key", "token": "t"},
    "a certificate that is not there": {"client-certificate": "nowhere", "client-key": "jane.key", "token": "t"},
    "a certificate twice": {**FILES, "client-certificate-data": "LS0="},
    "a certificate that is no base64": {"client-certificate-data": "%", "client-key-data": "LS0="},
    "a plugin": {"exec": EXEC},
    "a plugin and a token": {"exec": EXEC, "token": "t"},
    "a plugin and a token file": {"exec": EXEC, "tokenFile": "token"},
    "a plugin and a name": {"exec": EXEC, "username": "a", "password": "b"},
    "a plugin and a certificate": {"exec": EXEC, **FILES},
    "a plugin without a command, and a token": {"exec": {**EXEC, "command": ""}, "token": "t"},
    "a plugin without interactiveMode": {"exec": {**EXEC, "interactiveMode": ""}},
    "a plugin without apiVersion": {"exec": {**EXEC, "apiVersion": None}},
    "a plugin of v1alpha1": {"exec": {**EXEC, "apiVersion": "client.authentication.k8s.io/v1alpha1"}},
    "a plugin that must ask": {"exec": {**EXEC, "interactiveMode": "Always"}},
    "a plugin of an unknown mode": {"exec": {**EXEC, "interactiveMode": "Sometimes"}},
    "a plugin with a variable without a name": {"exec": {**EXEC, "env": [{"value": "x"}]}},
    "a plugin with a variable that is a number": {"exec": {**EXEC, "env": [{"name": "A", "value": 1}]}},
    "a plugin with null lists": {"exec": {**EXEC, "env": None, "args": None}},
    "a plugin and a provider": {"exec": EXEC, "auth-provider": {"name": "oidc"}},
    "gcp": {"auth-provider": {"name": "gcp"}},
    "azure": {"auth-provider": {"name": "azure"}},
    "gcp and a token": {"auth-provider": {"name": "gcp"}, "token": "t"},
    "an unknown provider": {"auth-provider": {"name": "other"}},
    "oidc without an issuer": {"auth-provider": {"name": "oidc", "config": {"client-id": "c"}}},
    "oidc without tokens": {"auth-provider": {"name": "oidc", "config": {"client-id": "c", "idp-issuer-url": "https://127.0.0.1:1"}}},
    "as": AS,
    "as, with everything": {
        **AS, "as-uid": "7", "as-groups": ["a", "b"],
        "as-user-extra": {"Scopes": ["x", "y"], "example.com/team": ["ü"], "none": []},
    },
    "as, with nulls": {**AS, "as-uid": None, "as-groups": None, "as-user-extra": None},
    "groups without as": {"token": "t", "as-groups": ["a"]},
    "uid without as": {"token": "t", "as-uid": "7"},
    "groups that are a word": {**AS, "as-groups": "a"},
    "extra that is a list": {**AS, "as-user-extra": ["a"]},
    "as, with a line break": {"token": "t", "as": "a\nb"},
    "an unknown field": {"token": "t", "colour": 5},
    "a field in other letters": {"Token": "t", "username": "a"},
}  # fmt: skip
CLUSTERS: dict[str, Any] = {
    "a CA file": {},
    "a CA file beside empty data": {"certificate-authority-data": ""},
    "CA file and data": {"certificate-authority-data": "CA"},
    "CA data": {"certificate-authority": None, "certificate-authority-data": "CA"},
    "a CA that is not there": {"certificate-authority": "nowhere"},
    "a CA that is no certificate": {"certificate-authority": "token"},
    "an empty CA": {"certificate-authority": "blank"},
    "another CA": {"certificate-authority": "-"},
    "unverified": {"certificate-authority": "-", "insecure-skip-tls-verify": True},
    "unverified, with a CA": {"insecure-skip-tls-verify": True},
    "unverified by a word": {"certificate-authority": "-", "insecure-skip-tls-verify": "true"},
    "another name": {"tls-server-name": "kube"},
    "a wrong name": {"tls-server-name": "other"},
    "a path": {"server": "SECURE/a/b/"},
    "a path and a query": {"server": "SECURE/a/b?x=1#y"},
    "a query": {"server": "SECURE?x=1"},
    "a name in the address": {"server": "https://me:p%40ss@PLACE"},
    "plain http on another path": {"server": "http://PLAIN/a"},
    "no scheme, and TLS": {"server": "PLACE"},
    "another scheme": {"server": "ftp://PLACE"},
    "no server": {"server": ""},
    "a proxy of another kind": {"proxy-url": "ftp://127.0.0.1:1"},
    "a proxy without a scheme": {"proxy-url": "127.0.0.1:1"},
    "an empty proxy": {"proxy-url": ""},
    "a server that is a number": {"server": 5},
}
FORMS: dict[str, Any] = {
    "of another kind": {"kind": "Pod"},
    "of another version": {"apiVersion": "v2"},
    "with its kind": {"kind": "Config", "apiVersion": "v1", "preferences": {}},
    "with null lists": {"extensions": None, "preferences": None},
    "a context that is not there": {"current-context": "other"},
    "no current context": {"current-context": ""},
    "contexts null": {"contexts": None},
    "clusters null": {"clusters": None},
    "users that are a map": {"users": {}},
    "a user twice": {"users": [{"name": "u", "user": {"token": "a"}}, {"name": "u", "user": {"token": "b"}}]},
    "a null user beside": {"users": [None, {"name": "u", "user": {"token": "t"}}]},
    "a broken user beside": {"users": [{"name": "u", "user": {"token": "t"}}, {"name": "v", "user": {"token": 5}}]},
    "broken base64 beside": {
        "users": [{"name": "u", "user": {"token": "t"}}, {"name": "v", "user": {"client-key-data": "%"}}]
    },
}


@pytest.mark.parametrize("name", USERS)
def test_users(both: Both, name: str) -> None:
    paths = both.write(both.config(USERS[name]))
    assert both.ours(paths) == both.kubectl(paths)


@pytest.mark.parametrize("name", CLUSTERS)
def test_clusters(both: Both, name: str) -> None:
    text = json.dumps(both.config(None, CLUSTERS[name]))
    words = {
        "SECURE": f"https://{both.secure.place}",
        "PLACE": both.secure.place,
        "PLAIN": both.plain.place,
        '"CA"': f'"{both.ca}"',
    }
    for word, value in words.items():
        text = text.replace(word, value)
    if "http://" in text:
        text = text.replace('{"token": "t"}', '{"as": "jane"}')
    paths = both.write(text)
    expected = both.kubectl(paths)
    assert both.ours(paths) == expected


@pytest.mark.parametrize("name", FORMS)
def test_forms(both: Both, name: str) -> None:
    paths = both.write(both.config(**FORMS[name]))
    assert both.ours(paths) == both.kubectl(paths)


PLAIN_WORDS = [
    "12:30",
    "2001-01-01",
    "1e5",
    "0x1F",
    "010",
    "0o17",
    "1_000",
    "yes",
    "y",
    "on",
    "off",
    "No",
    "~",
    "null",
    "''",
    "1.5",
    ".5",
    "+1",
    "1.",
    "abc",
    "=",
    "<<",
    ".inf",
    ".nan",
    "'5'",
    "0b11",
    "1e",
    "-",
    "1:2:3",
    "*nope",
    "True",
    "tRue",
    "0o8",
    "09",
    "1__0",
    "1e+3",
    "NULL",
    "nuLL",
    "-0x1",
    "_1",
    "0_7",
    "1,000",
    "@a",
    "%a",
    "`a`",
    "a#b",
    "+.5",
    "0.",
    "00",
    "-08",
    "1_",
    ".5e1",
    "e5",
    "...",
    "0b2",
    "+0b1",
    "-.inf",
    "+.inf",
    "-.nan",
    "Inf",
    "N",
    "nO",
    "n",
    "ON",
    "123abc",
]


@pytest.mark.parametrize("word", [*PLAIN_WORDS, "!!str 5", "!foo bar", "&a abc", ">-\n      a\n      b"])
def test_plain_words_of_YAML(both: Both, word: str) -> None:
    paths = both.write(f"{_block(both)}users:\n- name: u\n  user:\n    token: {word}\n")
    assert both.ours(paths) == both.kubectl(paths)


def _block(both: Both) -> str:
    config = both.config()
    return "".join(f"{field}: {json.dumps(config[field])}\n" for field in ("current-context", "clusters", "contexts"))


@pytest.mark.parametrize(
    "text",
    [
        "{head}users: [{{name: u, user: {{token: t}}}}]\n---\nusers: []\n",
        "---\n{head}users: [{{name: u, user: {{token: t}}}}]\n",
        "{head}users: [{{name: u, user: {{token: t, token: t2}}}}]\n",
        "{head}users: [{{name: u, user: {{token: t}}}}]\nusers: [{{name: u, user: {{token: t3}}}}]\n",
        "{head}base: &b {{token: tm}}\nusers: [{{name: u, user: {{<<: *b}}}}]\n",
        "\ufeff{head}users: [{{name: u, user: {{token: t}}}}]\n",
        "{head}users:\n- name: u\n  user:\n\ttoken: t\n",
        "{head}users:\r\n- name: u\r\n  user:\r\n    token: t\r\n",
        "{head}5: 6\nyes: no\nusers: [{{name: u, user: {{token: t, 5: 6}}}}]\n",
        "{head}users: [{{name: u, user: {{token: t}}}}]\n# {{\n",
        "", "\n \n", "# x\n", "---\n", "null", "[]", "abc", "5", "{{}}", "\x00", "{{", "a: [b",
    ],
)  # fmt: skip
def test_files_of_all_forms(both: Both, text: str) -> None:
    paths = both.write(text.format(head=_block(both)))
    assert both.ours(paths) == both.kubectl(paths)


def test_several_files(both: Both) -> None:
    one, two = both.config({"token": "one"}), both.config({"token": "two"})
    rows = [
        (one, two),
        (None, two),
        ("", two),
        (None, None),
        (one, "{"),
        (one, {**two, "kind": "Pod"}),
        ({**one, "current-context": ""}, two),
        ({**one, "current-context": "other"}, two),
        (both.config({"token": "one"}, users=[]), two),
        (both.config(contexts=[{"name": "x", "context": None}]), two),
        ({**one, "clusters": [{"name": "c", "cluster": {}}]}, two),
        ({"contexts": one["contexts"]}, {"users": one["users"]}, {**two, "contexts": []}),
    ]
    seen = [(both.ours(paths), both.kubectl(paths)) for paths in (both.write(*row) for row in rows)]
    assert [ours for ours, _ in seen] == [theirs for _, theirs in seen]
    assert REFUSED not in (seen[0][0], seen[1][0], seen[2][0])


@pytest.mark.parametrize(
    ("config", "theirs", "ours"),
    [
        # A named user that is not there: kubectl asks for a name and a password, and other clients go on as nobody.
        ({"users": []}, REFUSED, REFUSED),
        # Nobody at all: kubectl asks. A library cannot; the server may know us by other means (`kubectl proxy`).
        ({"contexts": [{"name": "x", "context": {"cluster": "c"}}]}, REFUSED, ("/version", ())),
        ({"users": [{"name": "u", "user": {}}]}, REFUSED, ("/version", ())),
        # A line break at the end, as YAML blocks have it.
        ({"users": [{"name": "u", "user": {"token": "t\n"}}]}, REFUSED, ("/version", (("Authorization", "Bearer t"),))),
    ],
)
def test_where_we_differ(both: Both, config: dict[str, Any], theirs: Asked | str, ours: Asked | str) -> None:
    paths = both.write(both.config(**config))
    assert (both.kubectl(paths), both.ours(paths)) == (theirs, ours)


def test_over_plain_http_credentials_are_withheld_except_to_this_machine(both: Both) -> None:
    paths = both.write(both.config(AS, {"server": f"http://{both.plain.place}"}))
    impersonation = ("Impersonate-User", "jane")
    assert both.kubectl(paths) == ("/version", (impersonation,))
    assert both.ours(paths) == ("/version", (("Authorization", "Bearer t"), impersonation))
    proxied = {"server": "http://kube.invalid", "proxy-url": f"http://{both.plain.place}"}
    paths = both.write(both.config(AS, proxied))
    expected = ("http://kube.invalid/version", (impersonation,))
    assert (both.ours(paths), both.kubectl(paths)) == (expected, expected)
