"""The spool on real files: in order, within its bound, and gone when it is replayed."""

import asyncio
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from hub.connector import Hook
from hub.errors import SpoolRefused
from hub.spool_files import survey
from hub.spool_records import pack, unpack
from tests.hub.spooling import SMS, WA, drained, filled, hook, opened, segments

TO_WRITE = os.O_WRONLY | os.O_CLOEXEC


@given(
    st.text(),
    st.dictionaries(st.text(), st.text()),
    st.binary(),
    st.integers(0, 2**62),
)
def test_a_record_is_the_hook_again(
    url: str, headers: dict[str, str], body: bytes, at: int
) -> None:
    lower: dict[str, str] = {}
    for name, value in headers.items():
        lower.setdefault(name.lower(), value)
    record = pack(Hook("POST", url, url[::-1], headers, body, at))
    assert unpack(record[12:]) == Hook("POST", url, url[::-1], lower, body, at)


def test_headers_are_asked_by_lower_case_names_and_may_hold_raw_bytes() -> None:
    raw = b"caf\xe9".decode("utf-8", "surrogateescape")
    headers = CIMultiDict([("X-Hub-Signature-256", "sha256=1"), ("X-Odd", raw), ("x-odd", "2")])
    found = unpack(pack(Hook("POST", "/", "", headers, b"", 1))[12:])
    assert dict(found.headers) == {"x-hub-signature-256": "sha256=1", "x-odd": raw}


async def test_what_is_appended_is_read_in_order_and_then_gone(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        assert not (tmp_path / "spool").exists(), "nothing is made before it is needed"
        for n in range(20):
            assert await spool.holds() is (n > 0)
            await spool.append(WA if n % 3 else SMS, hook(f"{n}", n))
        assert (spool.counts.waiting, spool.counts.appended) == (20, 20)
        assert await drained(spool) == [f"{n}" for n in range(20)]
        assert not await spool.holds()
        assert segments(tmp_path) == []
        assert (spool.counts.replayed, spool.counts.waiting, spool.counts.bytes) == (20, 0, 0)
        await spool.append(WA, hook("again"))
        assert await drained(spool) == ["again"]


async def test_appending_and_draining_at_once_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, 200_000) as spool:
        found: list[str] = []

        async def drain() -> None:
            while len(found) < 600:
                found.extend(await drained(spool, most=7))
                await asyncio.sleep(0)

        draining = asyncio.create_task(drain())
        for n in range(600):
            await spool.append(WA, hook(f"{n} " + "x" * 500))
            if n % 50 == 0:
                await asyncio.sleep(0.01)
        await draining
    assert [int(text.partition(" ")[0]) for text in found] == list(range(600))
    assert segments(tmp_path) == []


async def test_a_start_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    await filled(tmp_path, 10)
    async with opened(tmp_path) as spool:
        assert await spool.holds()
        assert spool.counts.waiting == 10
        batch = await spool.read(4)
        await spool.advance(batch)
        unnoted = await spool.read(2)
        assert [one.body for _, one in unnoted.hooks] == [b"hook 4", b"hook 5"]
    async with opened(tmp_path) as spool:
        await spool.append(WA, hook("hook 10"))
        assert await drained(spool) == [f"hook {n}" for n in range(4, 11)]


async def test_the_bound_is_over_all_channels_and_room_comes_back(tmp_path: Path) -> None:
    size = len(pack(hook("x" * 1000)))
    async with opened(tmp_path, 20 * size) as spool:
        for n in range(20):
            await spool.append(WA if n % 2 else SMS, hook("x" * 1000))
        for key in (WA, SMS, "another"):
            with pytest.raises(SpoolRefused, match="full"):
                await spool.append(key, hook("x" * 1000))
        assert (spool.counts.refused, spool.counts.bytes) == (3, 20 * size)
        assert sum(path.stat().st_size for path in segments(tmp_path)) == 20 * size
        await spool.advance(await spool.read(10))
        assert spool.counts.bytes <= 18 * size, "room comes back before all is replayed"
        await spool.append(WA, hook("x" * 1000))
    async with opened(tmp_path, size) as spool:
        with pytest.raises(SpoolRefused):
            await spool.append(WA, hook(""))


async def test_hooks_that_come_together_share_a_sync(tmp_path: Path) -> None:
    syncs = 0

    def count(event: str, args: tuple[object, ...]) -> None:
        nonlocal syncs
        syncs += event == "open" and str(args[0]).endswith(".log") and args[2] == TO_WRITE

    # An audit hook cannot be taken away again; it counts opens to write, one for each sync.
    sys.addaudithook(count)
    async with opened(tmp_path) as spool:
        await spool.append(WA, hook("first"))
        syncs = 0
        await asyncio.gather(*(spool.append(WA, hook(f"{n}")) for n in range(500)))
        assert 1 <= syncs <= 3
        assert len(await drained(spool, most=64)) == 501


async def test_the_loop_goes_on_while_the_disk_works(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        longest = 0.0

        async def tick() -> None:
            nonlocal longest
            while True:
                begun = time.monotonic()
                await asyncio.sleep(0)
                longest = max(longest, time.monotonic() - begun)

        ticking = asyncio.create_task(tick())
        release = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stall() -> None:
            time.sleep(0.5)
            loop.call_soon_threadsafe(release.set)

        stalled = loop.run_in_executor(spool._thread, stall)
        await spool.append(WA, hook())
        assert release.is_set(), "the append waited for its turn in the thread"
        await stalled
        ticking.cancel()
        assert longest < 0.4


async def test_two_processes_keep_apart_and_one_inherits(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        await one.append(WA, hook("one"))
        async with opened(tmp_path) as two:
            assert two.counts.waiting == 0
            await two.append(WA, hook("two"))
            assert await one.adopt() == 0
        assert await one.adopt() == 1
        assert await drained(one) == ["one", "two"]
        assert await one.adopt() == 0


async def test_new_hooks_wait_while_the_last_ones_are_stored(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        for n in range(3):
            await spool.append(WA, hook(f"{n}"))
        batch = await spool.read(3)
        async with spool.ending(batch):
            asking = asyncio.create_task(spool.holds())
            await asyncio.sleep(0.05)
            assert not asking.done()
            await spool.advance(batch)
        assert await asking is False
        await spool.append(WA, hook("3"))
        await spool.append(WA, hook("4"))
        batch = await spool.read(1)
        async with spool.ending(batch):
            assert await asyncio.wait_for(spool.holds(), 1) is True


async def test_a_cancelled_append_is_kept_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        appending = asyncio.create_task(spool.append(WA, hook("left")))
        await asyncio.sleep(0)
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        await spool.append(WA, hook("next"))
        assert await drained(spool) == ["left", "next"]


async def test_what_is_put_aside_stays_on_the_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.append(WA, hook("odd"))
        await spool.append(WA, hook("good"))
        await spool.advance(await spool.read(1), aside=True)
        assert await drained(spool) == ["good"]
        assert (spool.counts.aside, spool.counts.replayed) == (1, 1)
    path = tmp_path / "1" / WA / "aside"
    assert path.read_bytes() == pack(hook("odd"))
    assert survey(tmp_path)[WA].unusable == len(pack(hook("odd")))


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = await filled(tmp_path / "spool", 1)
    modes = [os.stat(one).st_mode & 0o077 for one in (path, path.parent, path.parents[1])]
    assert modes == [0, 0, 0]


@given(st.lists(st.tuples(st.sampled_from([WA, SMS]), st.integers(0, 9)), max_size=30))
def test_channels_are_merged_by_time_and_each_keeps_its_order(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, int]]
) -> None:
    async def run() -> list[str]:
        async with opened(tmp_path_factory.mktemp("merged")) as spool:
            for number, (key, at) in enumerate(said):
                await spool.append(key, hook(f"{number}", at))
            return await drained(spool, 4)

    found = [int(text) for text in asyncio.run(run())]
    for key in (WA, SMS):
        own = [number for number, (of, _) in enumerate(said) if of == key]
        assert [number for number in found if said[number][0] == key] == own
    if all(at <= later for (_, at), (_, later) in pairwise(said)):
        assert [said[number][1] for number in found] == [at for _, at in said]


async def test_hooks_of_a_channel_that_is_gone_hold_up_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.append("telegram.gone", hook("old"))
        assert not await spool.holds()
        await spool.append(WA, hook("new"))
        assert await drained(spool) == ["new"]
        assert spool.counts.waiting == 1
    async with opened(tmp_path, keys=["telegram.gone"]) as spool:
        assert await drained(spool) == ["old"]
