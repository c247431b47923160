"""Where the API server is and who we are: kubeconfigs, accounts, tokens that change."""

import asyncio
import os
import threading

import pytest
import yaml

from scopedcache.api.configuration import (
    RELOAD_PAUSE_SECONDS,
    Configuration,
    from_kubeconfig,
    load,
    of_client,
)
from scopedcache.api.identity.ready_client import FRESH_SECONDS
from scopedcache.api.identity.rest_config import Endpoint, RestConfig, TokenFile
from scopedcache.errors import ConfigurationError
from scopedcache.event_logger import event_of

INSECURE = {"insecure-skip-tls-verify": True}
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "one",
    "clusters": [
        {"name": "c1", "cluster": {"server": "https://one.example:6443/"}},
        {"name": "c2", "cluster": {"server": "https://[::1]:6443", "tls-server-name": "kube", **INSECURE}},
        {"name": "c3", "cluster": {"server": "https://three.example", "proxy-url": "http://proxy:3128"}},
    ],
    "users": [
        {"name": "u1", "user": {"token": "secret-1"}},
        {"name": "u2", "user": {"tokenFile": "token"}},
        {"name": "u3", "user": {"username": "me", "password": "pw"}},
        {"name": "u4", "user": {}},
    ],
    "contexts": [
        {"name": "one", "context": {"cluster": "c1", "user": "u1", "namespace": "home"}},
        {"name": "two", "context": {"cluster": "c2", "user": "u2"}},
        {"name": "three", "context": {"cluster": "c3", "user": "u3"}},
        {"name": "four", "context": {"cluster": "c1", "user": "u4"}},
    ],
}  # fmt: skip


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in (
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    (tmp_path / "token").write_text("from-file\n")
    return path


# -- finding the way -------------------------------------------------------------------------------------------------


async def test_a_kubeconfig_says_where_who_and_which_namespace(kubeconfig):
    found = from_kubeconfig(str(kubeconfig))
    assert (found.endpoint.host, found.namespace, await found.authorization()) == (
        "https://one.example:6443", "home", "Bearer secret-1",
    )  # fmt: skip


async def test_a_context_may_be_chosen(kubeconfig):
    found = from_kubeconfig(str(kubeconfig), "two")
    assert (found.endpoint.host, found.endpoint.server_name, found.endpoint.verify) == (
        "https://[::1]:6443",
        "kube",
        False,
    )
    assert (found.namespace, await found.authorization()) == (None, "Bearer from-file")


async def test_a_chosen_context_needs_no_current_one(kubeconfig):
    kubeconfig.write_text(yaml.safe_dump({**KUBECONFIG, "current-context": ""}))
    assert from_kubeconfig(str(kubeconfig), "one").namespace == "home"
    assert await from_kubeconfig(str(kubeconfig), "two").authorization() == "Bearer from-file"


async def test_a_password_is_sent_as_it_is(kubeconfig):
    assert await from_kubeconfig(str(kubeconfig), "three").authorization() == "Basic bWU6cHc="


async def test_without_credentials_no_header_is_sent(kubeconfig):
    assert await from_kubeconfig(str(kubeconfig), "four").authorization() is None


async def test_several_kubeconfigs_are_joined_as_kubectl_joins_them(kubeconfig, tmp_path):
    other = tmp_path / "deeper" / "other"
    other.parent.mkdir()
    (other.parent / "token").write_text("deep")
    users = [{"name": "u9", "user": {"tokenFile": "token"}}]
    contexts = [{"name": "nine", "context": {"cluster": "c1", "user": "u9", "namespace": "nine"}}]
    other.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "users": users, "contexts": contexts}))

    found = from_kubeconfig(os.pathsep.join([str(kubeconfig), str(other)]), "nine")

    assert (found.endpoint.host, found.namespace) == ("https://one.example:6443", "nine")
    assert await found.authorization() == "Bearer deep"


def test_the_environment_names_a_kubeconfig(kubeconfig, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert (load().namespace, load(context="two").endpoint.host) == ("home", "https://[::1]:6443")


def test_the_home_folder_is_the_last_resort(kubeconfig, monkeypatch, tmp_path):
    (tmp_path / ".kube").mkdir()
    kubeconfig.rename(tmp_path / ".kube" / "config")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load().namespace == "home"


@pytest.mark.parametrize("path", ["/nowhere/config", f"/nowhere/a{os.pathsep}/nowhere/b"])
def test_a_missing_kubeconfig_is_named_with_the_way_to_name_another(path):
    with pytest.raises(ConfigurationError, match=f"kubeconfig {path} does not exist; .*--kubeconfig or KUBECONFIG"):
        load(path)


def test_a_pod_without_a_mounted_account_says_so(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ConfigurationError, match=r"not running in a cluster: .*token"):
        load()


def test_an_unknown_context_names_the_known_ones(kubeconfig):
    with pytest.raises(ConfigurationError, match="has no context 'five'; it has: one, two, three, four"):
        from_kubeconfig(str(kubeconfig), "five")


@pytest.mark.parametrize("content", ["{", "", "[]", "a: [b", "contexts: {}", "current-context: x", "\x00"])
@pytest.mark.parametrize("context", [None, "one"])
def test_a_broken_kubeconfig_is_named_in_one_line(kubeconfig, content, context):
    kubeconfig.write_text(content)
    with pytest.raises(ConfigurationError, match=f"kubeconfig {kubeconfig} cannot be used: ") as caught:
        from_kubeconfig(str(kubeconfig), context)
    assert "\n" not in str(caught.value)


def test_what_is_no_YAML_is_named_with_its_place(kubeconfig):
    kubeconfig.write_text("contexts:\n- name: [b")
    with pytest.raises(ConfigurationError, match=r"it is not YAML \(line \d+, column \d+\)"):
        from_kubeconfig(str(kubeconfig))


def test_a_missing_certificate_file_is_named(kubeconfig):
    clusters = [{"name": "c1", "cluster": {"server": "https://one", "certificate-authority": "missing.crt"}}]
    kubeconfig.write_text(yaml.safe_dump({**KUBECONFIG, "clusters": clusters}))
    with pytest.raises(ConfigurationError, match=r"missing\.crt"):
        from_kubeconfig(str(kubeconfig))


# -- proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "rules", "bypassed"),
    [
        ("https://10.96.0.1:443", "10.0.0.0/8", True),
        ("https://10.96.0.1:443", "10.96.0.1", True),
        ("https://10.96.0.1:443", "localhost, 10.96.0.0/12 ,.svc", True),
        ("https://[fd00::1]:443", "fd00::/8", True),
        ("https://kube.default.svc", ".svc", True),
        ("https://kube.default.svc", "svc", True),
        ("https://kube.default.svc", "default.svc", True),
        ("https://KUBE.example:6443", "kube.example:6443", True),
        ("https://kube.example", "*", True),
        ("https://kube.example", "other.example,example.org", False),
        ("https://notexample", "example", False),
        ("https://10.96.0.1", "192.168.0.0/16", False),
        ("https://10.96.0.1", "", False),
    ],
)
def test_hosts_that_NO_PROXY_names_are_reached_directly(monkeypatch, host, rules, bypassed):
    from kubernetes.client import Configuration as Given

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", rules)

    found = of_client(Given(host=host))

    assert found.endpoint.proxy == (None if bypassed else "http://proxy:3128")


def test_a_kubeconfig_may_name_its_proxy(kubeconfig):
    assert from_kubeconfig(str(kubeconfig), "three").endpoint.proxy == "http://proxy:3128"


# -- ready clients ---------------------------------------------------------------------------------------------------


async def test_ready_clients_of_three_libraries_are_taken():
    import kubernetes.aio.client
    import kubernetes.client
    import kubernetes_asyncio.client

    headers = []
    for library in (kubernetes.client, kubernetes.aio.client, kubernetes_asyncio.client):
        given = library.Configuration(host="https://x/")
        given.api_key["BearerToken"] = "Bearer t"
        found = of_client(given)
        headers.append((found.endpoint.host, await found.authorization()))
    assert headers == [("https://x", "Bearer t")] * 3


def test_what_is_no_client_is_named():
    with pytest.raises(ConfigurationError, match="dict is neither an ApiClient nor a Configuration"):
        of_client({})


# -- tokens that change ----------------------------------------------------------------------------------------------


class Given:
    """A configuration of a client whose token the test changes; it counts how often it was asked."""

    host = "https://x"

    def __init__(self, token):
        self.token = token
        self.asked = 0

    def auth_settings(self):
        self.asked += 1
        if isinstance(self.token, Exception):
            raise self.token
        return {"BearerToken": {"value": self.token}}


class Source:
    """Loads a Given; `gate` lets the test hold it up."""

    def __init__(self, token="t1"):
        self.given = Given(token)
        self.loads = 0
        self.trouble = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.loads += 1
        self.gate.wait(5)
        if self.trouble is not None:
            raise self.trouble
        return self.given


@pytest.fixture
def clock():
    return Clock()


def with_token_in(file, timer=Clock()):  # noqa: B008  # it never runs
    return Configuration(lambda: RestConfig(Endpoint("https://x"), TokenFile(str(file))), timer=timer)


async def test_a_header_is_asked_for_once_in_a_while(clock):
    source = Source()
    found = Configuration(source, timer=clock)
    for _ in range(3):
        await found.authorization()
    source.given.token = "t2"
    before = await found.authorization()
    clock.now += FRESH_SECONDS
    assert (before, await found.authorization(), source.given.asked) == ("Bearer t1", "Bearer t2", 2)


async def test_a_token_file_is_read_again(tmp_path, clock):
    file = tmp_path / "token"
    file.write_text("one\n")
    found = with_token_in(file, clock)
    first = await found.authorization()
    file.write_text("two\n")
    clock.now += FRESH_SECONDS
    assert (first, await found.authorization()) == ("Bearer one", "Bearer two")


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read the token file"), ("\n", "is empty")])
async def test_a_token_file_that_cannot_be_read_at_all_is_named(tmp_path, content, message):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=f"{message}|{file}"):
        await with_token_in(file).authorization()


async def test_a_token_file_that_vanishes_for_a_moment_changes_nothing(tmp_path, clock, caplog):
    """A kubelet that replaces it, a full disk: the token we have is still good, and a 401 tells when it is not."""
    file = tmp_path / "token"
    file.write_text("one")
    found = with_token_in(file, clock)
    await found.authorization()
    file.unlink()
    clock.now += FRESH_SECONDS
    assert await found.authorization() == "Bearer one"
    assert [event_of(record) for record in caplog.records] == ["credentials.unreadable"]


async def test_after_a_401_a_token_file_is_read_at_once(tmp_path, clock):
    file = tmp_path / "token"
    file.write_text("one")
    found = with_token_in(file, clock)
    refused = await found.authorization()
    same = await found.reload(refused)
    file.write_text("two")
    assert (same, await found.reload(refused), await found.authorization()) == (False, True, "Bearer two")


async def test_after_a_401_everything_is_loaded_anew_but_not_too_often(clock):
    source = Source()
    found = Configuration(source, timer=clock)
    refused = await found.authorization()
    clock.now += RELOAD_PAUSE_SECONDS
    answers = [await found.reload(refused) for _ in range(5)]
    source.given = Given("t2")
    clock.now += RELOAD_PAUSE_SECONDS
    answers.append(await found.reload(refused))
    assert (answers, source.loads) == ([False] * 5 + [True], 3)


async def test_a_header_that_changed_meanwhile_needs_no_loading(clock):
    source = Source()
    found = Configuration(source, timer=clock)
    await found.authorization()
    assert (await found.reload("Bearer older"), source.loads) == (True, 1)


async def test_many_401s_at_once_load_once(clock):
    source = Source()
    found = Configuration(source, timer=clock)
    refused = await found.authorization()
    source.given = Given("t2")
    clock.now += RELOAD_PAUSE_SECONDS
    answers = await asyncio.gather(*(found.reload(refused) for _ in range(20)))
    assert (answers, source.loads) == ([True] * 20, 2)


async def test_a_mere_look_at_the_token_does_not_stand_in_for_loading(clock):
    """A look and a 401 at the same time: the look brings the old header again, the loading the new one."""
    source = Source()
    found = Configuration(source, timer=clock)
    refused = await found.authorization()
    source.loads = 0
    clock.now += FRESH_SECONDS
    fresh = Given("t2")

    looking = asyncio.ensure_future(found.authorization())
    await asyncio.sleep(0)
    source_given, source.given = source.given, fresh
    renewed = await found.reload(refused)

    assert (renewed, source.loads, await found.authorization()) == (True, 1, "Bearer t2")
    assert (await looking in ("Bearer t1", "Bearer t2"), source_given.token) == (True, "t1")


async def test_what_cannot_be_loaded_anew_stays_and_the_401_stands(clock, caplog):
    source = Source()
    found = Configuration(source, timer=clock)
    refused = await found.authorization()
    source.trouble = ConfigurationError("kubeconfig is gone")
    clock.now += RELOAD_PAUSE_SECONDS
    assert (await found.reload(refused), await found.authorization(), found.endpoint.host) == (
        False,
        refused,
        "https://x",
    )
    assert [event_of(record) for record in caplog.records] == ["configuration.unreadable"]


@pytest.mark.parametrize("trouble", [RuntimeError("no login"), OSError("no such plugin"), KeyError("token")])
async def test_credentials_that_cannot_be_had_are_a_ConfigurationError(trouble):
    with pytest.raises(ConfigurationError, match="the credentials cannot be had: "):
        await Configuration(Source(trouble)).authorization()


async def test_who_stops_waiting_leaves_the_reading_to_the_others(clock):
    source = Source()
    found = Configuration(source, timer=clock)
    refused = await found.authorization()
    source.given = Given("t2")
    source.gate.clear()
    clock.now += RELOAD_PAUSE_SECONDS
    leaving, staying = (asyncio.ensure_future(found.reload(refused)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert (await staying, leaving.cancelled(), source.loads) == (True, True, 2)
