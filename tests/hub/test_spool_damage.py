"""The spool is killed, torn, damaged and refused by its disk: what it has acknowledged is there,
whole and in order."""

import asyncio
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.errors import SpoolRefused
from hub.spool_files import Segment, survey
from hub.spool_records import pack
from tests.hub.spooling import SMS, WA, drained, filled, hook, opened, segments

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
from hub.connector import Hook
from hub.spool import Spool

async def run(folder):
    spool = Spool(Path(folder), 1 << 30)
    async def post(lane):
        n = 0
        while True:
            body = b"%d:%d:" % (lane, n) + b"x" * (37 * n % 3000)
            await spool.append(f"whatsapp.{lane % 2}", Hook("POST", "/", "", {}, body, n))
            sys.stdout.write(f"{lane}:{n}\\n")
            sys.stdout.flush()
            n += 1
    await asyncio.gather(*(post(lane) for lane in range(6)))

asyncio.run(run(sys.argv[1]))
"""


async def test_a_torn_tail_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    whole = (await filled(tmp_path / "whole", 4)).read_bytes()
    last = len(pack(hook("hook 3", 3)))
    for cut in range(1, last + 1):
        folder = tmp_path / f"{cut}" / "1" / WA
        folder.mkdir(parents=True)
        path = folder / "00000000000000000001.log"
        # A power cut leaves less of it, or zeros where the rest should be.
        path.write_bytes(whole[:-cut] + bytes(cut if cut % 2 else 0))
        segment = Segment.load(path)
        assert (segment.waiting, segment.size, segment.damaged) == (3, len(whole) - last, False)
    async with opened(tmp_path / "7") as spool:
        await spool.append(WA, hook("after"))
        assert await drained(spool) == ["hook 0", "hook 1", "hook 2", "after"]
        assert spool.counts.damaged == 0


async def test_damage_in_the_middle_costs_that_record_alone(tmp_path: Path) -> None:
    whole = (await filled(tmp_path / "whole", 5)).read_bytes()
    size = len(whole) // 5
    for place in range(2 * size, 3 * size):
        path = tmp_path / f"{place}" / "1" / WA / "00000000000000000001.log"
        path.parent.mkdir(parents=True)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        assert Segment.load(path).waiting == 4, place
    async with opened(path.parents[2]) as spool:
        assert await drained(spool) == ["hook 0", "hook 1", "hook 3", "hook 4"]
        assert spool.counts.damaged == 1
    assert segments(path.parents[2]) == []
    [kept] = path.parent.glob("*.damaged")
    assert kept.stat().st_size == len(whole)
    assert survey(path.parents[2])[WA].unusable == len(whole)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_file_is_kept_whose_last_record_is_damaged(tmp_path: Path, count: int) -> None:
    """Also where no record of it is left that could be read."""
    whole = (await filled(tmp_path / "whole", count)).read_bytes()
    size = len(whole) // count
    for place in (len(whole) - size, len(whole) - size // 2, len(whole) - 1):
        path = tmp_path / f"{place}" / "1" / WA / "00000000000000000001.log"
        path.parent.mkdir(parents=True)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        async with opened(path.parents[2]) as spool:
            assert len(await drained(spool)) == count - 1
            assert spool.counts.damaged == 1
        assert survey(path.parents[2])[WA].unusable == len(whole)


async def test_damage_while_it_waits_does_not_stop_the_rest(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        for n in range(5):
            await spool.append(WA, hook(f"hook {n}"))
        [path] = segments(tmp_path)
        data = bytearray(path.read_bytes())
        for place in (len(data) // 2, len(data) - 3):
            data[place] ^= 0xFF
        path.write_bytes(data)
        assert await drained(spool) == ["hook 0", "hook 1", "hook 3"]
        assert (spool.counts.waiting, spool.counts.damaged) == (0, 1)


def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    for run in range(3):
        folder = tmp_path / f"{run}"
        with (tmp_path / f"{run}.out").open("wb") as out:
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=out
            )
        end = time.monotonic() + 20
        while (tmp_path / f"{run}.out").stat().st_size < 2000 * (run + 1):
            assert time.monotonic() < end
            time.sleep(0.01)
        writer.kill()
        writer.wait()
        told = (tmp_path / f"{run}.out").read_text()
        acknowledged = set(re.findall(r"^(\d:\d+)\n", told, re.MULTILINE))
        found = asyncio.run(_bodies(folder))
        for lane in range(6):
            numbers = [int(n) for of, n in found if int(of) == lane]
            assert numbers == list(range(len(numbers))), "in order, each once, none missing"
        assert acknowledged <= {f"{lane}:{n}" for lane, n in found}
        assert len(acknowledged) > 100


async def _bodies(folder: Path) -> list[list[str]]:
    async with opened(folder, keys=("whatsapp.0", "whatsapp.1")) as spool:
        texts = await drained(spool, 50)
    return [text.split(":")[:2] for text in texts]


async def test_a_disk_that_takes_nothing_refuses_and_recovers(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with opened(tmp_path) as spool:
        await spool.append(WA, hook("kept"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
        try:
            with pytest.raises(SpoolRefused, match="errno"):
                await spool.append(WA, hook("x" * 1000))
            with pytest.raises(SpoolRefused, match="errno"):
                await spool.append(SMS, hook("x" * 1000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (spool.counts.failed, spool.counts.waiting) == (2, 1)
        await spool.append(WA, hook("after"))
        assert await drained(spool) == ["kept", "after"]
    assert segments(tmp_path) == []


async def test_a_spool_that_cannot_be_made_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with opened(tmp_path / "file" / "spool") as spool:
        with pytest.raises(SpoolRefused):
            await spool.append(WA, hook())
        assert not await spool.holds()
