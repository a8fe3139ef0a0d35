"""Real mail servers on this machine: Dovecot keeps the mailboxes, aiosmtpd takes and delivers.

with mail_servers() as mail:
    mail.post(message, to="support@shop.test")          # by SMTP, into the mailbox
    [answer] = mail.inbox("rima@mail.test")               # what she has, as a client reads it
"""

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.ports import free_port

PASSWORD = "mail-s3cret"
DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
default_internal_user = {internal}
default_login_user = {stranger}
default_internal_group = {group}
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {user}
mail_gid = {own_group}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = home={folder}/mail/%u
}}
"""


def find_dovecot() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass
class MailServers:
    imap_port: int
    smtp_port: int
    handler: "Delivery"

    def post(self, mail: EmailMessage, to: str) -> None:
        """Hand a mail to the SMTP server, as any program would."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port) as client:
            client.send_message(mail, mail["From"].addresses[0].addr_spec, [to])

    def inbox(self, user: str) -> list[EmailMessage]:
        """A mailbox as a client sees it, oldest first."""
        with self.login(user) as imap:
            imap.select("INBOX", readonly=True)
            numbers = imap.search(None, "ALL")[1][0].split()
            found = [imap.fetch(number, "(RFC822)")[1][0][1] for number in numbers]  # type: ignore[index]  # a message of these numbers
        return [parsed(raw) for raw in found]

    def flags(self, user: str) -> list[bytes]:
        with self.login(user) as imap:
            imap.select("INBOX", readonly=True)
            return [one for one in imap.fetch("1:*", "(FLAGS)")[1] if isinstance(one, bytes)]

    def login(self, user: str) -> imaplib.IMAP4:
        imap = imaplib.IMAP4("127.0.0.1", self.imap_port)
        imap.login(user, PASSWORD)
        return imap


def parsed(raw: Any) -> EmailMessage:
    found = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(found, EmailMessage)
    return found


class Delivery:
    """Puts each mail into the mailbox of its receiver; `refuses` maps one to an SMTP answer."""

    def __init__(self, imap_port: int) -> None:
        self.imap_port = imap_port
        self.refuses: dict[str, str] = {}
        self.taken: list[tuple[str, str]] = []

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if answer := self.refuses.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        raw = envelope.content
        assert isinstance(raw, bytes)
        for address in envelope.rcpt_tos:
            imap = imaplib.IMAP4("127.0.0.1", self.imap_port)
            imap.login(address, PASSWORD)
            imap.append("INBOX", "", imaplib.Time2Internaldate(time.time()), raw)
            imap.logout()
            self.taken.append((envelope.mail_from or "", address))
        return "250 OK"


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    right = isinstance(data, LoginPassword) and data.password.decode() == PASSWORD
    return AuthResult(success=right)


@contextlib.contextmanager
def mail_servers() -> Iterator[MailServers]:
    """Both servers, on free ports, with a mailbox for whoever mail comes to."""
    # Not below a test's own folder, which Dovecot's other users may not enter.
    with tempfile.TemporaryDirectory(prefix="mail-") as made:
        os.chmod(made, 0o755)
        with running(Path(made)) as servers:
            yield servers


@contextlib.contextmanager
def running(folder: Path) -> Iterator[MailServers]:
    dovecot = find_dovecot()
    assert dovecot, "Dovecot is not installed: apt-get install dovecot-imapd"
    imap_port, smtp_port = free_port(), free_port()
    me = pwd.getpwuid(os.getuid()).pw_name
    own_group = grp.getgrgid(os.getgid()).gr_name
    others = (me, me, own_group)
    for name in ("run", "state", "mail"):
        (folder / name).mkdir()
    if os.getuid() == 0:
        # Neither its log-in nor a mailbox may be root's; Dovecot's package made users for it.
        others, me, own_group = ("dovecot", "dovenull", "dovecot"), "dovecot", "dovecot"
        shutil.chown(folder / "mail", "dovecot", "dovecot")
    config = folder / "dovecot.conf"
    config.write_text(
        DOVECOT.format(
            folder=folder,
            user=me,
            own_group=own_group,
            internal=others[0],
            stranger=others[1],
            group=others[2],
            port=imap_port,
            password=PASSWORD,
        )
    )
    process = subprocess.Popen(
        [dovecot, "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    delivery = Delivery(imap_port)
    controller = Controller(
        delivery, "127.0.0.1", smtp_port, authenticator=authenticate,
        auth_require_tls=False, enable_SMTPUTF8=True, data_size_limit=40_000_000,
    )  # fmt: skip
    try:
        wait_for(imap_port, process)
        controller.start()
        yield MailServers(imap_port, smtp_port, delivery)
    finally:
        if getattr(controller, "server", None):
            controller.stop()
        process.terminate()
        process.wait(10)
        assert process.stderr
        process.stderr.close()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if process.poll() is not None:
            assert process.stderr
            raise AssertionError(f"Dovecot ended: {process.stderr.read().decode()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as it:
            if it.recv(4).startswith(b"* OK"):
                return
        time.sleep(0.05)
    raise AssertionError("Dovecot does not answer")
