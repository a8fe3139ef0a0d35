"""A send's life under random blows: whatever comes in whatever order, the promises hold.

Each life is drawn from its own seed: tries, answers, receipts, crashes, passing time and an
agent's take-over, on a real database. The provider's truth is kept beside it.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SECOND
from hub.errors import Busy, OutcomeUnknown, Refused, Unreachable
from hub.message import Message, Sent
from hub.store import ownership
from hub.store.claims import Claim, Work, claim
from hub.store.rows import outbound_rows
from hub.store.schema import addresses, messages
from hub.store.sends import Attempt, Wait
from hub.store.state import RANK
from hub.store.sweep import recover
from hub.store.turns import Ending, commit
from tests.hub.line import AT, Line, open_line

OPEN = {"queued", "sending", "unknown"}
FINAL = {"sent", "delivered", "read", "failed", "cancelled"}
MINUTE = 60 * SECOND


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path) as opened:
        yield opened


@dataclass
class Life:
    """One bot's reply, and what really happened to it at the provider."""

    line: Line
    row: dict[str, Any]
    conversation_id: bytes
    chance: random.Random
    at: int = AT
    attempt: Attempt | None = None
    attempt_accepted: bool = False
    calls: int = 0
    unsure: int = 0
    in_doubt: bool = False
    accepted: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    taken_over: bool = False
    story: list[str] = field(default_factory=list)

    async def step(self) -> None:
        weights = {"begin": 6, "answer": 4, "wait": 4, "receipt": 1.5, "crash": 0.7, "agent": 0.4}
        weights["lapse"] = 0.7
        [deed] = self.chance.choices(list(weights), list(weights.values()))
        self.story.append(deed)
        before = await self.state()
        await getattr(self, f"_{deed}")()
        after = await self.state()
        self.story.append(f"-> {after}")
        await self.check(before, after)

    async def state(self) -> str:
        return str((await self.now())["state"])

    async def now(self) -> dict[str, Any]:
        return (await self.line.rows(messages.c.id == self.row["id"]))[0]

    async def _begin(self) -> None:
        if self.attempt is not None:
            return
        claimed = await self.line.begin(self.row["address_id"], self.at)
        if isinstance(claimed, Attempt) and self.in_doubt:
            assert claimed.look_up, f"the provider was not asked first: {self.story}"
        if isinstance(claimed, Attempt) and claimed.look_up:
            self.story.append("looked up in vain")
            await self.line.store.write(give_lease_back, claimed.row["address_id"], claimed.token)
            claimed = await self.line.begin(self.row["address_id"], self.at, self.row["id"])
        if not isinstance(claimed, Attempt):
            assert claimed is None or isinstance(claimed, Wait)
            return
        assert not self.taken_over, f"a bot's send began after the take-over: {self.story}"
        assert self.unsure < 2, f"sent a third time: {self.story}"
        assert not self.heard, f"sent again though a receipt had come: {self.story}"
        self.attempt, self.calls, self.in_doubt = claimed, self.calls + 1, False
        self.attempt_accepted = self.chance.random() < 0.5
        if self.attempt_accepted:
            self.accepted.append(f"wamid.{self.row['id'].hex()}.{self.calls}")

    async def _answer(self) -> None:
        if self.attempt is None:
            return
        outcome: Any
        if self.attempt_accepted and self.chance.random() < 0.5:
            outcome = Sent(self.accepted[-1])
        elif self.attempt_accepted or self.chance.random() < 0.4:
            outcome = OutcomeUnknown("no answer")
        else:
            outcome = self.chance.choice((Busy("busy"), Unreachable("500"), Refused("no")))
        self.story[-1] += f" {type(outcome).__name__}"
        self.in_doubt = isinstance(outcome, OutcomeUnknown)
        self.unsure += self.in_doubt
        await self.line.answer(self.attempt, outcome)
        self.attempt = None

    async def _receipt(self) -> None:
        if not self.accepted:
            return
        key = self.chance.choice(self.accepted)
        status = self.chance.choice(("sent", "delivered", "read", "failed"))
        self.story[-1] += f" {status}"
        self.heard.append(status)
        await self.line.receipt(status, key, self.row["id"].hex())  # type: ignore[arg-type]  # a status

    async def _wait(self) -> None:
        self.at += self.chance.choice((1, 30, 200)) * SECOND

    async def _crash(self) -> None:
        """The process dies and is started again."""
        await self.line.store.write(recover, self.at, MINUTE)
        if self.attempt is not None:
            self.attempt, self.in_doubt = None, True
            self.unsure += 1

    async def _lapse(self) -> None:
        """The lease of whoever was sending runs out; nobody hears of it again."""
        if self.attempt is not None:
            row = self.attempt.row
            await self.line.store.write(give_lease_back, row["address_id"], self.attempt.token)
            self.attempt, self.in_doubt = None, True
            self.unsure += 1

    async def _agent(self) -> None:
        self.taken_over = True
        await self.line.store.write(
            ownership.park,
            self.conversation_id,
            owner_kind="agent",
            owner_id=b"a" * 16,
            owner_name="Agent",
            at=self.at,
        )

    async def check(self, before: str, after: str) -> None:
        row = await self.now()
        assert after in OPEN | FINAL, self.story
        assert (row["lane"] is None) == (after in FINAL), self.story
        assert self.unsure <= 2, f"more than one repeat: {self.story}"
        if before in FINAL:
            assert RANK[after] >= RANK[before], f"went back: {self.story}"
        if after == "failed" or (after == "cancelled" and row["error_class"]):
            assert row["error_reason"], self.story
        if after in ("delivered", "read"):
            assert after in self.heard, self.story
        if "read" in self.heard:
            assert after == "read", self.story
        if after == "unknown":
            assert row["due_at"] is not None, self.story

    async def end(self) -> None:
        """Let time pass until it is settled: it always is."""
        for _ in range(40):
            if await self.state() in FINAL and self.attempt is None:
                return
            self.at += 400 * SECOND
            if self.attempt is not None:
                self.story.append("answered at last")
                await self.line.answer(self.attempt, Refused("no"))
                self.attempt = None
            before = await self.state()
            self.story.append("begin")
            await self._begin()
            await self.check(before, await self.state())
        raise AssertionError(f"never settled: {self.story}")


def give_lease_back(conn: Any, address_id: bytes, token: int) -> None:
    """The delivery lease is nobody's: given back after asking the provider, or run out."""
    held = (addresses.c.id == address_id, addresses.c.lease_token == token)
    conn.execute(addresses.update().where(*held).values(lease_until=0))


async def born(line: Line, seed: int) -> Life:
    sender = f"88017{seed:08}"
    [stored] = await line.accept(line.arrival(sender))
    [inbound] = await line.rows(messages.c.id == stored.id)
    work = await line.store.each(claim, Claim(stored.conversation_id, 60 * SECOND, AT))
    assert isinstance(work, Work)
    rows = outbound_rows(
        [Message(text="the bot's")],
        channel_id=line.channel_id,
        address_id=inbound["address_id"],
        at=AT,
        expires_at=AT * 2,
        author_kind="bot",
    )
    ending = Ending(stored.conversation_id, work.token, 0, AT, stored.id, None, rows=rows)
    await line.store.each(commit, ending)
    return Life(line, rows[0], stored.conversation_id, random.Random(seed))


async def test_two_hundred_lives(line: Line) -> None:
    seen: set[str] = set()
    repeats = taken = 0
    for seed in range(200):
        life = await born(line, seed)
        for _ in range(life.chance.randint(3, 25)):
            await life.step()
        await life.end()
        seen.add(await life.state())
        repeats += life.unsure > 1
        taken += life.taken_over
    assert seen == FINAL, "the draw reaches every end"
    assert repeats > 10
    assert taken > 20
