"""Fills an empty database as months of use would: customers, threads of all lengths, receipts.

    fill("sqlite:////tmp/hub.db", Filling(1_000_000))

The rows go straight into the migrated tables, in the order of time and with their indexes, so that
tables and indexes come to the size and the order that they have in use. The same `Filling` gives
the same rows on every database.
"""

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no stubs

from hub.clock import DAY, Micros
from hub.store import migrate_database

BATCH = 20_000
SAID = (
    "Hello, is the blue one still there in size M?",
    "আমার অর্ডারটা কোথায়? গত সপ্তাহে দিয়েছিলাম, এখনো পাইনি।",
    "ok",
    "Can you deliver to Mirpur 10 tomorrow before noon? I am not at home after that.",
    "ধন্যবাদ",
    "How much is it with delivery?",
)
ANSWERED = (
    "Hello! How can I help you? You may also write in your own words.",
    "আপনার অর্ডার আজ সকালে গুদাম থেকে বেরিয়েছে। আগামীকাল বিকেলের মধ্যে পৌঁছে যাবে।",
    "Thank you. Your order 4411 is on its way and should be with you tomorrow.",
)
MENU = json.dumps([{"id": "order", "title": "Where is my order?"}])
HOOK = b'{"object":"whatsapp_business_account","entry":[{"id":"102290129340398"' + b" " * 450
SIGNATURE = "x-hub-signature-256: sha256=" + "0" * 64

COLUMNS = {
    "channels": "id kind account name created_at",
    "customers": "id kind name language created_at",
    "aliases": "kind value customer_id verified_at created_at",
    "addresses": "id channel_id external_id customer_id conversation_id profile last_seen_at"
    " created_at",
    "conversations": "id customer_id status snoozed_until owner_kind owner_id owner_name team tags"
    " next_seq last_message_id last_message_at last_in_address_id case_id run_id menu created_at",
    "cases": "id conversation_id opened_at",
    "messages": "id conversation_id seq position direction channel_id address_id author_kind kind"
    " text content external_id dedupe_key state attempt sending_at expires_at error_class run_id"
    " handled_at sent_at created_at",
    "receipts": "channel_id external_id status code message_id at created_at",
    "changes": "conversation_id kind message_id at",
    "media": "id message_id item channel_id media state created_at",
    "runs": "id conversation_id dialog version state step opening_message_id address_id start"
    " created_at updated_at",
    "journal": "run_id step entries",
    "hooks": "id channel method query content_type body received_at signature",
}


@dataclass(frozen=True, slots=True)
class Filling:
    """`messages` over `days` until `until`, half of them answers, `each` of a customer's thread.
    `channels` are (kind, account, name); every tenth customer has an address on the second."""

    messages: int
    days: int = 90
    until: Micros = field(default_factory=lambda: time.time_ns() // 1000)
    channels: Sequence[tuple[str, str, str]] = (
        ("whatsapp", "106540352242922", "wa"),
        ("twilio", "+15550100", "sms"),
    )
    agents: int = 20
    each: int = 10

    @property
    def customers(self) -> int:
        return max(1, self.messages // self.each)


def number_of(customer: int) -> str:
    """The wa_id of a customer, counted from 0 in the order in which they first wrote."""
    return str(8_801_500_000_000 + customer)


def agent_of(number: int) -> bytes:
    return bytes(15) + bytes([number + 1])


def fill(url: str, filling: Filling) -> None:
    """Migrate and fill the empty database of a hub. Not from within an event loop."""
    asyncio.run(migrate_database(url))
    if url.startswith("postgresql:"):
        asyncio.run(_fill_postgres(url, filling))
    else:
        _fill_sqlite(url.removeprefix("sqlite:///"), filling)


def _fill_sqlite(path: str, filling: Filling) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-2000000", "wal_autocheckpoint=100000"):
        db.execute("PRAGMA " + pragma)
    db.execute("BEGIN")
    for table, columns, rows in _batches(filling):
        marks = ", ".join("?" * len(columns))
        db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


async def _fill_postgres(url: str, filling: Filling) -> None:
    db = await asyncpg.connect(url)
    try:
        for table, columns, rows in _batches(filling):
            await db.copy_records_to_table(table, records=rows, columns=columns)
        await db.execute("VACUUM ANALYZE")
    finally:
        await db.close()


def _batches(filling: Filling) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    waiting: dict[str, list[tuple[Any, ...]]] = {table: [] for table in COLUMNS}
    for table, row in _History(filling).rows():
        waiting[table].append(row)
        if len(waiting[table]) == BATCH:
            yield table, COLUMNS[table].split(), waiting[table]
            waiting[table] = []
    for table, rows in waiting.items():
        if rows:
            yield table, COLUMNS[table].split(), rows


Rows = Iterator[tuple[str, tuple[Any, ...]]]


class _Person:
    """What of a customer's thread goes on from message to message."""

    __slots__ = ("address", "conversation", "created", "customer", "last", "last_at", "run", "seq")

    def __init__(self, customer: bytes, conversation: bytes, address: bytes, at: Micros) -> None:
        self.customer, self.conversation, self.address = customer, conversation, address
        self.created = self.last_at = at
        self.seq = 1
        self.last = self.run = b""


class _History:
    def __init__(self, filling: Filling) -> None:
        self.filling = filling
        self.random = random.Random(4411)
        self.people: list[_Person] = []
        self.start = filling.until - filling.days * DAY
        self.channels = [self._id(self.start) for _ in filling.channels]

    def rows(self) -> Rows:
        filling = self.filling
        for id, (kind, account, name) in zip(self.channels, filling.channels, strict=True):
            yield "channels", (id, kind, account, name, self.start)
        turns = filling.messages // 2
        for number in range(turns):
            at = self.start + number * filling.days * DAY // turns
            if number * filling.customers // turns >= len(self.people):
                yield from self._arrive(at)
                person = self.people[-1]
            else:
                # Those who came first write most: some write thousands of messages, most a few.
                person = self.people[int(len(self.people) * self.random.random() ** 2)]
            yield from self._turn(number, person, at)
        for place, person in enumerate(self.people):
            yield "conversations", self._conversation(place, person)

    def _id(self, at: Micros) -> bytes:
        noise = self.random.getrandbits(74)
        high = (at // 1000 << 16) | 0x7000 | noise >> 62
        return (high << 64 | 1 << 63 | noise & (1 << 62) - 1).to_bytes(16, "big")

    def _arrive(self, at: Micros) -> Rows:
        place = len(self.people)
        number = number_of(place)
        person = _Person(self._id(at), self._id(at), self._id(at), at)
        self.people.append(person)
        name = f"Customer {place}"
        yield "customers", (person.customer, "person", name, "bn" if place % 2 else "en", at)
        yield "aliases", ("phone", "+" + number, person.customer, at, at)
        profile = json.dumps({"name": name})
        both = [(self.channels[0], number, person.address)]
        if place % 10 == 0:
            both.append((self.channels[1], "+" + number, self._id(at)))
        for channel, external, id in both:
            yield (
                "addresses",
                (id, channel, external, person.customer, person.conversation, profile, at, at),
            )
        yield "cases", (self._id(at), person.conversation, at)

    def _turn(self, number: int, person: _Person, at: Micros) -> Rows:
        """One message, the dialog's answer, its three receipts, and what they leave behind."""
        came, answer = self._id(at), self._id(at + 50_000)
        at_answer = at + 50_000
        channel, where, thread = self.channels[0], person.address, person.conversation
        came_as = f"wamid.HBgN{number_of(0)}FQIAEhgU{number:020d}A="
        sent_as = f"wamid.HBgN{number_of(0)}FQIAERgS{number:020d}B="
        text = SAID[number % len(SAID)]
        picture = number % 33 == 0
        content = json.dumps({"media": [{"kind": "image", "state": "stored"}]}) if picture else None
        if person.seq % 8 == 1:
            person.run = came
            opening = json.dumps({"opening": {"text": text}})
            yield (
                "runs",
                (came, thread, "welcome", 1, "done", 2, came, where, opening, at, at_answer),
            )
        entries = json.dumps([[person.seq, "ask", "", {"message": {"text": text}}]])
        yield "journal", (person.run, person.seq, entries)
        yield (
            "messages",
            (came, thread, person.seq, at, "in", channel, where, "customer",
             "image" if picture else "text", text, content, came_as, came_as, "received", 0,
             None, None, None, None, at_answer, at, at),
        )  # fmt: skip
        failed = number % 500 == 0
        yield (
            "messages",
            (answer, thread, person.seq + 1, at_answer, "out", channel, where, "bot", "text",
             ANSWERED[number % len(ANSWERED)], None, sent_as, None, "failed" if failed else "read",
             1, at_answer, at_answer + DAY, "refused" if failed else None, person.run, at_answer,
             at_answer, at_answer),
        )  # fmt: skip
        person.seq += 2
        person.last, person.last_at = answer, at_answer
        for status in ("sent", "delivered", "read"):
            yield "receipts", (channel, sent_as, status, "", answer, at_answer, at_answer)
        if picture:
            kept = {"mime": "image/jpeg", "state": "stored", "path": f"{number % 97:02}/{number}"}
            image = json.dumps({"kind": "image"} | kept)
            yield "media", (self._id(at), came, 0, channel, image, "stored", at)
        if at > self.filling.until - 14 * DAY:
            for _ in range(4):
                hook = (self._id(at), "wa", "POST", "", "application/json", HOOK, at, SIGNATURE)
                yield "hooks", hook
        if at > self.filling.until - 7 * DAY:
            for kind, id in (("message", came), ("message", answer), *[("receipt", answer)] * 3):
                yield "changes", (thread, kind, id, at)

    def _conversation(self, place: int, person: _Person) -> tuple[Any, ...]:
        agent = place // 10 % self.filling.agents
        status = ("resolved", "resolved", "open", "resolved")[place % 4]
        if place % 1000 == 7:
            status = "snoozed"
        owner = ("agent" if place % 10 == 0 else "queue") if place % 5 == 0 else "bot"
        tags = ["vip"] if place % 100 == 3 else []
        if place in (5, 17, 29):
            tags.append("fraud")
        return (
            person.conversation,
            person.customer,
            status,
            self.filling.until + DAY if status == "snoozed" else None,
            owner,
            agent_of(agent) if owner == "agent" else None,
            f"Agent {agent}" if owner == "agent" else None,
            "returns" if place in (2, 13) else ("sales" if place % 20 == 0 else None),
            json.dumps(tags) if tags else None,
            person.seq,
            person.last,
            person.last_at,
            person.address,
            None,
            None,
            MENU,
            person.created,
        )
