"""One event with what is known around it, and what its turn is to commit."""

import traceback
from typing import Any

import structlog

from hub import i18n
from hub.channels import Channel, Channels
from hub.chat import Customer, DialogMisuse, HandOver, Say
from hub.clock import SECOND, Micros, answer_id, id_text
from hub.compose import compose
from hub.errors import SendFailed
from hub.journal import (
    Cancelled,
    Failed,
    HandedOver,
    Mismatch,
    Turn,
    Waiting,
)
from hub.message import Button, Message
from hub.outreach.gate import is_closed
from hub.store.claims import Work
from hub.store.held import hold
from hub.store.rows import Row, message_of, note_row, outbound_rows, wait_for_files
from hub.store.turns import Ending, RunState
from hub.templates import TemplateMisuse, Templates

log = structlog.get_logger(__name__)


class Scene:
    """One event with what is known around it, and the ending being written for it."""

    def __init__(self, work: Work, at: Micros, channels: Channels, templates: Templates) -> None:
        self.work = work
        self.at = at
        self.templates = templates
        self.horizon: Micros = 0
        self.hold_for: Micros = 0
        address = work.address
        self.channel: Channel | None = (
            channels.by_id.get(address["channel_id"]) if address else None
        )
        self.message = _said(work) if work.message else None
        row = work.conversation
        spoken = i18n.detect(self.message.text) if self.message else ""
        language = spoken or row["customer_language"] or i18n.DEFAULT
        self.customer = Customer(
            id=id_text(row["customer_id"]),
            name=row["customer_name"],
            language=language,
            timezone=row["customer_timezone"] or "",
            traits=row["customer_traits"] or {},
        )
        self.menu = _menu(row["menu"])
        self.ending = Ending(
            conversation_id=work.id,
            token=work.token,
            epoch=row["owner_epoch"],
            at=at,
            message_id=work.message["id"] if work.message else None,
            album=[row["id"] for row in work.album],
            timer_id=work.timer["id"] if work.timer else None,
            run_id=row["run_id"],
            menu=row["menu"],
            customer_id=row["customer_id"],
            language=spoken if spoken and spoken != row["customer_language"] else None,
        )

    def conclude(self, turn: Turn, run: RunState) -> None:
        """Write down what the turn said and how the run stands now."""
        outcome = turn.outcome
        run.step = last_step(run)
        run.state = "done"
        if isinstance(outcome, Waiting):
            run.state, run.step = "waiting", outcome.step
            if outcome.timeout is not None:
                run.timeout_at = self.at + round(outcome.timeout * SECOND)
        elif isinstance(outcome, HandedOver):
            run.state = "handed_over"
        elif isinstance(outcome, Cancelled):
            run.state = "cancelled"
        elif isinstance(outcome, Failed | Mismatch):
            run.state, run.reason = "failed", _reason(run, outcome)
        self.ending.run_id = run.id if run.state == "waiting" else None
        try:
            self.carry_out(turn)
        except Exception as error:
            # A message that cannot be composed for this channel is the dialog's failure.
            outcome = Failed(error)
            run.state, run.reason, run.timeout_at = "failed", _reason(run, outcome), None
            self.ending.rows.clear()
        if isinstance(outcome, Failed | Mismatch):
            self.ending.run_id = None
            self.give_up(run.reason or "")

    def carry_out(self, turn: Turn) -> None:
        """Turn commands into rows. Raises what compose raises."""
        for command in turn.commands:
            if isinstance(command, Say):
                self.say(command.message)
            elif isinstance(command, HandOver):
                self.ending.to_queue = True
                self.ending.team = command.team
                if command.note:
                    self.note(command.note)

    def say(self, message: Message) -> None:
        """Queue a reply on the address that asked, degraded and split for its channel; or hold it
        until the customer writes, where that is set and her window is closed."""
        assert self.channel is not None
        assert self.work.address is not None
        name, kind = self.channel.name, self.channel.kind
        approves = self.channel.limits.templates
        language = self.customer.language
        message = self.templates.fit(message, name, kind, language=language, approves=approves)
        parts = compose(message, self.channel.limits, language=self.customer.language)
        rows = outbound_rows(
            parts,
            channel_id=self.channel.id,
            address_id=self.work.address["id"],
            at=self.at,
            expires_at=self.at + self.horizon,
            author_kind="bot",
        )
        if self.channel.limits.uploads:
            rows = [wait_for_files(row) for row in rows]
        window, seen = self.channel.limits.window, self.work.address["last_seen_at"]
        if self.hold_for and message.kind != "template" and is_closed(window, seen, self.at):
            rows = [hold(row, self.at + self.hold_for) for row in rows]
            self.ending.seen = seen
        for index, row in enumerate(rows, len(self.ending.rows)):
            row["id"] = answer_id(self.work.event_id, index)
        self.ending.rows += rows
        options = [button for button in message.buttons if not button.url]
        if options:
            self.ending.menu = [{"id": b.id, "title": b.title} for b in options]

    def note(self, text: str) -> None:
        self.ending.rows.append(note_row(text, at=self.at, author_kind="system"))

    def give_up(self, reason: str) -> None:
        """Apologise and give the conversation to agents with the reason."""
        self.say(Message(text=i18n.text("apology", self.customer.language)))
        self.note(reason)
        self.ending.run_id = None
        self.ending.to_queue = True


def _said(work: Work) -> Message:
    """What the event says; the messages of an album are one, with all attachments and captions."""
    assert work.message is not None
    message = message_of(work.message)
    if not work.album:
        return message
    parts = [message, *map(message_of, work.album)]
    text = "\n".join(part.text for part in parts if part.text.strip())
    media = tuple(item for part in parts for item in part.media)
    return message.model_copy(update={"text": text, "media": media, "formats": ()})


def _menu(rows: list[Row] | None) -> list[Any]:
    return [Button(id=row["id"], title=row["title"]) for row in rows or ()]


def last_step(run: RunState) -> int:
    return int(run.entries[-1][0]) if run.entries else run.step


def _reason(run: RunState, outcome: Failed | Mismatch) -> str:
    """Why a run failed, for agents; the traceback, without values, goes to the log."""
    if isinstance(outcome, Mismatch):
        return f"dialog {run.dialog} was changed while it ran: {outcome.reason}"
    error = outcome.error
    cause = error.__cause__ or error
    frames = traceback.format_tb(cause.__traceback__)
    log.error("dialog failed", dialog=run.dialog, error=type(cause).__name__, frames=frames)
    if isinstance(error, DialogMisuse | TemplateMisuse):
        return str(error)  # names and the cure, nothing a customer wrote
    told = f": {cause.reason}" if isinstance(cause, SendFailed) else ""
    return f"dialog {run.dialog} failed with {type(cause).__name__}{told}"
