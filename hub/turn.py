"""Answer: one event of a conversation, through its dialog, to everything it causes."""

import asyncio
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

import structlog
from pydantic import JsonValue

from hub import i18n
from hub.channels import Channel, Channels
from hub.chat import Customer, Dialog, DialogMisuse, HandOver, Say
from hub.clock import SECOND, Clock, Micros, answer_id, id_text
from hub.compose import compose
from hub.errors import SendFailed, StoreUnavailable
from hub.journal import (
    Answered,
    Cancelled,
    Context,
    Entry,
    Event,
    Failed,
    HandedOver,
    Mismatch,
    Restarted,
    Resumed,
    Started,
    TimedOut,
    Turn,
    Waiting,
)
from hub.message import Button, Message
from hub.outreach.gate import is_closed
from hub.replay import find_dialog, match_options, replay
from hub.settings import Settings
from hub.store import Store
from hub.store.claims import Work, read_journal, renew
from hub.store.held import hold
from hub.store.rows import Row, message_of, note_row, outbound_rows, wait_for_files
from hub.store.turns import Ending, RunState, Step, record_step
from hub.templates import TemplateMisuse, Templates

log = structlog.get_logger(__name__)

MAX_RESTARTS = 20


class Answerer:
    """Turns a claimed event into what is to be committed for it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        channels: Channels,
        dialogs: Mapping[str, Dialog],
        settings: Settings,
        templates: Templates | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._channels = channels
        self._dialogs = dialogs
        self._settings = settings
        self._templates = templates or Templates()
        self.typing: Callable[[Work], AbstractContextManager[object]] = nullcontext
        """What shows the customer that a turn takes long, while it does."""

    async def answer(self, work: Work) -> Ending:
        """Handle the event of `work`. Raises LeaseLost and StoreUnavailable: the event stays."""
        scene = Scene(work, self._clock.now(), self._channels, self._templates)
        ending = scene.ending
        if (
            work.conversation["owner_kind"] != "bot"
            or work.conversation["customer_kind"] == "group"
        ):
            return ending
        if scene.channel is None or (work.address and work.address["opted_out_at"] is not None):
            return ending
        limits = self._settings.limits
        scene.horizon = round(limits.retry_horizon * SECOND)
        if self._settings.dialogs.when_closed == "hold":
            scene.hold_for = round(limits.hold * SECOND)
        if work.claims > limits.turn_claims:
            scene.give_up(f"{work.claims - 1} attempts at this message ended without an answer")
            return ending
        started = self._begin(scene)
        if started is None:
            return ending
        dialog, event, context, run = started
        with self.typing(work):
            await self._play(scene, dialog, event, context, run)
        return ending

    def _begin(self, scene: "Scene") -> tuple[Dialog, Event, Context, RunState] | None:
        """Which dialog goes on with which event, or None when nothing is to be said."""
        work, run = scene.work, scene.work.run
        if run is not None and run["state"] == "waiting":
            return self._resume(scene, run)
        if scene.message is None:
            return None
        message = match_options(scene.message, scene.menu)
        dialog = find_dialog(self._dialogs, message, scene.customer.language)
        dialog = dialog or self._dialogs.get(self._settings.dialogs.default)
        if dialog is None:
            scene.ending.to_queue = True
            return None
        assert work.message is not None
        assert work.address is not None
        state = RunState(
            id=work.message["id"],
            is_new=True,
            dialog=dialog.name,
            version=dialog.version,
            state="running",
            step=0,
            opening_message_id=work.message["id"],
            address_id=work.address["id"],
            start={"opening": message.model_dump(mode="json", exclude_defaults=True)},
            retried=work.claims > 1,
        )
        return dialog, Started(), self._context(scene, state, message, {}), state

    def _resume(self, scene: "Scene", run: Row) -> tuple[Dialog, Event, Context, RunState] | None:
        work = scene.work
        if work.timer is not None and work.timer["step"] != run["step"]:
            return None
        dialog = self._dialogs.get(run["dialog"])
        assert work.address is not None
        state = RunState(
            id=run["id"],
            is_new=False,
            dialog=run["dialog"],
            version=run["version"],
            state="running",
            step=run["step"],
            opening_message_id=run["opening_message_id"],
            address_id=work.address["id"],
            start=run["start"],
            retried=work.claims > 1,
        )
        if dialog is None or dialog.version != run["version"]:
            version = f"{run['dialog']} version {run['version']}"
            state.state, state.reason = "failed", f"dialog {version} is no longer there"
            scene.ending.runs.append(state)
            scene.give_up(state.reason)
            return None
        event: Event
        if work.timer is not None:
            event = TimedOut(run["step"]) if work.timer["kind"] == "timeout" else Resumed()
        else:
            assert scene.message is not None
            assert scene.channel is not None
            event = Answered(scene.message, scene.customer, scene.channel.name)
        start = run["start"] or {}
        opening = Message.model_validate(start.get("opening", {}))
        return dialog, event, self._context(scene, state, opening, start.get("state", {})), state

    def _context(
        self, scene: "Scene", run: RunState, opening: Message, state: dict[str, JsonValue]
    ) -> Context:
        assert scene.channel is not None
        return Context(
            run_id=run.id.hex(),
            customer=scene.customer,
            channel=scene.channel.name,
            opening=opening,
            state=state,
            journal_cap=self._settings.limits.journal_cap,
        )

    async def _play(
        self, scene: "Scene", dialog: Dialog, event: Event, context: Context, run: RunState
    ) -> None:
        entries = scene.work.journal
        for _ in range(MAX_RESTARTS):
            journal = {entry[0]: Entry.from_json(entry) for entry in entries}
            act = partial(self._act, scene.work, run)
            turn = await replay(dialog, journal, event, act, context)
            # Its calls may have taken long: what follows is said now.
            scene.at = scene.ending.at = self._clock.now()
            scene.ending.runs.append(run)
            run.entries = [entry.to_json() for entry in turn.entries]
            if not isinstance(turn.outcome, Restarted):
                scene.conclude(turn, run)
                return
            scene.carry_out(turn)
            run.state, run.step = "restarted", _last_step(run)
            run, context = self._again(scene, run, context, turn.outcome.state)
            entries = []
            if scene.work.claims > 1:
                entries = await self._store.read(read_journal, run.id)
            event = Started()
        run.state, run.reason = "failed", "the dialog restarts without end"
        scene.give_up(run.reason)

    def _again(
        self, scene: "Scene", old: RunState, context: Context, state: dict[str, JsonValue]
    ) -> tuple[RunState, Context]:
        start: Row = dict(old.start or {})
        start["state"] = state
        # Derived, so that an attempt after a crash finds the calls of this one.
        new_id = uuid.uuid5(uuid.UUID(bytes=old.id), "restart").bytes
        run = RunState(
            id=new_id,
            is_new=True,
            dialog=old.dialog,
            version=old.version,
            state="running",
            step=0,
            opening_message_id=old.opening_message_id,
            address_id=old.address_id,
            start=start,
            retried=old.retried,
        )
        return run, self._context(scene, run, context.opening, state)

    async def _act(
        self,
        work: Work,
        run: RunState,
        step: int,
        name: str,
        call: Callable[[], Awaitable[JsonValue]],
    ) -> JsonValue:
        renewal = asyncio.create_task(self._renew(work))
        try:
            value = await call()
        finally:
            renewal.cancel()
        entry = Entry(step, "call", name, value).to_json()
        epoch = work.conversation["owner_epoch"]
        done = Step(work.id, work.token, epoch, run.id, step, entry)
        await self._store.each(record_step, done)
        return value

    async def _renew(self, work: Work) -> None:
        lease = self._settings.limits.lease
        while True:
            await asyncio.sleep(lease / 3)
            # Whoever lost the lease learns it when the result is recorded.
            with suppress(StoreUnavailable):
                await self._store.write(renew, work.id, work.token, round(lease * SECOND))


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
        run.step = _last_step(run)
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


def _last_step(run: RunState) -> int:
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
