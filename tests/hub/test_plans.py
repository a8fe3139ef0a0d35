"""The query plans: nothing that the hub asks while it works goes through a whole big table.

Statements are heard while a hub works on a database with 50,000 messages, then the database is
asked how it runs each. On PostgreSQL with the parameters and without, since a prepared statement
gets a plan of its own after some runs.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no stubs
import pytest
import sqlalchemy as sa

from hub.clock import DAY, id_text
from hub.errors import Misconfigured
from hub.message import Alias, Inbound, Message
from hub.signal import (
    DeliveredToCustomer,
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Reaction,
    ReadByCustomer,
    Unsend,
)
from hub.store.attachments import due, find_kept, is_shared
from hub.store.changes import START, changes_after, newest_place
from hub.store.channels import find_channels, load_traffic, note_use, take_expiry
from hub.store.claims import count_answers
from hub.store.customers import list_customers
from hub.store.dead import list_letters
from hub.store.edits import apply_due, is_due
from hub.store.health import read_backlog
from hub.store.heard import read_heard
from hub.store.held import cancel, give_up, release, release_missed
from hub.store.names import ask_again, is_nameless, take_nameless
from hub.store.pauses import list_pauses, pause, resume, take_trial, waiting_addresses
from hub.store.replies import read
from hub.store.retries import take_due
from hub.store.schema import channels, messages
from hub.store.signals import apply_signal
from hub.store.sweep import pending, throw_away, wake_snoozed
from hub.store.threads import last_heard
from tests.databases import only_sqlite
from tests.faults.scene import Scene, playing
from tests.filling import Filling, agent_of, fill, number_of
from tests.posting import post_wa, status_item, text_item, wa_body
from tests.running import CUSTOMER, SMS_NUMBER, WA_ACCOUNT, House
from tests.servers import Postgres
from tests.statements import heard_by

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FILLING = Filling(
    50_000, each=3, channels=(("whatsapp", WA_ACCOUNT, "wa"), ("twilio", SMS_NUMBER, "sms"))
)
BIG = (
    "messages", "conversations", "addresses", "customers", "aliases", "cases", "receipts",
    "journal", "runs", "hooks", "changes", "media",
)  # fmt: skip
# They hold open work alone, or what failed: going through them is looking at what is to be done.
WORK_LISTS = (
    "ix_messages_unhandled", "ix_messages_outbox", "ix_messages_due", "ix_messages_failed",
    "ix_conversations_snoozed", "ix_conversations_tagged", "ix_media_due", "ix_messages_held",
)  # fmt: skip
# A walk in the order of an index that ends at the LIMIT may pass these over: they are few.
SELDOM = re.compile(r"\((?:last_message_at IS NOT NULL|merged_into IS NULL)\)")
# A name is looked for from its beginning in any case, which no index of both databases knows. Only
# agents who search do that, never the loop.
BY_NAME = re.compile(r"lower\((?:customers\.)?name\) (?:~~|LIKE)")
# Without its parameters PostgreSQL does not know how few rows such a LIMIT leaves of how many. It
# runs once in a while, and with its parameters, as long as that plan is the cheaper one.
HOUSEKEEPING = ("DELETE FROM hooks", "DELETE FROM changes")
WORDS = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
ANYONE = number_of(3)
HER = CUSTOMER.removeprefix("+")


class Heard:
    """Every statement that was run, with the parameters of its first time."""

    def __init__(self) -> None:
        self.statements: dict[str, Any] = {}

    def __call__(
        self, conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if sql.split()[0] in WORDS and "pg_catalog" not in sql and not is_of_the_test(sql):
            self.statements.setdefault(sql, parameters[0] if many else parameters)


def is_of_the_test(sql: str) -> bool:
    """`House.rows` selects every column in seq's order, and `House.settled` looks for the ids of
    files that messages wait for; the hub never does."""
    if sql.startswith("SELECT media.id \nFROM media JOIN messages"):
        return True
    return "ORDER BY messages.conversation_id, messages.seq" in sql


@pytest.fixture(scope="module")
def template(postgres: Postgres) -> str:
    return postgres.template("filled", lambda url: fill(url, FILLING))


async def hear_everything(scene: Scene, heard: Heard) -> None:
    """Have the hub do all that it does in its loop, and hear what it asks."""
    house = scene.house
    where = await scene.conversation()
    with heard_by(heard):
        scene.fault("hang")
        scene.fault("status", status=500)
        for text in ("first", "ask me slowly", "answer", "my order", "4411", "tell me much"):
            await house.writes("wa", text)
            await scene.quiet()
        await scene.pass_time(100)
        await house.writes("wa", "from a stranger", number="+8801999000001")
        await house.writes("wa", "from one of many", number="+" + ANYONE)
        again = wa_body(messages=[text_item("wamid.again", "twice", ANYONE)])
        assert {await post_wa(house, again), await post_wa(house, again)} == {200}
        early = wa_body(statuses=[status_item("wamid.not-yet", "delivered")])
        assert await post_wa(house, early) == 200
        await take_album(house)
        await scene.pass_time(6)
        await house.writes("sms", "STOP")
        await house.writes("sms", "START")
        await scene.reply("x" * 6000)
        await scene.quiet()
        await house.api("POST", f"/conversations/{where}/release", {"resume": True})
        await house.writes("wa", "count with me")
        await scene.pass_time(3700)
        await house.api("PATCH", f"/conversations/{where}", {"status": "resolved"})
        await house.hub.store.write(read, bytes.fromhex(where.replace("-", "")), 0)
        await scene.quiet()
        await give_signals(scene)
        await keep_house(scene)
        await keep_channels(scene, bytes.fromhex(where.replace("-", "")))
        await read_lists(scene, where)


async def take_album(house: House) -> None:
    parts = [
        Inbound(WA_ACCOUNT, HER, key, key, Message.of(key, album="13"), house.hub.clock.now())
        for key in ("album.1", "album.2")
    ]
    await house.hub.intake.accept(house.hub.channels.by_name["wa"], list(parts))


async def give_signals(scene: Scene) -> None:
    house = scene.house
    [first, *_] = await house.rows(
        messages.c.direction == "in", messages.c.text == "my order", messages.c.channel_id > b""
    )
    key, at = first["external_id"], house.hub.clock.now()
    channel = await house.hub.store.read(
        lambda conn: conn.execute(
            sa.select(channels.c.id).where(channels.c.name == "wa")
        ).scalar_one()
    )
    for signal in (
        Edit("1", HER, at, key, Message(text="edited")),
        Unsend("1", HER, at, key),
        Reaction("1", HER, at, key, "x"),
        OptOut("1", HER, at),
        OptOut("1", HER, at, on=False),
        OptOut("1", "8801000000000", at),
        ReadByCustomer("1", HER, at),
        ReadByCustomer("1", HER, at, key),
        DeliveredToCustomer("1", HER, at),
        Echo("1", HER, at, "wamid.elsewhere", Message(text="from the phone")),
        NumberChange("1", HER, at, "8801711999999", (Alias("phone", "+8801711999999", True),)),
    ):
        await house.hub.store.write(apply_signal, channel, signal, at)


async def keep_house(scene: Scene) -> None:
    hub = scene.house.hub
    at = hub.clock.now()
    await hub.worker.sweep()
    await hub.store.read(pending, at, frozenset({b"\x00" * 16}))
    await hub.store.write(wake_snoozed, at)
    await hub.store.write(throw_away, at, hooks_days=14, changes_days=7)
    await hub.store.write(throw_away, at + 12 * DAY, hooks_days=14, changes_days=7)
    await hub.store.write(due, at, at + 1)
    await hub.store.write(take_due, at, at + 1, 8)
    await hub.store.read(read_backlog, at)
    await hub.store.read(load_traffic)
    await hub.store.read(list_letters, None, 50)
    place = await hub.store.read(newest_place)
    await hub.store.read(changes_after, place, 500)
    await hub.store.read(changes_after, START, 500)
    await hub.store.read(list_customers, None, 50)


async def keep_channels(scene: Scene, where: bytes) -> None:
    """Pauses, what is held or early, customers without a name, and how channels are."""
    house, store = scene.house, scene.house.hub.store
    at, channel = house.hub.clock.now(), house.hub.channels.by_name["wa"].id
    mine = messages.c.conversation_id == where
    [said, *_] = await house.rows(
        mine, messages.c.direction == "in", messages.c.channel_id == channel
    )
    [answer, *_] = await house.rows(mine, messages.c.direction == "out")
    hers = said["address_id"]
    soon = Edit("1", HER, at, "wamid.soon", Message(text="edited"))
    await store.write(apply_signal, channel, soon, at)
    assert await post_wa(house, wa_body(messages=[text_item("wamid.soon", "too late", HER)])) == 200
    await store.write(apply_signal, channel, replace(soon, external_id="wamid.never"), at)
    await store.write(apply_due, at)
    await store.read(is_due, at)
    await store.write(pause, channel, Misconfigured("no", code="190"), at)
    [paused] = (await store.read(list_pauses, [channel])).values()
    await store.write(take_trial, paused, at)
    await store.read(waiting_addresses, channel, 3)
    await store.write(resume, channel, at)
    await store.write(release, where, [hers], at)
    ends = ((cancel, where, answer["id"], "test", at), (release_missed, at), (give_up, at + 1))
    for end in ends:
        await store.write(hold_again, answer["id"], at)
        await store.write(*end)
    since = said["id"][:6] + bytes(10)
    await store.read(is_nameless, [channel], since)
    nameless = await store.write(take_nameless, [channel], since, 8)
    await store.write(ask_again, [one.id for one in nameless])
    await store.read(find_kept, where, [said["id"]])
    await store.read(is_shared, said["id"], "33/33")
    await store.read(last_heard, where, hers)
    await store.read(read_heard, where)
    await store.read(count_answers, where, hers, at - DAY // 24)
    await store.write(note_use, {channel: (at, at)})
    await store.write(take_expiry, channel, at, at)
    await store.read(find_channels)


def hold_again(conn: sa.Connection, message_id: bytes, at: int) -> None:
    held = messages.update().where(messages.c.id == message_id)
    conn.execute(held.values(state="held", lane=None, due_at=at))


FILTERS = (
    "", "status=open", "status=snoozed", "owner=bot", "owner=queue", "owner=agent",
    f"owner={id_text(agent_of(3))}", "channel=wa", "channel=sms", "team=sales", "team=returns",
    "tag=vip", "tag=fraud", f"q=%2B{ANYONE}", "q=Customer%203", "q=nobody",
    "status=open&owner=queue", "status=open&team=sales&tag=vip",
)  # fmt: skip


async def read_lists(scene: Scene, where: str) -> None:
    for query in FILTERS:
        status, page = await scene.house.api("GET", f"/conversations?limit=20&{query}")
        assert status == 200, (query, page)
        if page["next"]:
            more = f"/conversations?limit=20&{query}&cursor={page['next']}"
            assert (await scene.house.api("GET", more))[0] == 200
    status, page = await scene.house.api("GET", f"/conversations/{where}/messages?limit=5")
    for more in (f"cursor={page['next']}", "after_seq=3"):
        found = await scene.house.api("GET", f"/conversations/{where}/messages?limit=5&{more}")
        assert found[0] == 200
    for query in ("", f"alias=%2B{ANYONE}", f"address={ANYONE}", "q=Customer%203"):
        assert (await scene.house.api("GET", f"/customers?limit=20&{query}"))[0] == 200


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def whole_walks(plan: dict[str, Any]) -> list[str]:
    """The steps of a PostgreSQL plan that go through all rows of a big table or of its index."""
    found = []
    within = {id(inner): node for node in nodes(plan) for inner in node.get("Plans", ())}
    for node in nodes(plan):
        table, index = node.get("Relation Name", ""), node.get("Index Name", "")
        rest = SELDOM.sub("", node.get("Filter", "")).strip("() ").replace("AND", "").strip()
        if node["Node Type"] == "Seq Scan" and table in BIG:
            found.append(f"Seq Scan on {table}: {rest}")
        elif index and "Index Cond" not in node and index not in WORK_LISTS:
            above = node
            while (above := within.get(id(above), {})) and above["Node Type"] == "Nested Loop":
                pass
            if rest or above.get("Node Type") != "Limit":
                found.append(f"{node['Node Type']} using {index}: {rest}")
    return found


async def explain_all(url: str, heard: Heard, *, generic: bool) -> dict[str, list[str]]:
    """The whole walks of each statement, with its parameters or, `generic`, without."""
    db = await asyncpg.connect(url)
    try:
        mode = "force_generic_plan" if generic else "force_custom_plan"
        await db.execute(f"SET jit = off; SET plan_cache_mode = {mode}")
        walks = {}
        for number, (sql, parameters) in enumerate(heard.statements.items()):
            if generic:
                await db.execute(f"PREPARE s{number} AS {sql}")
                given = f"({', '.join(['NULL'] * len(parameters))})" if parameters else ""
                text = await db.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE s{number}{given}")
            else:
                text = await db.fetchval("EXPLAIN (FORMAT JSON) " + sql, *parameters)
            if not BY_NAME.search(sql) and not (generic and sql.startswith(HOUSEKEEPING)):
                walks[sql] = whole_walks(json.loads(text)[0]["Plan"])
        return {sql: steps for sql, steps in walks.items() if steps}
    finally:
        await db.close()


async def test_on_postgres(tmp_path: Path, postgres: Postgres, template: str) -> None:
    url, heard = postgres.create(template), Heard()
    async with playing(tmp_path, "wa", database=url) as scene:
        postgres.run("ANALYZE", database=url.rpartition("/")[2])
        await hear_everything(scene, heard)
    postgres.run("VACUUM ANALYZE", database=url.rpartition("/")[2])
    assert len(heard.statements) > 50
    for generic in (False, True):
        found = await explain_all(url, heard, generic=generic)
        assert not found, found
    postgres.drop(url)


def scans(conn: sa.Connection, sql: str, parameters: Any) -> list[str]:
    """The steps of a SQLite plan that go through a whole big table. Its plans do not say what is
    passed over on the way: a walk in the order of an index is taken for a short one where the
    statement has a LIMIT and asks for nothing else. `changes` is in the order of its ids itself."""
    names = {name: name for name in BIG}
    names |= {alias: table for table, alias in re.findall(r"(\w+) AS (\w+)", sql) if table in BIG}
    plan = conn.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, parameters)
    short = "LIMIT" in sql and not re.search(r" (?:owner_id|team|status) = |owner_kind = ", sql)
    return [
        row.detail
        for row in plan
        if (found := re.match(r"SCAN (\w+)", row.detail))
        and found[1] in names
        and not any(index in row.detail for index in WORK_LISTS)
        and not (short and (" USING " in row.detail or found[1] == "changes"))
        and not BY_NAME.search(sql)
    ]


@only_sqlite
async def test_on_sqlite(tmp_path: Path) -> None:
    url, heard = f"sqlite:///{tmp_path}/hub.db", Heard()
    await asyncio.to_thread(fill, url, FILLING)
    async with playing(tmp_path, "wa") as scene:
        await hear_everything(scene, heard)

        def look(conn: sa.Connection) -> dict[str, list[str]]:
            found = {sql: scans(conn, sql, given) for sql, given in heard.statements.items()}
            return {sql: steps for sql, steps in found.items() if steps}

        found = await scene.house.hub.store.read(look)
    assert len(heard.statements) > 50
    assert not found, found
