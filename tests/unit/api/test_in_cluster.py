"""The account of the Pod we run in."""

import pytest

from scopedcache.api.configuration import Configuration, load
from scopedcache.api.identity.in_cluster import service_account
from scopedcache.api.identity.rest_config import Pem, TokenFile
from scopedcache.api.identity.token_source import FRESH_SECONDS
from scopedcache.errors import ConfigurationError
from scopedcache.event_logger import event_of

ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path):
    for name, content in (("token", "one\n"), ("ca.crt", "CA"), ("namespace", "home\n")):
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("10.96.0.1", "443", "https://10.96.0.1:443"),
        ("fd00::1", "443", "https://[fd00::1]:443"),
        ("[fd00::1]", "6443", "https://[fd00::1]:6443"),
        ("kubernetes.default.svc", "443", "https://kubernetes.default.svc:443"),
    ],
)
def test_the_server_is_the_one_that_the_environment_names(account, host, port, url):
    found = service_account({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}, account)
    assert (found.endpoint.host, found.endpoint.ca, found.login, found.namespace) == (
        url,
        Pem(str(account / "ca.crt")),
        TokenFile(str(account / "token")),
        "home",
    )


def test_a_proxy_of_the_environment_counts_unless_NO_PROXY_names_the_cluster(account):
    proxied = {**ENVIRONMENT, "HTTPS_PROXY": "http://p:1"}
    found = [service_account(env, account).endpoint.proxy for env in (proxied, {**proxied, "NO_PROXY": "10.0.0.0/8"})]
    assert found == ["http://p:1", None]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "token").unlink(), "cannot read .*/token: No such file or directory; .*automount"),
        (lambda folder: (folder / "token").write_text("\n"), "token is empty"),
        (lambda folder: (folder / "ca.crt").unlink(), r"cannot read .*/ca\.crt"),
        (lambda folder: (folder / "ca.crt").write_text(""), r"ca\.crt is empty"),
    ],
)
def test_an_account_that_cannot_be_used_says_so(account, change, words):
    change(account)
    with pytest.raises(ConfigurationError, match=f"not running in a cluster: .*{words}"):
        service_account(ENVIRONMENT, account)


def test_half_an_environment_is_none(account):
    with pytest.raises(ConfigurationError, match="not both set"):
        service_account({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, account)


async def test_a_rotated_token_is_taken_and_an_emptied_one_is_not(account, caplog):
    now = [0.0]
    configuration = Configuration(lambda: service_account(ENVIRONMENT, account), timer=lambda: now[0])
    seen = [await configuration.authorization()]
    for content in ("", "two"):
        (account / "token").write_text(content)
        now[0] += FRESH_SECONDS
        seen.append(await configuration.authorization())
    assert seen == ["Bearer one", "Bearer one", "Bearer two"]
    assert [event_of(record) for record in caplog.records] == ["credentials.unreadable"]


def test_a_named_kubeconfig_goes_before_the_account(monkeypatch, tmp_path):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="kubeconfig /nowhere does not exist"):
        load("/nowhere")
    monkeypatch.setenv("KUBECONFIG", "/nowhere/else")
    with pytest.raises(ConfigurationError, match="kubeconfig /nowhere/else does not exist"):
        load()
