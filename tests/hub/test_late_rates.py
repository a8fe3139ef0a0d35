"""A rate that answers late: what was begun before is asked about again, and none is sent twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.bus import Bus
from hub.channels import Channel, Channels
from hub.clock import SECOND, Clock, new_id
from hub.connector import ChannelRef, ChannelSettings, Http
from hub.errors import OutcomeUnknown
from hub.message import Message, Outbound, Sent
from hub.metrics import Metrics
from hub.outbox import LATE, Outbox
from hub.settings import LimitSettings
from hub.signal import OptOut
from hub.store import replies
from hub.store.rows import Row, outbound_rows
from hub.store.schema import addresses, messages
from tests.hub.line import Line, open_line
from tests.hub.test_pacing import Rated

HER = "her"


class Hearing(Rated):
    """Takes every send, and keeps its text."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # as the connector's own
        self.heard: list[str] = []

    async def send(self, out: Outbound) -> Sent:
        self.heard.append(out.message.text)
        return Sent(f"wamid.{new_id().hex()}")


class LateRates:
    """Has a place for everybody, and says so late."""

    def __init__(self) -> None:
        self.asked = 0
        self.wanted = asyncio.Event()

    async def wait(self, channel_id: bytes, recipient: str) -> float:
        self.asked += 1
        self.wanted.set()
        await asyncio.sleep(LATE * 2)
        return 0.0


class Scene:
    """One customer whom the bot has answered; the answers wait in the outbox."""

    def __init__(self, line: Line) -> None:
        http = Http(None)  # type: ignore[arg-type]  # makes no calls
        reference = ChannelRef(line.channel_id, "wa", "rated", "")
        settings = ChannelSettings(kind="rated")
        self.line, self.rates = line, LateRates()
        self.connector = Hearing(reference, settings, http)
        channel = Channel(line.channel_id, "wa", "rated", "1", settings, self.connector)
        self.outbox = Outbox(
            line.store,
            Bus(),
            Clock(),
            Channels([channel]),
            LimitSettings(),
            Metrics(["wa"]),
            self.rates,
        )
        self.address: Row = {}

    async def answer(self, *texts: str, by: str = "bot") -> None:
        """The first are the bot's; an agent's words take the conversation over."""
        if not self.address:
            await self.line.accept(self.line.arrival(HER))
            [self.address] = await self.line.rows(table=addresses)
        at = Clock().now()
        rows = outbound_rows(
            [Message(text=text) for text in texts],
            channel_id=self.line.channel_id,
            address_id=self.address["id"],
            at=at,
            expires_at=at + 3600 * SECOND,
            author_kind=by,
        )
        await self.line.store.write(
            replies.add,
            self.address["conversation_id"],
            rows,
            client_id=None,
            takes_over=(None, "Tania") if by == "agent" else None,
            at=at,
        )

    async def states(self) -> dict[str, tuple[str, int, str | None]]:
        rows = await self.line.rows(messages.c.direction == "out")
        return {row["text"]: (row["state"], row["attempt"], row["error_class"]) for row in rows}

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """The block runs while the rate is asked; on the way out all has been delivered."""
        task = asyncio.create_task(self.outbox.deliver(self.address["id"]))
        await self.rates.wanted.wait()
        yield
        await task


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_line(tmp_path) as line:
        yield Scene(line)


async def test_an_agent_who_comes_meanwhile_is_not_spoken_over(scene: Scene) -> None:
    await scene.answer("one", "two")
    async with scene.delivering():
        await scene.answer("An agent here.", by="agent")
    assert scene.connector.heard == ["An agent here."]
    assert await scene.states() == {
        "one": ("cancelled", 0, None),
        "two": ("cancelled", 0, None),
        "An agent here.": ("sent", 1, None),
    }
    assert scene.rates.asked == 1, "the place is the address's"


async def test_nothing_goes_past_an_opt_out_that_comes_meanwhile(scene: Scene) -> None:
    await scene.answer("one")
    async with scene.delivering():
        await scene.line.signal(OptOut("1", HER, Clock().now()))
    assert scene.connector.heard == []
    assert await scene.states() == {"one": ("failed", 0, "opted_out")}


async def test_a_rate_that_is_always_late_delays_each_send_once(scene: Scene) -> None:
    await scene.answer("one", "two", "three")
    async with scene.delivering():
        pass
    assert scene.connector.heard == ["one", "two", "three"]
    assert set((await scene.states()).values()) == {("sent", 1, None)}
    assert scene.rates.asked == 3


async def test_a_stop_meanwhile_leaves_the_row_as_it_was(scene: Scene) -> None:
    await scene.answer("one")
    [before] = await scene.line.rows(messages.c.direction == "out")
    async with scene.delivering():
        scene.outbox.is_stopped = True
    assert scene.connector.heard == []
    [after] = await scene.line.rows(messages.c.direction == "out")
    assert after == before
    [address] = await scene.line.rows(table=addresses)
    assert address["lease_until"] == 0


@pytest.mark.parametrize("taken_over", [False, True])
async def test_a_resend_that_is_asked_about_again_may_still_have_arrived(
    scene: Scene, taken_over: bool
) -> None:
    await scene.answer("one")
    begun = await scene.line.begin(scene.address["id"], Clock().now())
    await scene.line.answer(begun, OutcomeUnknown("cut off"))

    def lapse(conn: object) -> None:
        conn.execute(messages.update().values(due_at=None))  # type: ignore[attr-defined]  # a connection

    await scene.line.store.write(lapse)
    async with scene.delivering():
        if taken_over:
            await scene.answer("An agent here.", by="agent")
    if taken_over:
        assert scene.connector.heard == ["An agent here."]
        assert (await scene.states())["one"] == ("failed", 1, "outcome_unknown")
    else:
        assert scene.connector.heard == ["one"]
        assert await scene.states() == {"one": ("sent", 2, None)}
