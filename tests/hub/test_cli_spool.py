"""`onethread spool`: what it shows, and what was put aside read again by who holds the spool."""

import asyncio
from pathlib import Path

import pytest

from hub.spool_records import pack
from tests.hub.spooling import SMS, WA, drained, hook, opened
from tests.hub.test_cli import Done, Here, here

__all__ = ["here"]


def put_aside(folder: Path, key: str, *bodies: str) -> Path:
    path = folder / "spool" / "1" / key / "aside"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(pack(hook(body, n)) for n, body in enumerate(bodies)))
    return path


def printed(done: Done) -> list[str]:
    """Without the lines of the log of the spool beside it."""
    return [line for line in done.stdout.splitlines() if not line.startswith("20")]


@pytest.fixture
def hub(tmp_path: Path, here: Here) -> Here:
    (tmp_path / "onethread.toml").write_text(
        f'[hub]\nspool = "spool"\nsecret_key = "{"k" * 40}"\n', "utf-8"
    )
    return here


def test_an_empty_spool(hub: Here, tmp_path: Path) -> None:
    listed = hub("spool", "list")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "There are none.\n")
    again = hub("spool", "retry", "--all")
    assert (again.returncode, again.stdout) == (0, "0 will be tried again.\n")
    assert not (tmp_path / "spool").exists()


def test_a_running_hub_takes_over_what_is_brought_back(hub: Here, tmp_path: Path) -> None:
    """While it holds the folder the file lay in, and in the order in which the hooks came."""

    async def run() -> None:
        async with opened(tmp_path / "spool") as spool:
            await spool.append(WA, hook("before", 5))
            assert await drained(spool) == ["before"]
            first = put_aside(tmp_path, WA, "one", "two")
            put_aside(tmp_path, SMS, "three")
            listed = await asyncio.to_thread(hub, "spool", "list")
            lines = [line.rsplit("  ", 1)[0] for line in printed(listed)]
            assert lines == [f"{SMS}  aside  1 webhooks", f"{WA}  aside  2 webhooks"]
            assert await spool.adopt() == 0
            done = await asyncio.to_thread(hub, "spool", "retry", WA)
            assert (done.returncode, printed(done)) == (0, ["2 will be tried again."])
            assert not first.exists()
            assert await spool.adopt() == 2
            assert await drained(spool) == ["one", "two"]
            rest = await asyncio.to_thread(hub, "spool", "list")
            assert [line.split("  ")[0] for line in printed(rest)] == [SMS]
            done = await asyncio.to_thread(hub, "spool", "retry", "--all")
            assert printed(done) == ["1 will be tried again."]
            assert await spool.adopt() == 1
            assert await drained(spool) == ["three"]

    asyncio.run(run())


def test_without_a_hub_it_waits_for_the_next(hub: Here, tmp_path: Path) -> None:
    put_aside(tmp_path, WA, "one")
    assert hub("spool", "retry", WA, WA).stdout == "1 will be tried again.\n"
    assert hub("spool", "list").stdout.startswith(f"{WA}  waits  1 webhooks  ")

    async def run() -> list[str]:
        async with opened(tmp_path / "spool") as spool:
            return await drained(spool)

    assert asyncio.run(run()) == ["one"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["retry"], 2, "onethread spool retry: Give the KEYs, or --all."),
        (["retry", WA, "--all"], 2, "onethread spool retry: Give the KEYs, or --all."),
        (["retry", WA, "no.such"], 1, "onethread: KEY: nothing of no.such was put aside"),
        (["retry", "../1"], 1, "onethread: KEY: nothing of ../1 was put aside"),
        (["drop", WA], 2, "onethread spool: No such command 'drop'"),
    ],
)
def test_a_wrong_call_moves_nothing(
    hub: Here, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    path = put_aside(tmp_path, WA, "one")
    done = hub("spool", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert path.exists()


def test_a_file_without_a_webhook_stays_where_it_is(hub: Here, tmp_path: Path) -> None:
    path = put_aside(tmp_path, SMS, "one")
    path.write_bytes(b"no record")
    kept = put_aside(tmp_path, WA, "one")
    done = hub("spool", "retry", "--all")
    assert done.returncode == 1
    assert done.stderr.endswith("aside holds no webhook that can be read\n")
    assert path.exists()
    assert kept.exists()


def test_a_spool_that_is_no_folder_is_named(hub: Here, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("", "utf-8")
    for command in (["list"], ["retry", "--all"]):
        done = hub("spool", *command)
        assert done.returncode == 1
        assert done.stderr.startswith("onethread: hub.spool: ")
        assert done.stderr.count("\n") == 1
