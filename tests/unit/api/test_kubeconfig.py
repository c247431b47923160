"""Kubeconfig documents in, a frozen description out. What kubectl makes of the same is seen in tests/real."""

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.identity.documents import Document, parse
from scopedcache.api.identity.impersonation import headers_for
from scopedcache.api.identity.kubeconfig import may_carry_secrets, resolve, server_url
from scopedcache.api.identity.proxies import bypassed, from_environment, split
from scopedcache.api.identity.rest_config import BasicAuth, OpenIdConnect, Pem, Token, TokenFile
from scopedcache.api.identity.yaml_as_go_reads_it import number, read
from scopedcache.errors import ConfigurationError

CA = base64.b64encode(b"CA").decode()


def document(path="/etc/kube/config", **fields):
    return parse(path, json.dumps(fields).encode())


def of_context(cluster=None, user=None, context=None, name="x"):
    return {
        "current-context": name,
        "clusters": [{"name": "c", "cluster": {"server": "https://kube:6443", **(cluster or {})}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": "t"}}],
    }


def resolved(cluster=None, user=None, context=None, environment=None):
    return resolve([document(**of_context(cluster, user, context))], None, environment or {})


# -- merging: the laws -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])


@st.composite
def configs(draw):
    """A kubeconfig of few names, so that files speak of the same ones; every value says which file it is from."""
    number = draw(st.integers(0, 10**6))

    def entries(kind, body):
        return [{"name": name, kind: body(name)} for name in draw(st.lists(NAMES, unique=True))]

    return {
        "current-context": draw(st.sampled_from(["", None, "a", "b", "c"])),
        "clusters": entries("cluster", lambda name: {"server": f"https://{name}-{number}"}),
        "users": entries("user", lambda name: {"tokenFile": f"{name}-{number}"}),
        "contexts": entries(
            "context", lambda name: {"cluster": draw(NAMES), "user": draw(NAMES), "namespace": f"n{number}"}
        ),
    }


def documents_of(files):
    return [document(f"/folder-{place}/config", **config) for place, config in enumerate(files)]


def outcome(documents, context=None):
    try:
        return attrs.evolve(resolve(documents, context, {}), files=())
    except ConfigurationError as error:
        return str(error)


@given(st.lists(configs(), min_size=1, max_size=4), st.sampled_from([None, "a", "b"]))
def test_of_entries_with_one_name_the_first_files_counts_as_a_whole(files, context):
    """The same as one file that holds, of each name, the first entry: with paths made absolute where it stood."""
    joined = {"current-context": next((one["current-context"] for one in files if one["current-context"]), "")}
    for section, kind in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
        first: dict[str, Any] = {}
        for place, config in enumerate(files):
            for entry in config[section]:
                body = dict(entry[kind])
                if "tokenFile" in body:
                    body["tokenFile"] = f"/folder-{place}/{body['tokenFile']}"
                first.setdefault(entry["name"], {"name": entry["name"], kind: body})
        joined[section] = list(first.values())
    assert outcome(documents_of(files), context) == outcome([document(**joined)], context)


@given(st.lists(configs(), min_size=1, max_size=3), configs())
def test_a_later_file_changes_nothing_that_could_be_resolved_before(files, later):
    before = outcome(documents_of(files))
    if not isinstance(before, str):
        assert outcome(documents_of([*files, later])) == before


@given(st.lists(configs(), max_size=3), st.integers(0, 3))
def test_an_empty_file_anywhere_changes_nothing(files, place):
    found = documents_of(files)
    with_empty = [*found[:place], Document("/empty/config"), *found[place:]]
    assert outcome(with_empty) == outcome(found)


@given(configs(), configs())
def test_the_same_file_twice_is_the_file(one, other):
    found = documents_of([one, other])
    assert outcome([*found, *found]) == outcome(found)


# -- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://kube:6443/", ("https://kube:6443", None)),
        ("https://kube/k8s/clusters/c-1/", ("https://kube/k8s/clusters/c-1", None)),
        ("https://kube/a?x=1#y", ("https://kube/a", None)),
        ("https://[fd00::1]:6443", ("https://[fd00::1]:6443", None)),
        ("https://me:p%40s@kube", ("https://kube", BasicAuth("me", "p@s"))),
        ("kube:8080", ("http://kube:8080", None)),
        ("localhost", ("http://localhost", None)),
    ],
)
def test_the_address_of_a_server(server, expected):
    assert server_url(server) == expected


@pytest.mark.parametrize("server", ["ftp://kube", "https://", "https://kube:port", "kube/path", "https://[::1", "///"])
def test_an_address_that_is_none_is_refused_without_its_password(server):
    with pytest.raises(ConfigurationError, match="the server address"):
        server_url(server)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("https://kube", True),
        ("http://127.0.0.1:8001", True),
        ("http://[::1]", True),
        ("http://localhost", True),
        ("http://kube", False),
        ("http://127.0.0.1.example.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_credentials_go_over_TLS_or_to_this_machine(host, expected):
    found = resolved({"server": host})
    assert may_carry_secrets(host) == expected
    assert (found.login, found.withheld) == ((Token("t"), False) if expected else (None, True))


def test_relative_paths_start_from_the_folder_of_their_own_file():
    one = document("/one/config", **of_context({"certificate-authority": "ca.crt"}))
    user = {"tokenFile": "../token", "client-certificate": "a/crt", "client-key": "/abs/key"}
    two = document("/two/config", users=[{"name": "u", "user": user}])
    found = resolve([two, one], None, {})
    certificate = found.endpoint.certificate
    assert (found.endpoint.ca, found.login, certificate and (certificate.certificate.file, certificate.key.file)) == (
        Pem("/one/ca.crt"),
        TokenFile("/token"),
        ("/two/a/crt", "/abs/key"),
    )


def test_data_stands_for_itself_and_what_is_empty_is_not_there():
    found = resolved({"certificate-authority": "ca.crt", "certificate-authority-data": ""})
    other = resolved({"certificate-authority": None, "certificate-authority-data": f"{CA[:2]}\n{CA[2:]}\r\n"})
    assert (found.endpoint.ca, other.endpoint.ca) == (Pem("/etc/kube/ca.crt"), Pem(data=b"CA"))


@pytest.mark.parametrize(
    ("cluster", "environment", "expected"),
    [
        ({}, {}, None),
        ({}, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({}, {"https_proxy": "p:1"}, "http://p:1"),
        ({}, {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:2"}, None),
        ({}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "kube"}, None),
        ({"proxy-url": "https://q"}, {"HTTPS_PROXY": "http://p:1"}, "https://q"),
        ({"proxy-url": "https://q"}, {"NO_PROXY": "*"}, "https://q"),
        ({"server": "https://127.0.0.1"}, {"HTTPS_PROXY": "http://p:1"}, None),
        ({"server": "https://localhost"}, {"HTTPS_PROXY": "http://p:1"}, None),
        ({"server": "https://127.0.0.1", "proxy-url": "http://q"}, {}, "http://q"),
    ],
)
def test_the_proxy_is_the_kubeconfigs_or_the_environments(cluster, environment, expected):
    assert resolved(cluster, environment=environment).endpoint.proxy == expected


def test_the_password_of_a_proxy_goes_into_a_header():
    found = resolved({"proxy-url": "http://me:p%40ss@proxy:3128"}).endpoint
    header = ("Proxy-Authorization", f"Basic {base64.b64encode(b'me:p@ss').decode()}")
    assert (found.proxy, found.proxy_headers) == ("http://proxy:3128", (header,))
    assert split("http://proxy") == ("http://proxy", ())


@pytest.mark.parametrize("url", ["socks5://me:hunter2@p:1", "socks5h://p", "ftp://p", "p:1", "http://", "http://p:x"])
def test_a_proxy_that_cannot_be_used_is_refused_by_name_and_without_its_password(url):
    for cluster, environment in (
        ({"proxy-url": url}, {}),
        ({}, {"HTTPS_PROXY": url if "://" in url else f"x://{url}"}),
    ):
        with pytest.raises(ConfigurationError, match=r"the (address of the )?proxy") as caught:
            resolved(cluster, environment=environment)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "rule", "expected"),
    [
        ("https://kube:6443", "kube:6443", True),
        ("https://kube:6443", "kube:443", False),
        ("https://kube", "kube:443", True),
        ("https://a.kube", "*.kube", True),
        ("https://[fd00::1]:443", "[fd00::1]:443", True),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://kube", " , ", False),
    ],
)
def test_NO_PROXY_may_name_a_port(url, rule, expected):
    assert bypassed(url, rule) == expected


def test_a_proxy_for_http_is_another_one():
    assert from_environment("http://kube", {"HTTP_PROXY": "http://p", "HTTPS_PROXY": "http://q"}) == "http://p"


# -- as whom ---------------------------------------------------------------------------------------------------------

OIDC = {"idp-issuer-url": "https://idp", "client-id": "c"}


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"token": "a", "username": "b"}, "user 'u' has a token and a username"),
        ({"password": "b"}, "a password and no username"),
        ({"token": None}, "has no credentials: every field for them is empty"),
        ({"token": "", "exec": None}, "has no credentials: every field for them is empty"),
        ({"client-certificate": "x"}, "client-certificate and no client-key"),
        (
            {"client-certificate": "x", "client-certificate-data": CA},
            "gives client-certificate and client-certificate-data",
        ),
        ({"auth-provider": {"name": "gcp"}}, "'gcp', which Kubernetes has removed: .*gke-gcloud-auth-plugin"),
        ({"auth-provider": {"name": "azure"}, "token": "t"}, "'azure', which Kubernetes has removed: .*kubelogin"),
        ({"auth-provider": {"name": "x"}}, "'x', which is not known"),
        ({"auth-provider": {"name": "oidc", "config": {"client-id": "c"}}}, "names no idp-issuer-url"),
        ({"auth-provider": {"name": "oidc", "config": {**OIDC, "client-id": None}}}, "names no client-id"),
        ({"token": "t", "as-groups": ["a"]}, "no `as`"),
        ({"token": "t", "as-uid": "a"}, "no `as`"),
        ({"token": "t", "as-user-extra": {"a": ["b"]}}, "no `as`"),
        ({"token": "a\nb"}, "the token has a line break"),
        ({"token": "t", "as": "a", "as-groups": ["b\r\nX: y"]}, "the impersonation has a line break"),
    ],
)
def test_a_user_who_contradicts_himself_is_refused(user, words):
    with pytest.raises(ConfigurationError, match=words):
        resolved(user=user)


@pytest.mark.parametrize(
    ("top", "words"),
    [
        ({"users": []}, "context 'x' names the user 'u', who is not there"),
        ({"clusters": []}, "context 'x' names the cluster 'c', which is not there"),
        ({"current-context": ""}, "it names no current-context; it has: x"),
        ({"current-context": "y"}, "it has no context 'y'; it has: x"),
        ({"contexts": None}, "it has no context 'x'; it has: none"),
        ({"clusters": [{"name": "c", "cluster": {}}]}, "cluster 'c' names no server"),
    ],
)
def test_what_is_not_there_is_named(top, words):
    with pytest.raises(ConfigurationError, match=words):
        resolve([document(**{**of_context(), **top})], None, {})


@pytest.mark.parametrize("user", [{}, None])
def test_who_is_meant_to_have_no_credentials_has_none(user):
    config = {**of_context(), "users": [{"name": "u", "user": user}]}
    assert resolve([document(**config)], None, {}).login is None


def test_the_settings_of_oidc():
    config = {**OIDC, "client-secret": "s", "id-token": "i", "refresh-token": "r", "idp-certificate-authority-data": CA}
    found = resolved(user={"auth-provider": {"name": "oidc", "config": config}})
    assert found.login == OpenIdConnect("https://idp", "c", "s", "i", "r", Pem(data=b"CA"))


def test_every_value_of_an_impersonation_has_a_header():
    assert headers_for("jane", "7", ["a", "b"], {"scopes": ["x", "y"], "example.com/team": ["ü"], "none": []}) == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-scopes", "x"),
        ("Impersonate-Extra-scopes", "y"),
        ("Impersonate-Extra-example.com%2Fteam", "ü"),
    )


# -- the text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"users": {}}', "users is not of the right type"),
        ('{"users": [{"name": "u", "user": {"token": 5}}]}', r"users\[0\]\.user\.token is not of the right type"),
        ('{"users": [{"name": "u"}, {"name": "u"}]}', "users names 'u' twice"),
        ('{"clusters": [null, {"cluster": {}}]}', "clusters names '' twice"),
        ('{"kind": "Pod"}', "not of kind Config"),
        ('{"apiVersion": "v2"}', "not of kind Config"),
        ('{"users": [{"name": "u", "user": {"client-key-data": "%"}}]}', "client-key-data of 'u' is not base64"),
        ("[]", "not a mapping"),
        ("a: [b", r"not YAML \(line"),
    ],
)
def test_a_document_that_is_no_kubeconfig_is_refused(content, words):
    with pytest.raises(ConfigurationError, match=words):
        parse("/config", content.encode())


@given(st.integers(-(10**20), 10**20))
def test_whole_numbers_are_numbers(value):
    assert number(str(value)) == value


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_quoted_text_is_text(text):
    assert read(json.dumps({"a": text}).encode()) == {"a": text}


def test_a_mapping_has_text_keys():
    assert read(b"5: a\nyes: b\n") == {"5": "a", "True": "b"}


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: *a}", "!!python/object:os.system x", "? [a]\n: b", "{" * 3000])
def test_odd_YAML_is_harmless(text):
    try:
        read(text.encode())
    except ConfigurationError as error:
        assert "not YAML" in str(error)  # noqa: PT017  # either is right
