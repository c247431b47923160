"""/metrics over TLS, for tokens that may get it."""

import asyncio
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest

from scopedcache.controller import Manager
from scopedcache.controller.manager.serving_certificate import ServingCertificate
from scopedcache.errors import ConfigurationError
from scopedcache.event_logger import event_of
from scopedcache.testing.embedded.doors.server_certificate import self_signed
from scopedcache.testing.keys import new_private_key, private_pem
from tests.unit.controller.tokens import allow_path, grant_reviews

real = pytest.mark.asyncio(loop_factories=["real"])


def write_certificate(folder):
    key = new_private_key()
    certificate = self_signed(key, datetime.now(UTC))
    (folder / "tls.crt").write_text(certificate)
    (folder / "tls.key").write_text(private_pem(key))
    return certificate


async def scrape(manager, trusted, token=None):
    """Return the answer over TLS; the certificate that was shown has to be the trusted one."""
    context = ssl.create_default_context(cadata=trusted)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"https://127.0.0.1:{manager.addresses[-1].port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=context) as answer:
        return answer.status, await answer.text()


class Running:
    def __init__(self, cache, folder, **options):
        self._manager = Manager(cache, metrics_address="127.0.0.1:0", metrics_cert_path=folder, **options)

    async def __aenter__(self):
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._manager.run(self._stop))
        await asyncio.sleep(0.1)
        return self._manager

    async def __aexit__(self, *_):
        self._stop.set()
        await self._task


@real
async def test_a_token_that_may_get_metrics_sees_them_and_others_do_not(w, tmp_path):
    grant_reviews(w)
    server, trusted = w.server.embedded, write_certificate(tmp_path)
    scraper, stranger = server.user("scraper"), server.user("stranger")
    allow_path(server, scraper, "/metrics")
    async with Running(w.cache, tmp_path) as manager:
        answers = [await scrape(manager, trusted, token) for token in (scraper.token, stranger.token, "nobody", None)]

    assert [status for status, _ in answers] == [200, 403, 401, 401]
    assert "scopedcache_rights" in answers[0][1]
    assert answers[1][1] == "this token may not get /metrics\n"


@real
async def test_a_renewed_certificate_is_shown_to_the_next_connection(w, tmp_path):
    old = write_certificate(tmp_path)
    async with Running(w.cache, tmp_path) as manager:
        assert (await scrape(manager, old))[0] == 401
        new = write_certificate(tmp_path)
        status, _ = await scrape(manager, new)

    assert (status, new != old) == (401, True)


@real
async def test_a_renewed_certificate_that_is_none_is_told_and_the_old_one_goes_on(w, tmp_path, caplog):
    trusted = write_certificate(tmp_path)
    async with Running(w.cache, tmp_path) as manager:
        (tmp_path / "tls.crt").write_text("no certificate")
        status, _ = await scrape(manager, trusted)
        await scrape(manager, trusted)

    assert status == 401
    assert [event_of(record) for record in caplog.records].count("configuration.unreadable") == 1


def test_a_folder_without_a_certificate_is_told_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"tls\.crt and .*tls\.key are no certificate with its key"):
        ServingCertificate(tmp_path)


def test_probes_and_secured_metrics_need_two_addresses(w, tmp_path):
    with pytest.raises(ValueError, match="needs a metrics_address= of its own"):
        Manager(w.cache, health_address=":8081", metrics_address=":8081", metrics_cert_path=tmp_path)
