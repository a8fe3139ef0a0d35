"""Real mail: by SMTP into the hub's mailbox, its answer into the customer's, three times to and
fro, with Dovecot as the mailbox and Python's mail library as the customer's client."""

import asyncio
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import pytest

from hub.store.schema import messages
from tests.mailing import PASSWORD, MailServers, mail_servers
from tests.running import House, running_hub

DESK, RIMA = "support@shop.test", "rima@mail.test"
SUBJECT = "আমার অর্ডার কোথায়?"
RECEIPT = b"%PDF-1.4 a receipt"


@pytest.fixture(scope="module")
def servers() -> Iterator[MailServers]:
    with mail_servers() as found:
        yield found


@pytest.fixture
def mail(servers: MailServers) -> MailServers:
    for user in (DESK, RIMA):
        with servers.login(user) as imap:
            if imap.select("INBOX")[1] != [b"0"]:
                imap.store("1:*", "+FLAGS", "(\\Deleted)")
                imap.expunge()
    servers.handler.refuses.clear()
    return servers


def channel(mail: MailServers, **more: Any) -> dict[str, Any]:
    login = {"host": "127.0.0.1", "security": "none", "login": DESK, "password": PASSWORD}
    return {
        "kind": "email",
        "address": DESK,
        "name": "দোকান",
        "imap": login | {"port": mail.imap_port, "poll": 0.5},
        "smtp": login | {"port": mail.smtp_port},
        "rate": 0,
        **more,
    }


def letter(text: str, answers: EmailMessage | None = None, **headers: str) -> EmailMessage:
    """What Rima's program sends; an answer quotes and threads as such programs do."""
    made = EmailMessage(policy=policy.SMTP)
    made["From"] = f"রিমা <{RIMA}>"
    made["To"] = f"Desk <{DESK}>"
    made["Subject"] = f"Re: {SUBJECT}" if answers else SUBJECT
    made["Message-ID"] = make_msgid(domain="mail.test")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    if answers:
        made["In-Reply-To"] = answers["Message-ID"]
        made["References"] = f"{answers.get('References', '')} {answers['Message-ID']}".strip()
        body = answers.get_body(("plain",))
        assert body
        quoted = "\n".join(f"> {line}" for line in body.get_content().splitlines())
        text = f"{text}\n\nOn Fri, 20 Nov 2026 at 18:00, Desk <{DESK}> wrote:\n{quoted}"
    made.set_content(text)
    return made


async def post(mail: MailServers, made: EmailMessage) -> None:
    await asyncio.to_thread(mail.post, made, DESK)


async def inbox(house: House, mail: MailServers, count: int) -> list[EmailMessage]:
    """Rima's mails once there are that many."""

    async def there() -> list[EmailMessage]:
        found = await asyncio.to_thread(mail.inbox, RIMA)
        return found if len(found) >= count else []

    found = await house.until(there)
    return list(found)


async def heard(house: House, count: int) -> list[dict[str, Any]]:
    async def there() -> list[dict[str, Any]]:
        rows = await house.rows(messages.c.direction == "in")
        return rows if len(rows) >= count else []

    return list(await house.until(there))


async def reply(house: House, text: str, **more: Any) -> None:
    _, found = await house.api("GET", "/conversations")
    [conversation] = found["items"]
    path = f"/conversations/{conversation['id']}/messages"
    status, answer = await house.api("POST", path, {"text": text, **more})
    assert status == 201, answer


async def test_three_times_to_and_fro(tmp_path: Path, mail: MailServers) -> None:
    dialogs = {"modules": [], "default": ""}
    async with running_hub(tmp_path, dialogs=dialogs, channels={"mail": channel(mail)}) as house:
        first = letter(SUBJECT)
        first.add_attachment(RECEIPT, maintype="application", subtype="pdf", filename="রসিদ.pdf")
        await post(mail, first)
        [row] = await heard(house, 1)
        assert (row["text"], row["content"]["subject"]) == (SUBJECT, SUBJECT)
        [kept] = row["content"]["media"]
        assert (kept["name"], kept["state"], kept["size"]) == ("রসিদ.pdf", "stored", len(RECEIPT))
        assert (tmp_path / "media" / kept["path"]).read_bytes() == RECEIPT
        await check_download(house)

        last, ids = first, [first["Message-ID"]]
        for turn in range(1, 4):
            await reply(house, f"উত্তর {turn}: আসছে।")
            answers = await inbox(house, mail, turn)
            answer = answers[-1]
            assert str(answer["Subject"]) == f"Re: {SUBJECT}"
            assert answer["From"].addresses[0].display_name == "দোকান"
            assert answer["In-Reply-To"] == last["Message-ID"]
            assert last["Message-ID"] in answer["References"]
            body = answer.get_body(("plain",))
            assert body
            assert body.get_content().strip() == f"উত্তর {turn}: আসছে।"
            assert answer["Auto-Submitted"] is None
            ids.append(answer["Message-ID"])
            last = letter(f"ধন্যবাদ {turn}", answer)
            await post(mail, last)
            rows = await heard(house, turn + 1)
            assert rows[-1]["text"] == f"ধন্যবাদ {turn}"
            assert f"<{rows[-1]['reply_to']['external_id']}>" == answer["Message-ID"]
        assert len({row["conversation_id"] for row in await house.rows()}) == 1
        assert len(set(ids)) == 4
        assert all(b"$Onethread" in flags for flags in await asyncio.to_thread(mail.flags, DESK))


async def check_download(house: House) -> None:
    """The attachment can be had from the API's link."""
    _, known = await house.api("GET", "/conversations")
    _, found = await house.api("GET", f"/conversations/{known['items'][0]['id']}/messages")
    [media] = found["items"][0]["media"]
    async with house.session.get(house.url + media["url"]) as answer:
        assert (answer.status, await answer.read()) == (200, RECEIPT)


async def test_a_file_goes_out_as_an_attachment(tmp_path: Path, mail: MailServers) -> None:
    dialogs = {"modules": [], "default": ""}
    async with running_hub(tmp_path, dialogs=dialogs, channels={"mail": channel(mail)}) as house:
        first = letter("please")
        first.add_attachment(RECEIPT, maintype="application", subtype="pdf", filename="রসিদ.pdf")
        await post(mail, first)
        await heard(house, 1)
        _, found = await house.api("GET", "/conversations")
        where = f"/conversations/{found['items'][0]['id']}/messages"
        _, thread = await house.api("GET", where)
        media_id = thread["items"][0]["media"][0]["url"].partition("?")[0].rpartition("/")[2]
        await reply(house, "your own receipt", media=[{"id": media_id}])
        [answer] = await inbox(house, mail, 1)
        [part] = answer.iter_attachments()
        assert (part.get_filename(), part.get_content()) == ("রসিদ.pdf", RECEIPT)


async def test_a_dialog_answers_a_person_and_no_program(tmp_path: Path, mail: MailServers) -> None:
    dialogs = {"modules": ["tests.flows"], "default": "echo"}
    async with running_hub(tmp_path, dialogs=dialogs, channels={"mail": channel(mail)}) as house:
        await post(mail, letter("I am away", Auto_Submitted="auto-replied"))
        await post(mail, letter("hello"))
        rows = await heard(house, 2)
        assert {row["text"] for row in rows} == {"I am away", "hello"}
        [answer] = await inbox(house, mail, 1)
        body = answer.get_body(("plain",))
        assert body
        assert body.get_content().strip() == "echo hello"
        assert answer["Auto-Submitted"] == "auto-replied"
        await house.settled()
        assert len(await asyncio.to_thread(mail.inbox, RIMA)) == 1


async def test_a_mailbox_that_is_gone_is_a_failed_message(
    tmp_path: Path, mail: MailServers
) -> None:
    dialogs = {"modules": [], "default": ""}
    async with running_hub(tmp_path, dialogs=dialogs, channels={"mail": channel(mail)}) as house:
        await post(mail, letter("hello"))
        await heard(house, 1)
        mail.handler.refuses[RIMA] = "550 5.1.1 no such user"
        await reply(house, "hi")
        await house.settled()
        [row] = await house.rows(messages.c.direction == "out")
        assert (row["state"], row["error_class"]) == ("failed", "no_such_recipient")


async def test_a_restart_neither_loses_nor_doubles(tmp_path: Path, mail: MailServers) -> None:
    dialogs = {"modules": [], "default": ""}
    settings: dict[str, Any] = {"dialogs": dialogs, "channels": {"mail": channel(mail)}}
    async with running_hub(tmp_path, **settings) as house:
        await post(mail, letter("one"))
        await heard(house, 1)
    await post(mail, letter("two"))
    with mail.login(DESK) as imap:
        imap.select("INBOX")
        # As a hub that died between the commit and the mark leaves it.
        imap.store("1", "-FLAGS", "($Onethread)")
    async with running_hub(tmp_path, **settings) as house:
        await heard(house, 2)
        await house.settled()
        rows = await house.rows(messages.c.direction == "in")
        assert [row["text"] for row in rows] == ["one", "two"]
