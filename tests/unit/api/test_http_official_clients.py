"""ApiClients of other libraries over our credentials. tests/real shows them against a real server."""

import asyncio
import json
import subprocess
import sys

import pytest
from aiohttp import web

from scopedcache import sync
from scopedcache.api.client import Client
from scopedcache.api.configuration import Configuration
from scopedcache.api.identity.rest_config import Endpoint, ExecPlugin, Pem, RestConfig, TokenFile
from scopedcache.errors import ConfigurationError
from scopedcache.testing import EmbeddedCluster
from tests.unit.api.certificates import Authority
from tests.unit.api.http_server import serving
from tests.unit.api.test_http_identity import tls_for
from tests.unit.informer.fake_transport import FakeTransport, status

IMPERSONATION = (("Impersonate-User", "jane"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))
NAMESPACES = {"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": [{"metadata": {"name": "one"}}]}


@pytest.fixture
async def server(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    async with serving(tls_for(authority)) as made:
        made.authority = authority

        async def handler(request):
            known = request.headers.get("Authorization") == f"Bearer {made.token}"
            body = NAMESPACES if known else status(401, "Unauthorized")
            return web.json_response(body, status=200 if known else 401)

        made.token, made.handler = "old", handler
        yield made


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    return file


@pytest.fixture
async def client(server, token):
    endpoint = Endpoint(server.url, Pem(data=server.authority.certificate.read_bytes()))
    config = RestConfig(endpoint, TokenFile(str(token)), impersonation=IMPERSONATION)
    async with Client.configured(Configuration(lambda: config)) as made:
        yield made


async def names_from_asyncio(client):
    from kubernetes_asyncio.client import CoreV1Api

    api = client.kubernetes_asyncio()
    listed = await CoreV1Api(api).list_namespace()
    await api.close()
    return [item.metadata.name for item in listed.items]


async def names_from_threads(client):
    from kubernetes.client import CoreV1Api

    with client.kubernetes() as api:
        listed = await asyncio.to_thread(CoreV1Api(api).list_namespace)
    return [item.metadata.name for item in listed.items]


EITHER = pytest.mark.parametrize("names", [names_from_asyncio, names_from_threads])


@EITHER
async def test_their_requests_say_who_we_are_and_whom_we_act_as(server, client, names):
    assert await names(client) == ["one"]
    headers = server.seen[0].headers
    assert (headers.getall("Authorization"), headers.getall("Impersonate-Group")) == (["Bearer old"], ["a", "b"])


@EITHER
async def test_their_requests_take_a_new_token_after_a_401(server, client, token, names):
    await names(client)
    server.token = "new"
    token.write_text("new")
    assert await names(client) == ["one"]


@EITHER
async def test_one_client_outlives_its_token(server, client, token, names):
    """The ApiClient was made before the token changed."""
    from kubernetes.client import CoreV1Api
    from kubernetes_asyncio.client import CoreV1Api as AsyncCoreV1Api

    theirs, ours = client.kubernetes(), client.kubernetes_asyncio()
    server.token = "new"
    token.write_text("new")
    if names is names_from_asyncio:
        assert (await AsyncCoreV1Api(ours).list_namespace()).items
    else:
        assert (await asyncio.to_thread(CoreV1Api(theirs).list_namespace)).items
    await ours.close()
    theirs.close()


@EITHER
async def test_their_own_error_is_raised_for_a_refusal(server, client, names):
    server.token = "other"
    with pytest.raises(Exception, match="401") as caught:
        await names(client)
    assert type(caught.value).__name__ in ("ApiException", "UnauthorizedException")


async def test_a_call_on_the_loops_own_thread_uses_what_is_known():
    """It would wait for itself. The server runs in a thread of its own."""
    from kubernetes.client import CoreV1Api

    with EmbeddedCluster.start(http=True) as cluster:
        async with Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
            with client.kubernetes() as api:
                listed = CoreV1Api(api).list_namespace(_preload_content=False)
    assert listed.status == 200


async def test_a_call_on_the_loops_own_thread_without_credentials_says_what_to_do():
    from kubernetes.client import CoreV1Api

    plugin = ExecPlugin("true", "client.authentication.k8s.io/v1", "Never")
    config = RestConfig(Endpoint("http://127.0.0.1:1"), plugin)
    async with Client.configured(Configuration(lambda: config)) as client:
        with client.kubernetes() as api, pytest.raises(ConfigurationError, match="call from a thread, or await"):
            CoreV1Api(api).list_namespace()


async def test_a_client_in_process_has_no_way_for_other_libraries():
    client = Client(FakeTransport())
    for make in (client.kubernetes, client.kubernetes_asyncio):
        with pytest.raises(ConfigurationError, match="does not speak HTTP"):
            make()


def test_the_libraries_are_not_imported_before_they_are_asked_for(tmp_path):
    """Each takes as long to import as everything else together."""
    path = tmp_path / "config"
    path.write_text(
        '{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c"}}],'
        ' "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]}'
    )
    program = f"""
import asyncio, sys, scopedcache
async def main():
    async with scopedcache.Client.connect(kubeconfig={str(path)!r}) as client:
        try:
            await client.version()
        except scopedcache.TransportError:
            print([name for name in ("kubernetes", "kubernetes_asyncio") if name in sys.modules])
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_blocking_twin_hands_out_the_blocking_client(tmp_path):
    from kubernetes.client import CoreV1Api

    with EmbeddedCluster.start(http=True) as cluster:
        with sync.Client.connect(kubeconfig=cluster.admin.kubeconfig) as client, client.kubernetes() as api:
            listed = CoreV1Api(api).list_namespace(_preload_content=False)
            names = {item["metadata"]["name"] for item in json.loads(listed.data)["items"]}
    assert "default" in names
