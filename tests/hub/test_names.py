"""Customers whom no webhook names are asked about once, and none is lost for it."""

from pathlib import Path

import pytest

from connectors.messenger import Messenger
from hub.bus import Bus
from hub.channels import Channel, Channels
from hub.clock import Clock
from hub.connector import Http, Introduces
from hub.errors import Busy, Misconfigured, Refused, SendFailed
from hub.message import Profile
from hub.names import Naming
from hub.store.schema import addresses, changes, customers
from tests.connectors.meta_words import make_page
from tests.hub.line import Line, open_line


class Town(Messenger):
    """A Page whose platform knows these people, or answers with these errors."""

    known: dict[str, list[Profile | SendFailed]]
    asked: list[str]

    async def look_up_profile(self, sender: str) -> Profile:
        self.asked.append(sender)
        answer = self.known[sender].pop(0)
        if isinstance(answer, SendFailed):
            raise answer
        return answer


def naming(line: Line, **known: list[Profile | SendFailed]) -> tuple[Naming, list[str]]:
    page = make_page(Http(None), "http://127.0.0.1:9")  # type: ignore[arg-type]  # makes no call
    town = Town(page.channel, page.settings, page.http)
    town.known, town.asked = known, []
    assert isinstance(town, Introduces)
    channel = Channel(line.channel_id, "wa", "whatsapp", "1", town.settings, town)
    return Naming(line.store, Bus(), Clock(), Channels([channel])), town.asked


async def names(line: Line) -> list[str]:
    return [row["name"] for row in await line.rows(table=customers)]


async def test_each_is_asked_about_once(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        await line.accept(line.arrival("rima"), line.arrival("nadia"))
        await line.accept(line.arrival("mina", profile=Profile(name="Mina")))
        rima, nadia = Profile(name="রিমা"), Profile(username="nadia.k")
        asking, asked = naming(line, rima=[rima], nadia=[nadia])
        assert [await asking.look(), await asking.look()] == [2, 0]
        await line.accept(line.arrival("rima", "again"))
        assert await asking.look() == 0
        assert sorted(asked) == ["nadia", "rima"]
        assert sorted(await names(line)) == ["Mina", "nadia.k", "রিমা"]
        kept = {row["external_id"]: row["profile"] for row in await line.rows(table=addresses)}
        assert kept["nadia"] == {"username": "nadia.k"}
        told = [row["kind"] for row in await line.rows(table=changes)]
        assert told.count("customer") == 2


@pytest.mark.parametrize("error", [Busy(), Misconfigured("token", code="190")])
async def test_who_could_not_be_asked_about_is_asked_about_again(
    tmp_path: Path, error: SendFailed
) -> None:
    async with open_line(tmp_path) as line:
        await line.accept(line.arrival("rima"))
        asking, asked = naming(line, rima=[error, Profile(name="রিমা")])
        assert [await asking.look(), await asking.look()] == [0, 1]
        assert (asked, await names(line)) == (["rima", "rima"], ["রিমা"])


@pytest.mark.parametrize("answer", [Refused("consent", code="230"), Profile()])
async def test_one_who_lets_nothing_be_known(tmp_path: Path, answer: Profile | SendFailed) -> None:
    async with open_line(tmp_path) as line:
        await line.accept(line.arrival("rima"))
        asking, asked = naming(line, rima=[answer])
        assert [await asking.look(), await asking.look()] == [1, 0]
        assert (asked, await names(line)) == (["rima"], [""])


async def test_two_processes_ask_once(tmp_path: Path) -> None:
    async with open_line(tmp_path) as line:
        await line.accept(line.arrival("rima"))
        one, asked = naming(line, rima=[Profile(name="রিমা")])
        other, asked_too = naming(line, rima=[Profile(name="রিমা")])
        assert await one.look() + await other.look() == 1
        assert asked + asked_too == ["rima"]
