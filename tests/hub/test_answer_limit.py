"""A program that writes mails like a person: dialogs fall silent before the two go on for ever."""

import asyncio
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.email import Email
from hub.clock import id_text
from hub.store.schema import conversations, messages
from tests.running import House, running_hub

DESK, PROGRAM, PERSON = "support@shop.test", "robot@mail.test", "rima@mail.test"
SMTP = {"host": "127.0.0.1", "port": 9, "login": DESK, "password": "p", "security": "none"}
MAIL = {"kind": "email", "address": DESK, "inbound": "raw", "secret": "s" * 20, "smtp": SMTP}
MOST = 20


def settings() -> dict[str, Any]:
    return {"channels": {"mail": MAIL}, "dialogs": {"modules": ["tests.flows"], "default": "echo"}}


async def write(house: House, number: int, sender: str = PROGRAM) -> None:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, DESK, "Re: hello"
    made["Message-ID"] = f"<{number}.{sender}>"
    made.set_content(f"hello {number}")
    url = f"{house.url}/hooks/mail?token={'s' * 20}"
    kind = {"Content-Type": "message/rfc822"}
    async with house.session.post(url, data=made.as_bytes(), headers=kind) as reply:
        assert reply.status == 200, await reply.text()


async def handled(house: House, count: int) -> None:
    async def all_handled() -> bool:
        waiting = await house.rows(messages.c.handled_at.is_(None))
        return not waiting and len(await house.rows(messages.c.direction == "in")) == count

    await house.until(all_handled)


async def owners(house: House) -> list[str]:
    def read(conn: sa.Connection) -> list[str]:
        query = sa.select(conversations.c.owner_kind).order_by(conversations.c.created_at)
        return list(conn.execute(query).scalars())

    return await house.hub.store.read(read)


async def test_dialogs_stop_and_agents_are_asked(tmp_path: Path) -> None:
    assert Email.limits.answers == (MOST, 3600.0)
    said = messages.c.author_kind == "bot"
    async with running_hub(tmp_path, **settings()) as house:
        await asyncio.gather(*(write(house, number) for number in range(MOST + 5)))
        await handled(house, MOST + 5)
        assert len(await house.rows(said)) == MOST
        [note] = await house.rows(messages.c.direction == "note")
        assert f"wrote {MOST} messages to this address within 60 minutes" in note["text"]
        await write(house, 0, PERSON)
        await handled(house, MOST + 6)
        assert await owners(house) == ["queue", "bot"]
        assert len(await house.rows(said)) == MOST + 1, "she is answered as ever"


async def test_an_hour_later_a_dialog_answers_again(tmp_path: Path) -> None:
    said = messages.c.author_kind == "bot"
    async with running_hub(tmp_path, **settings()) as house:
        await asyncio.gather(*(write(house, number) for number in range(MOST + 1)))
        await handled(house, MOST + 1)
        [row, *_] = await house.rows(said)
        thread = id_text(row["conversation_id"])
        status, _ = await house.api("POST", f"/conversations/{thread}/release", {})
        assert status == 200
        await house.move_clock(3700)
        await write(house, 99)
        await handled(house, MOST + 2)
        assert len(await house.rows(said)) == MOST + 1
