"""The dialog engine: runs a dialog again from its journal up to where it must wait.

Pure but for `act`, which runs and records the steps of `chat.call`: no other I/O, no clock. A
dialog is put aside by an exception that is no `Exception`, unwound at once and in place; between
turns it lives in its journal alone.
"""

import asyncio
import json
import re
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

from pydantic import JsonValue

from hub import i18n
from hub.chat import (
    Again,
    Button,
    CallFailed,
    Chat,
    Check,
    Command,
    Compose,
    Customer,
    Dialog,
    HandOver,
    Message,
    Say,
    Step,
)
from hub.chat import TimedOut as AskTimedOut
from hub.guard import Guard, is_cancelled
from hub.journal import (
    Act,
    Answered,
    Cancelled,
    Context,
    Done,
    Entry,
    Event,
    Failed,
    HandedOver,
    Journal,
    Mismatch,
    Outcome,
    Restarted,
    Resumed,
    Started,
    TimedOut,
    Turn,
    Waiting,
)
from hub.trigger import find_dialog, is_cancel, match_options

__all__ = [
    "Act",
    "Answered",
    "Cancelled",
    "Context",
    "Done",
    "Entry",
    "Event",
    "Failed",
    "HandedOver",
    "Journal",
    "Mismatch",
    "Outcome",
    "Restarted",
    "Resumed",
    "Started",
    "TimedOut",
    "Turn",
    "Waiting",
    "find_dialog",
    "is_cancel",
    "match_options",
    "replay",
]

MAX_FAILED_CHECKS = 3
# What int() and float() say of "abc" is no sentence for a customer.
_PYTHONS_OWN = ("invalid literal for int()", "could not convert string to float")


async def replay(
    dialog: Dialog, journal: Journal, event: Event, act: Act, context: Context
) -> Turn:
    """Run `dialog` from the start through `journal`, hand it `event`, and stop where it waits.

    Raises only what `act` raises, and what ends a task: CancelledError, KeyboardInterrupt.
    """
    stage = _Stage(dialog, journal, event, act, context)
    try:
        stage.start()
        await stage.guard.drive(dialog.run(stage.chat))
    except BaseException as error:
        return stage.finish(error)
    return stage.finish(None)


class _Stage:
    """One run of a dialog through its journal; it carries the operations of its `Chat` out."""

    def __init__(
        self, dialog: Dialog, journal: Journal, event: Event, act: Act, context: Context
    ) -> None:
        self._dialog = dialog
        self._journal = journal
        self._event: Event | None = event
        self._act = act
        self._context = context
        self._step = 0
        self._in_past = True
        self._commands: list[Command] = []
        self._entries: list[Entry] = []
        self.guard = Guard(dialog.name)
        self.chat = Chat(
            self,
            customer=context.customer,
            channel=context.channel,
            opening=context.opening,
            state=context.state,
        )

    @property
    def step_key(self) -> str:
        return f"{self._context.run_id}:{self._step}"

    def start(self) -> None:
        """Take the first step, which holds what the run began with and under which version."""
        if isinstance(self._event, Started):
            self._event = None
        name = f"{self._dialog.name}@{self._dialog.version}"
        entry = self._find("start", name)
        if entry is None:
            known: dict[str, JsonValue] = {
                "customer": self.chat.customer.to_json(),
                "channel": self.chat.channel,
            }
            self._entries.append(Entry(0, "start", name, known))
        else:
            self._take_snapshot(entry.value)
        self._step = 1

    def finish(self, error: BaseException | None) -> Turn:
        """The turn, once the dialog has ended by `error` or by returning."""
        try:
            outcome = self.guard.conclude(error) or self._end(error)
        finally:
            self.guard.close()
            # The chat holds the stage: freed here, no collector has to find the two.
            del self.chat
        return Turn(tuple(self._commands), tuple(self._entries), outcome)

    def _end(self, error: BaseException | None) -> Outcome:
        if error is not None and not isinstance(error, AskTimedOut):
            if isinstance(error, Exception):
                return Failed(error)
            raise error
        if self._event is not None or (self._in_past and len(self._journal) > self._step):
            return Mismatch(f"the dialog now ends at step {self._step}, the run was further")
        return Done()

    def say(self, compose: Compose) -> Coroutine[Any, Any, None]:
        return self.guard.begin("say", self._say, compose)

    def ask(
        self, compose: Compose, check: Check | None, timeout: timedelta | None
    ) -> Coroutine[Any, Any, Any]:
        return self.guard.begin("ask", self._ask, compose, check, timeout)

    def call(self, name: str, run: Step) -> Coroutine[Any, Any, Any]:
        return self.guard.begin("call", self._call, name, run)

    def hand_over(self, note: str, team: str | None) -> Coroutine[Any, Any, NoReturn]:
        return self.guard.begin("hand_over", self._hand_over, note, team)

    def restart(self, state: dict[str, JsonValue]) -> Coroutine[Any, Any, NoReturn]:
        return self.guard.begin("restart", self._restart, state)

    async def _say(self, compose: Compose) -> None:
        step = self._advance()
        if self._find("say") is None:
            self._require_no_event("say")
            self._commands.append(Say(compose()))
            self._entries.append(Entry(step, "say"))
        self._step += 1

    async def _ask(self, compose: Compose, check: Check | None, timeout: timedelta | None) -> Any:
        asked = compose
        for _ in range(MAX_FAILED_CHECKS):
            answer = self._take_answer(asked, timeout)
            if check is None:
                return answer
            try:
                return check(answer)
            except (Again, ValueError) as again:
                reason = _reason(again, self.chat.language)
                asked = partial(_compose_again, compose, reason)
        self._commands.append(Say(Message.of(i18n.text("handing_over", self.chat.language))))
        return await self._hand_over(f"No valid answer to: {compose().text}", None)

    async def _call(self, name: str, run: Step) -> Any:
        step = self._advance()
        entry = self._find("call", name)
        cause: list[Exception] = []
        if entry is not None:
            result = entry.value
        else:
            self._require_no_event(f"call {name}")
            report = partial(self._report, name, run, cause)
            result = await self.guard.call(self._act(step, name, report))
        self._step += 1
        assert isinstance(result, dict)
        if "error" in result:
            raise CallFailed(name, str(result["error"])) from next(iter(cause), None)
        return result["value"]

    async def _report(self, name: str, run: Step, cause: list[Exception]) -> JsonValue:
        """Run a call's step once; what is recorded of it: its value, or the type it raised."""
        try:
            result = await run()
        except asyncio.CancelledError as error:
            if is_cancelled(asyncio.current_task()):
                raise
            return {"error": type(error).__name__}
        except Exception as error:
            if self.guard.is_unwinding:
                raise
            cause.append(error)
            return {"error": type(error).__name__}
        try:
            return {"value": _as_json(result)}
        except (TypeError, ValueError) as error:
            return self.guard.misuse(f"what {name} returns is not JSON: {error}")

    async def _hand_over(self, note: str, team: str | None) -> NoReturn:
        self._commands.append(HandOver(note, team))
        self.guard.stop(HandedOver(note, team))

    async def _restart(self, state: dict[str, JsonValue]) -> NoReturn:
        try:
            copy = _as_json(state)
        except (TypeError, ValueError) as error:
            self.guard.misuse(f"chat.restart takes JSON alone: {error}")
        self.guard.stop(Restarted(copy))

    def _advance(self) -> int:
        cap = self._context.journal_cap
        if self._step >= cap:
            self.guard.misuse(f"the run has {cap} steps: use chat.restart to begin anew")
        return self._step

    def _find(self, op: str, name: str = "") -> Entry | None:
        entry = self._journal.get(self._step)
        if entry is not None:
            if entry.op == op and entry.name == name:
                return entry
            if self._in_past:
                was = f"{entry.op} {entry.name}".strip()
                now = f"{op} {name}".strip()
                self.guard.stop(Mismatch(f"step {self._step} was {was} and is now {now}"))
            # Left by a turn that was never committed and took another way: as if it were not.
        self._in_past = False
        return None

    def _require_no_event(self, op: str) -> None:
        """All steps before the open question were committed with it, so none may be new."""
        if self._event is not None:
            self.guard.stop(Mismatch(f"step {self._step}, now {op}, was an open question"))

    def _take_answer(self, asked: Compose, timeout: timedelta | None) -> Message:
        step = self._advance()
        entry = self._find("ask")
        if entry is None:
            entry = self._take_event(step, asked(), timeout)
            self._entries.append(entry)
        self._step += 1
        value = entry.value
        assert isinstance(value, dict)
        if "message" not in value:
            raise AskTimedOut
        self._take_snapshot(value)
        return Message.model_validate(value["message"])

    def _take_event(self, step: int, asked: Message, timeout: timedelta | None) -> Entry:
        event, self._event = self._event, None
        options = tuple(button for button in asked.buttons if not button.url)
        if isinstance(event, Answered):
            return self._take_message(step, event, options)
        if isinstance(event, TimedOut) and event.step == step:
            return Entry(step, "ask", value={"timed_out": True})
        if not isinstance(event, TimedOut):
            self._commands.append(Say(asked))
        seconds = None if timeout is None else timeout.total_seconds()
        return self.guard.stop(Waiting(step, options, seconds))

    def _take_message(self, step: int, event: Answered, options: tuple[Button, ...]) -> Entry:
        message = match_options(event.message, options)
        choice = message.choice
        is_option = choice is not None and any(option.id == choice.id for option in options)
        if not is_option and is_cancel(message):
            text = i18n.text("cancelled", event.customer.language)
            self._commands.append(Say(Message.of(text)))
            self.guard.stop(Cancelled())
        value: dict[str, JsonValue] = {
            "message": message.model_dump(mode="json", exclude_defaults=True)
        }
        if event.customer != self.chat.customer:
            value["customer"] = event.customer.to_json()
        if event.channel != self.chat.channel:
            value["channel"] = event.channel
        return Entry(step, "ask", value=value)

    def _take_snapshot(self, value: Any) -> None:
        """What the event of this step knew; only what had changed is written down."""
        if "customer" in value:
            self.chat.customer = Customer(**value["customer"])
        if "channel" in value:
            self.chat.channel = value["channel"]


def _reason(again: Exception, language: str) -> str:
    text = str(again)
    is_sentence = isinstance(again, Again) or type(again) is ValueError
    if text and is_sentence and not text.startswith(_PYTHONS_OWN):
        return text
    return i18n.text("not_understood", language)


def _compose_again(compose: Compose, reason: str) -> Message:
    question = compose()
    text = f"{reason}\n\n{question.text}" if question.text else reason
    return question.model_copy(update={"text": text})


# NUL and halves of surrogate pairs, as JSON writes them: no database stores them.
_MAYBE_ODD = re.compile(r"\\u(?:0000|d[89a-f])")
_ODD = re.compile("[\0\ud800-\udfff]")


def _as_json(value: Any) -> Any:
    """`value` as it will be read back, so that the first run sees what a replay sees."""
    text = json.dumps(value, allow_nan=False)
    found = json.loads(text)
    return _without_odd(found) if _MAYBE_ODD.search(text) else found


def _without_odd(value: Any) -> Any:
    match value:
        case str():
            return _ODD.sub("", value)
        case list():
            return [_without_odd(one) for one in value]
        case dict():
            return {_without_odd(name): _without_odd(one) for name, one in value.items()}
    return value
