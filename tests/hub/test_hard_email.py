"""One message of each hard sort by e-mail, through a whole hub to real mail servers, read back as
her mail program reads it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.message import Message
from tests import sorts
from tests.hub.hosts import Server, serve
from tests.hub.test_hard_messages import SORTS as BY_AGENTS
from tests.hub.test_hard_messages import body_of, hand_out
from tests.hub.test_hard_sorts import SORTS, bare
from tests.journeys.test_mail import DESK, RIMA, channel, heard, inbox
from tests.mailing import MailServers, mail_servers
from tests.running import House, running_hub

pytestmark = pytest.mark.slow
SUBJECT = "কোনটা আছে?"


@pytest.fixture
def mail() -> Iterator[MailServers]:
    with mail_servers() as servers:
        yield servers


@pytest_asyncio.fixture
async def files() -> AsyncIterator[Server]:
    async with serve(hand_out) as server:
        sorts.Files.url = server.url("")
        yield server


def line(mail: MailServers) -> dict[str, Any]:
    given = channel(mail)
    return given | {"imap": given["imap"] | {"poll": 0.1}}


async def write(mail: MailServers, text: str) -> None:
    made = EmailMessage(policy=policy.SMTP)
    made["From"], made["To"], made["Subject"] = RIMA, DESK, SUBJECT
    made["Message-ID"] = make_msgid(domain="mail.test")
    made.set_content(text)
    await asyncio.to_thread(mail.post, made, DESK)


async def answers(house: House, mail: MailServers, before: int) -> list[EmailMessage]:
    """The mails that came after the first `before`, once all have gone."""
    await inbox(house, mail, before + 1)
    await house.settled()
    return (await asyncio.to_thread(mail.inbox, RIMA))[before:]


def text_of(mails: list[EmailMessage]) -> str:
    found = [one.get_body(("plain",)) for one in mails]
    return "\n".join(part.get_content() for part in found if part)


def check_whole(said: Message, shown: list[EmailMessage]) -> None:
    text = text_of(shown)
    assert bare(said.text) in bare(text), "the text is not whole"
    for number, button in enumerate(said.buttons, 1):
        assert f"{number}. {button.title}" in text
    files = [part for one in shown for part in one.iter_attachments()]
    for item in said.media:
        assert any(part.get_content_type() == item.mime for part in files) or (
            item.source_url and item.source_url in text
        ), "neither the file nor its link"
    if said.place:
        for part in ("23.780573", "90.279239", "দোকান", "মিরপুর ১০, ঢাকা"):
            assert part in text
    for one in shown:
        assert not one.defects
        assert str(one["Subject"]) == f"Re: {SUBJECT}"
        assert max(map(len, bytes(one).splitlines())) <= 998


async def test_a_dialogs_hard_sorts_arrive_whole(
    tmp_path: Path, mail: MailServers, files: Server
) -> None:
    dialogs = {"modules": ["tests.sorts"], "default": "sorts"}
    async with running_hub(tmp_path, dialogs=dialogs, channels={"mail": line(mail)}) as house:
        plain = [sort for sort in SORTS if sort not in ("five", "twelve")]
        for sort in plain:
            await write(mail, f"send {sort}")
        await inbox(house, mail, len(plain))
        shown = await answers(house, mail, 0)
        for sort in plain:
            check_whole(sorts.message_of(sort), shown)
        count = len(shown)
        for sort in ("five", "twelve"):
            await write(mail, f"send {sort}")
            shown = await answers(house, mail, count)
            said = sorts.message_of(sort)
            check_whole(said, shown)
            number = said.buttons[-1].id.partition("-")[2]
            await write(mail, number.translate(str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯")))
            chosen = await answers(house, mail, count + len(shown))
            assert text_of(chosen).strip() == f"got {said.buttons[-1].id}"
            assert all(one["Auto-Submitted"] == "auto-replied" for one in shown + chosen)
            count += len(shown + chosen)


async def test_an_agents_hard_messages_arrive_whole(
    tmp_path: Path, mail: MailServers, files: Server
) -> None:
    dialogs = {"modules": [], "default": ""}
    async with running_hub(tmp_path, dialogs=dialogs, channels={"mail": line(mail)}) as house:
        await write(mail, "hello")
        await heard(house, 1)
        _, found = await house.api("GET", "/conversations")
        path = f"/conversations/{found['items'][0]['id']}/messages"
        count = 0
        for sort in BY_AGENTS:
            body = body_of(sort, files)
            status, answer = await house.api("POST", path, body)
            assert status == 201, answer
            shown = await answers(house, mail, count)
            text = text_of(shown)
            assert bare(body.get("text", "")) in bare(text)
            for number, button in enumerate(body.get("buttons", ()), 1):
                assert f"{number}. {button['title']}" in text
            for one in body.get("media", ()):
                attached = [part for shown_one in shown for part in shown_one.iter_attachments()]
                assert attached or one["url"] in text
            assert all(one["Auto-Submitted"] is None for one in shown)
            count += len(shown)
