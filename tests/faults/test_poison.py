"""A unit that fails at any of its statements writes nothing of itself and harms none of those
it shares a transaction with.

One customer is poisoned: a trigger makes the database refuse a row of hers in one table. Her item
goes into one group with good ones, first, in the middle and last.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.app import Hub, open_hub
from hub.chat import Chat, dialog
from hub.message import Alias, Inbound, Media, Message, Profile
from hub.settings import load_settings
from hub.store import Batch
from hub.store.accept import Acceptance, Accepted, Arrival, accept
from hub.store.claims import Claim, Work, claim
from hub.store.rows import inbound_row
from hub.store.turns import Ending, commit
from hub.turn import Answerer

POISON = "poison"
GROUP = 5
ACCOUNT = "106500000000777"
_HER = f"(SELECT id FROM customers WHERE name = '{POISON}')"
_THREAD = f"(SELECT id FROM conversations WHERE customer_id IN {_HER})"
_MESSAGES = f"(SELECT id FROM messages WHERE conversation_id IN {_THREAD})"
_RUNS = f"(SELECT id FROM runs WHERE conversation_id IN {_THREAD})"
OWN = {
    "customers": f"{{}}name = '{POISON}'",
    "conversations": f"{{}}customer_id IN {_HER}",
    "addresses": f"{{}}customer_id IN {_HER}",
    "aliases": f"{{}}customer_id IN {_HER}",
    "cases": f"{{}}conversation_id IN {_THREAD}",
    "messages": f"{{}}conversation_id IN {_THREAD}",
    "changes": f"{{}}conversation_id IN {_THREAD}",
    "media": f"{{}}message_id IN {_MESSAGES}",
    "hooks": f"{{}}channel = '{POISON}'",
    "dead_letters": f"{{}}channel = '{POISON}'",
    "runs": f"{{}}conversation_id IN {_THREAD}",
    "journal": f"{{}}run_id IN {_RUNS}",
    "timers": f"{{}}conversation_id IN {_THREAD}",
}
"""Which rows of each table are the poisoned customer's; {} is the row's name."""

ACCEPTED = [
    ("customers", "INSERT"),
    ("conversations", "INSERT"),
    ("addresses", "INSERT"),
    ("aliases", "INSERT"),
    ("cases", "INSERT"),
    ("messages", "INSERT"),
    ("changes", "INSERT"),
    ("media", "INSERT"),
    ("hooks", "INSERT"),
    ("dead_letters", "INSERT"),
    ("conversations", "UPDATE"),
    ("addresses", "UPDATE"),
]
TURNED = [
    ("conversations", "UPDATE"),
    ("messages", "UPDATE"),
    ("messages", "INSERT"),
    ("runs", "INSERT"),
    ("journal", "INSERT"),
    ("timers", "INSERT"),
    ("changes", "INSERT"),
    ("addresses", "UPDATE"),
]


@dialog("asking", on=["good", POISON])
async def asking(chat: Chat) -> None:
    """Says something, then waits for an answer that may time out."""
    await chat.say("Good day.")
    await chat.ask("What is it?", timeout=timedelta(hours=1))


class Place:
    """A hub without its worker, so that the test alone claims and commits."""

    def __init__(self, hub: Hub, path: Path) -> None:
        self.hub = hub
        self.path = path
        self.people = 0
        self.answerer = Answerer(
            hub.store, hub.clock, hub.channels, {"asking": asking}, hub.settings
        )

    def acceptance(self, name: str, number: int, said: int = 0) -> Acceptance:
        """One hook with a message that has an attachment, a dead letter, and the raw hook."""
        at = self.hub.clock.now()
        sender = f"88017{number:08}"
        [channel] = self.hub.channels.all
        inbound = Inbound(
            account=ACCOUNT,
            sender=sender,
            external_id=f"wamid.{sender}.{said}",
            dedupe_key=f"wamid.{sender}.{said}",
            message=Message(text=name, kind="image", media=(Media(kind="image", provider_id="1"),)),
            sent_at=at,
            aliases=(Alias(kind="phone", value=f"+{sender}", verified=True),),
            profile=Profile(name=name),
        )
        row = inbound_row(inbound.message, channel_id=channel.id, at=at, sent_at=at)
        row |= {
            "external_id": inbound.external_id,
            "dedupe_key": inbound.dedupe_key,
            "client_id": None,
            "reply_to": None,
            "referral": None,
            "raw": None,
        }
        id = f"{number:08}{said:08}".encode()
        raw = {
            "id": id,
            "channel": name,
            "method": "POST",
            "query": "",
            "content_type": "application/json",
            "body": b"{}",
            "received_at": at,
        }
        dead = {
            "id": id,
            "kind": "hook",
            "reference": id,
            "channel": name,
            "reason": "unread",
            "raw": None,
            "created_at": at,
        }
        return Acceptance(
            at, arrivals=[Arrival.of(channel.id, inbound, row)], dead=[dead], hook=raw
        )

    def group(self, position: int) -> list[tuple[str, int]]:
        """Names and numbers of new people, with the poisoned one at `position`."""
        self.people += GROUP
        return [
            (POISON if index == position else f"good {self.people + index}", self.people + index)
            for index in range(GROUP)
        ]

    async def together(self, batch: Batch[Any, Any], items: Sequence[Any]) -> list[Any]:
        """The items' results or errors, after one transaction tried them all at once."""
        sizes: list[int] = []

        def counted(conn: sa.Connection, some: Sequence[Any]) -> Sequence[Any]:
            sizes.append(len(some))
            return batch(conn, some)

        busy = asyncio.create_task(self.hub.store.write(lambda _conn: time.sleep(0.03)))
        await asyncio.sleep(0.01)
        results = await asyncio.gather(
            *(self.hub.store.each(counted, item) for item in items), return_exceptions=True
        )
        await busy
        assert sizes == [len(items)] + [1] * len(items)
        return results

    @contextlib.asynccontextmanager
    async def poisoned(self, table: str, verb: str) -> AsyncIterator[None]:
        """The database refuses the poisoned customer's rows of this table."""
        when = "AFTER" if verb == "INSERT" else "BEFORE"
        condition = OWN[table].format("NEW.")
        await self.run(
            f"CREATE TRIGGER poison {when} {verb} ON {table} WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        try:
            yield
        finally:
            await self.run("DROP TRIGGER poison")

    async def run(self, statement: str) -> None:
        await self.hub.store.write(lambda conn: conn.exec_driver_sql(statement))

    async def cure(self) -> None:
        """The poisoned customer is as good as any, so that the next may be poisoned."""
        await self.run("UPDATE hooks SET channel = 'cured' WHERE channel = 'poison'")
        await self.run("UPDATE dead_letters SET channel = 'cured' WHERE channel = 'poison'")
        await self.run("UPDATE customers SET name = 'cured' WHERE name = 'poison'")

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(text, values).fetchall()

    def hers(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the poisoned customer."""
        return {
            table: self.query(f"SELECT * FROM {table} WHERE {own.format('')}")
            for table, own in OWN.items()
        }


@contextlib.asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    path = folder / "hub.db"
    settings = load_settings(
        None,
        {
            "hub": {
                "database": f"sqlite:///{path}",
                "media": str(folder / "media"),
                "spool": str(folder / "spool"),
                "secret_key": "k" * 40,
            },
            "dialogs": {"modules": [], "default": ""},
            "channels": {
                "wa": {
                    "kind": "whatsapp",
                    "phone_number_id": ACCOUNT,
                    "access_token": "token",
                    "app_secret": "secret",
                    "verify_token": "verify",
                    "rate": 0,  # what waits for a rate is not what is tried here
                }
            },
        },
    )
    async with open_hub(settings) as hub:
        yield Place(hub, path)


POSITIONS = (0, GROUP // 2, GROUP - 1)
GOOD_THREAD = """
    SELECT c.next_seq, c.unread,
        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id),
        (SELECT count(*) FROM changes x WHERE x.conversation_id = c.id),
        (SELECT count(*) FROM media f JOIN messages m ON m.id = f.message_id
            WHERE m.conversation_id = c.id),
        (SELECT count(*) FROM hooks WHERE channel = p.name),
        (SELECT count(*) FROM dead_letters WHERE channel = p.name),
        (SELECT count(*) FROM addresses a WHERE a.conversation_id = c.id),
        (SELECT count(*) FROM cases y WHERE y.conversation_id = c.id)
    FROM conversations c JOIN customers p ON p.id = c.customer_id WHERE p.name = ?
"""
GOOD_TURN = """
    SELECT c.next_seq,
        (SELECT count(*) FROM messages m
            WHERE m.conversation_id = c.id AND direction = 'in' AND handled_at IS NOT NULL),
        (SELECT text || state FROM messages m WHERE m.conversation_id = c.id AND seq = 2),
        (SELECT text || state FROM messages m WHERE m.conversation_id = c.id AND seq = 3),
        (SELECT group_concat(state) FROM runs r WHERE r.conversation_id = c.id),
        (SELECT count(*) FROM timers t WHERE t.conversation_id = c.id),
        (SELECT count(*) FROM journal j JOIN runs r ON r.id = j.run_id
            WHERE r.conversation_id = c.id)
    FROM conversations c JOIN customers p ON p.id = c.customer_id WHERE p.name = ?
"""


async def test_a_hook_that_fails_costs_no_other_and_leaves_nothing(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        for (table, verb), position in product(ACCEPTED, POSITIONS):
            case = f"{verb} {table}, {position}"
            people = here.group(position)
            said = 0
            if verb == "UPDATE":  # of what is there already
                said = 1
                for name, number in people:
                    await here.hub.store.each(accept, here.acceptance(name, number))
            before = here.hers()
            items = [here.acceptance(name, number, said) for name, number in people]
            async with here.poisoned(table, verb):
                results = await here.together(accept, items)
            for (name, _), result in zip(people, results, strict=True):
                assert isinstance(result, Exception if name == POISON else Accepted), case
                if name != POISON:
                    expected = (said + 2, *[said + 1] * 6, 1, 1)
                    assert here.query(GOOD_THREAD, name) == [expected], case
            assert here.hers() == before, case
            again = here.acceptance(POISON, people[position][1], said)
            assert (await here.hub.store.each(accept, again)).stored[0].new, case
            await here.cure()


async def begin_turns(here: Place, people: list[tuple[str, int]]) -> list[Ending]:
    """Each person writes, is claimed and answered; the endings are not committed yet."""
    endings = []
    for name, number in people:
        done: Accepted = await here.hub.store.each(accept, here.acceptance(name, number))
        [conversation_id] = done.turns
        work = await here.hub.store.each(
            claim, Claim(conversation_id, 60_000_000, here.hub.clock.now())
        )
        assert isinstance(work, Work)
        ending = await here.answerer.answer(work)
        ending.send = here.hub.outbox.claim(ending.rows[0]["address_id"])
        endings.append(ending)
    return endings


async def test_a_turn_that_fails_costs_no_other_and_leaves_nothing(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        for (table, verb), position in product(TURNED, POSITIONS):
            case = f"{verb} {table}, {position}"
            people = here.group(position)
            endings = await begin_turns(here, people)
            before = here.hers()
            async with here.poisoned(table, verb):
                results = await here.together(commit, endings)
            for (name, _), result in zip(people, results, strict=True):
                assert isinstance(result, Exception) == (name == POISON), case
            assert here.hers() == before, case
            await here.hub.store.each(commit, endings[position])
            expected = (4, 1, "Good day.sending", "What is it?queued", "waiting", 1, 1)
            for name, _ in people:
                assert here.query(GOOD_TURN, name) == [expected], case
            await here.cure()


async def test_a_hook_with_one_bad_item_still_holds_when_the_group_fails(tmp_path: Path) -> None:
    """Redelivered, doubled and new messages in a group that must be run one by one."""
    async with place(tmp_path) as here:
        await here.hub.store.each(accept, here.acceptance("old", 1))
        items = [
            here.acceptance("old", 1),
            here.acceptance("new", 2),
            here.acceptance(POISON, 3),
            here.acceptance("new", 2, 1),
            here.acceptance("late", 4),
        ]
        for item in items:
            item.hook, item.dead = None, []
        items[3].arrivals = [*here.acceptance("new", 2).arrivals, *items[3].arrivals]
        async with here.poisoned("changes", "INSERT"):
            results = await here.together(accept, items)
        news = [
            [one.new for one in result.stored] if isinstance(result, Accepted) else None
            for result in results
        ]
        assert news == [[False], [True], None, [False, True], [True]]
        assert here.hers() == {table: [] for table in OWN}
