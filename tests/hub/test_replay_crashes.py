"""Any dialog, crashing anywhere any number of times, says what it says in an unbroken run."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NoReturn

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from hub import i18n
from hub.chat import (
    Again,
    CallFailed,
    Chat,
    Command,
    Dialog,
    HandOver,
    Message,
    Say,
    TimedOut,
    dialog,
)
from hub.errors import LeaseLost
from hub.replay import (
    Answered,
    Entry,
    Event,
    Failed,
    Mismatch,
    Outcome,
    Restarted,
    Resumed,
    Started,
    Waiting,
    match_options,
    replay,
)
from hub.replay import TimedOut as TimerDue
from tests.hub.replaying import CUSTOMER, Run, reread

Program = list[Any]
"""Nested lists: what `interpret` does, one operation after the other."""

OPS = st.recursive(
    st.one_of(
        st.just(["say"]),
        st.just(["ask"]),
        st.just(["ask_buttons"]),
        st.just(["ask_number"]),
        st.just(["ask_patiently"]),
        st.just(["call"]),
        st.just(["call_twice"]),
        st.just(["failing_call"]),
        st.just(["hand_over"]),
        st.just(["restart"]),
    ),
    lambda inner: st.one_of(
        st.tuples(st.just("if"), st.lists(inner, max_size=3), st.lists(inner, max_size=3)),
        st.tuples(st.just("repeat"), st.integers(1, 3), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("sub"), st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)
EVENTS = st.lists(
    st.one_of(
        st.sampled_from(["1", "2", "7", "many", "big", "cancel", "৩", ""]),
        st.sampled_from(["<timeout>", "<stale>", "<resume>"]),
    ),
    min_size=1,
    max_size=8,
)
CRASHES = st.lists(st.sampled_from(["none", "before", "unrecorded", "recorded", "uncommitted"]))


def program_dialog(program: Program, ran: Counter[str]) -> Dialog:
    @dialog("program")
    async def run(chat: Chat) -> None:
        memory: list[str] = [str(chat.state.get("carried", ""))]
        await interpret(chat, program, memory, ran)
        await chat.say(f"end {memory} {chat.customer.name} {chat.channel}")

    return run


async def interpret(chat: Chat, ops: Program, memory: list[str], ran: Counter[str]) -> None:
    for op, *args in ops:
        match op:
            case "say":
                await chat.say(f"said {memory[-1]}")
            case "ask":
                memory.append((await chat.ask(f"after {len(memory)}?")).text)
            case "ask_buttons":
                answer = await chat.ask("which?", buttons=["A", "B"])
                memory.append(answer.choice.title if answer.choice else "?")
            case "ask_number":
                memory.append(str(await chat.ask("number?", check=read_number)))
            case "ask_patiently":
                try:
                    memory.append((await chat.ask("?", timeout=timedelta(hours=1))).text)
                except TimedOut:
                    memory.append("late")
            case "call" | "call_twice" | "failing_call":
                await call(chat, op, memory, ran)
            case "if":
                branch = args[0] if memory[-1] in ("1", "A", "late") else args[1]
                await interpret(chat, branch, memory, ran)
            case "repeat":
                for _ in range(args[0]):
                    await interpret(chat, args[1], memory, ran)
            case "sub":
                inner: list[str] = [memory[-1]]
                try:
                    await interpret(chat, args[0], inner, ran)
                finally:
                    await chat.say(f"left {inner}")
                memory += inner
            case "hand_over":
                await chat.hand_over(f"note {memory}")
            case "restart":
                if not chat.state:
                    await chat.restart(carried=memory[-1] or "x")


async def call(chat: Chat, op: str, memory: list[str], ran: Counter[str]) -> None:
    async def effect(key: str) -> str:
        ran[key] += 1
        if op == "failing_call":
            raise OSError(key)
        return f"done {key} with {memory[-1]}"

    for _ in range(2 if op == "call_twice" else 1):
        try:
            memory.append(await chat.call(effect, chat.step_key))
        except CallFailed as failed:
            memory.append(failed.error)


def read_number(message: Message) -> int:
    if not message.text.isdigit():
        raise Again(f"not {message.text}")
    return int(message.text)


@dataclass
class Trip:
    transcript: list[Command]
    outcomes: list[Outcome]
    ran: Counter[str]
    unrecorded: Counter[str]


class Crashing(Run):
    """Handles each event again until it commits, crashing as the plan says."""

    def __init__(self, program: Program, crashes: Iterator[str]) -> None:
        self.effects: Counter[str] = Counter()
        self.unrecorded: Counter[str] = Counter()
        self.crashes = crashes
        super().__init__(program_dialog(program, self.effects))

    async def act(self, step: int, name: str, run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        crash = next(self.crashes, "none")
        if crash == "before":
            raise LeaseLost("before the step ran")
        value = await run()
        if crash == "unrecorded":
            self.unrecorded[f"{self.context.run_id}:{step}"] += 1
            raise LeaseLost("before its result was recorded")
        self.journal[step] = reread(Entry(step, "call", name, value))
        if crash == "recorded":
            raise LeaseLost("after its result was recorded")
        return value

    async def commit(self, event: Event) -> tuple[tuple[Command, ...], Outcome]:
        while True:
            try:
                turn = await replay(self.dialog, self.journal, event, self.act, self.context)
            except LeaseLost:
                continue
            if next(self.crashes, "none") == "uncommitted":
                continue
            self.journal |= {entry.step: reread(entry) for entry in turn.entries}
            return turn.commands, turn.outcome


async def travel(program: Program, script: list[str], crashes: list[str]) -> Trip:
    run = Crashing(program, iter(crashes))
    trip = Trip([], [], run.effects, run.unrecorded)
    event: Event | None = Started()
    texts = iter(script)
    while event is not None:
        commands, outcome = await run.commit(event)
        trip.transcript += commands
        trip.outcomes.append(outcome)
        event = None
        if isinstance(outcome, Restarted):
            run.journal = {}
            run.context = replace(run.context, run_id="run2", state=outcome.state)
            event = Started()
        elif isinstance(outcome, Waiting):
            event = next_event(texts, outcome, len(trip.outcomes))
    return trip


def next_event(texts: Iterator[str], waiting: Waiting, number: int) -> Event | None:
    match next(texts, None):
        case None:
            return None
        case "<timeout>":
            return TimerDue(waiting.step)
        case "<stale>":
            return TimerDue(waiting.step - 1)
        case "<resume>":
            return Resumed()
        case text:
            customer = replace(CUSTOMER, name=f"Name {number}")
            return Answered(Message.of(text), customer, ("wa", "sms")[number % 2])


class ScriptOver(BaseException):
    """There is no further event."""


class Live:
    """The stage of a dialog that runs once, from beginning to end, and is never replayed."""

    def __init__(self, texts: Iterator[str]) -> None:
        self.texts = texts
        self.transcript: list[Command] = []
        self.events = 1
        self.begin_anew({})

    def begin_anew(self, state: dict[str, JsonValue]) -> None:
        self.run_id = "run2" if state else "run"
        self.step = 1
        self.over = False
        channel, customer = "wa", CUSTOMER
        opening = Message(text="hi")
        self.chat = Chat(self, customer=customer, channel=channel, opening=opening, state=state)

    @property
    def step_key(self) -> str:
        return f"{self.run_id}:{self.step}"

    async def say(self, compose: Callable[[], Message]) -> None:
        if not self.over:
            self.transcript.append(Say(compose()))
            self.step += 1

    async def ask(self, compose: Callable[[], Message], check: Any, timeout: Any) -> Any:
        reason = ""
        for _ in range(3):
            question = compose()
            question = question.model_copy(update={"text": f"{reason}{question.text}"})
            try:
                answer = self.wait(question)
            finally:
                self.step += 1
            if check is None:
                return answer
            try:
                return check(answer)
            except Again as again:
                reason = f"{again}\n\n"
        self.transcript.append(Say(Message.of(i18n.text("handing_over", "en"))))
        return await self.hand_over(f"No valid answer to: {compose().text}", None)

    def wait(self, question: Message) -> Message:
        self.transcript.append(Say(question))
        while True:
            event = next_event(self.texts, Waiting(self.step), self.events)
            self.events += 1
            match event:
                case None:
                    self.end(ScriptOver())
                case TimerDue(step) if step == self.step:
                    raise TimedOut
                case Resumed():
                    self.transcript.append(Say(question))
                case Answered(message, customer, channel):
                    if message.text == "cancel":
                        self.transcript.append(Say(Message.of(i18n.text("cancelled", "en"))))
                        self.end(ScriptOver())
                    self.chat.customer, self.chat.channel = customer, channel
                    return match_options(message, question.buttons)

    async def call(self, name: str, run: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await run()
        except OSError as error:
            raise CallFailed(name, "OSError") from error
        finally:
            self.step += 1

    async def hand_over(self, note: str, team: str | None) -> NoReturn:
        self.transcript.append(HandOver(note, team))
        self.end(ScriptOver())

    async def restart(self, state: dict[str, JsonValue]) -> NoReturn:
        self.end(Anew(state))

    def end(self, how: BaseException) -> NoReturn:
        self.over = True
        raise how


class Anew(BaseException):
    def __init__(self, state: dict[str, JsonValue]) -> None:
        self.state = state


async def live(program: Program, script: list[str]) -> tuple[list[Command], Counter[str]]:
    ran: Counter[str] = Counter()
    stage = Live(iter(script))
    over = False
    while not over:
        over = True
        try:
            await program_dialog(program, ran)(stage.chat)
        except Anew as anew:
            stage.begin_anew(anew.state)
            stage.events += 1
            over = False
        except (ScriptOver, TimedOut):
            pass
    return stage.transcript, ran


@settings(max_examples=100, deadline=None)
@given(st.lists(OPS, min_size=1, max_size=5), EVENTS, CRASHES)
async def test_the_transcript_equals_that_of_an_unbroken_run(
    program: Program, script: list[str], crashes: list[str]
) -> None:
    transcript, ran = await live(program, script)
    for plan in ([], crashes):
        trip = await travel(program, script, plan)
        assert trip.transcript == transcript
        assert set(ran.values()) <= {1}
        assert trip.ran == ran + trip.unrecorded
        assert not [one for one in trip.outcomes if isinstance(one, Failed | Mismatch)]
