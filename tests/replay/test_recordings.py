"""What a real API server did in trouble, played again: the cache makes of it what it made of it then."""

import asyncio
import json

import attrs
import pytest

from scopedcache import Client, ScopedCache
from scopedcache.testing import virtual_time
from scopedcache.testing.recorded import Recorded, read_recording
from scopedcache.testing.replay import ReplayTransport

from .life import Life, live
from .record import FOLDER, SECRET, STORIES


async def played(recorded: Recorded) -> Life:
    transport = ReplayTransport(recorded)

    async def meanwhile() -> None:
        await asyncio.sleep(recorded.seconds - transport.now())

    async with Client(transport) as client, ScopedCache(client) as cache:
        await asyncio.sleep(0.5)
        return await live(cache, meanwhile)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.jsonl")))
def test_a_cache_sees_in_a_replay_what_it_saw_of_the_real_server(name: str) -> None:
    path = FOLDER / f"{name}.jsonl"

    life = virtual_time.run(played(read_recording(path)))

    assert attrs.asdict(life) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.jsonl")))
def test_a_recording_is_small_and_holds_no_values(name: str) -> None:
    content = (FOLDER / f"{name}.jsonl").read_text()

    assert len(content) < 200_000
    # The last begins every JSON Web Token: {"alg":…
    assert [word for word in (SECRET, "earer ", "eyJhbGci") if word in content] == []


def test_every_story_is_recorded() -> None:
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == set(STORIES)
