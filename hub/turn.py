"""Answer: one event of a conversation, through its dialog, to everything it causes."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial

import structlog
from pydantic import JsonValue

from hub.channels import Channels
from hub.chat import Dialog
from hub.clock import SECOND, Clock
from hub.errors import StoreUnavailable
from hub.journal import (
    Answered,
    Context,
    Entry,
    Event,
    Restarted,
    Resumed,
    Started,
    TimedOut,
)
from hub.message import Message
from hub.replay import find_dialog, match_options, replay
from hub.scene import Scene, last_step
from hub.settings import Settings
from hub.store import Store
from hub.store.claims import Work, count_answers, read_journal, renew
from hub.store.rows import Row
from hub.store.turns import Ending, RunState, Step, record_step
from hub.templates import Templates

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
        if reason := await self._too_many(scene):
            scene.note(reason)
            ending.to_queue = True
            return ending
        started = self._begin(scene)
        if started is None:
            return ending
        dialog, event, context, run = started
        with self.typing(work):
            await self._play(scene, dialog, event, context, run)
        return ending

    async def _too_many(self, scene: Scene) -> str:
        """Why the dialogs have said enough to this address, or ""."""
        work = scene.work
        most = scene.channel.limits.answers if scene.channel else None
        if most is None or work.message is None or work.address is None:
            return ""
        since = scene.at - round(most[1] * SECOND)
        said = await self._store.read(count_answers, work.id, work.address["id"], since)
        if said < most[0]:
            return ""
        minutes = round(most[1] / 60)
        return (
            f"Dialogs wrote {said} messages to this address within {minutes} minutes."
            " It may be a program that answers by itself; see to it, and give it back if it is not."
        )

    def _begin(self, scene: Scene) -> tuple[Dialog, Event, Context, RunState] | None:
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

    def _resume(self, scene: Scene, run: Row) -> tuple[Dialog, Event, Context, RunState] | None:
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
        self, scene: Scene, run: RunState, opening: Message, state: dict[str, JsonValue]
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
        self, scene: Scene, dialog: Dialog, event: Event, context: Context, run: RunState
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
            run.state, run.step = "restarted", last_step(run)
            run, context = self._again(scene, run, context, turn.outcome.state)
            entries = []
            if scene.work.claims > 1:
                entries = await self._store.read(read_journal, run.id)
            event = Started()
        run.state, run.reason = "failed", "the dialog restarts without end"
        scene.give_up(run.reason)

    def _again(
        self, scene: Scene, old: RunState, context: Context, state: dict[str, JsonValue]
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
