"""A dialog run in memory, as the hub runs it, and a second time to see that it is the same.

The journal is kept as JSON text and read back for every event, so that what would be lost in the
database is lost here.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from pydantic import JsonValue

from hub.chat import Command, Customer, Dialog, Message, Say
from hub.replay import (
    Answered,
    Context,
    Entry,
    Event,
    Failed,
    Journal,
    Mismatch,
    Outcome,
    Restarted,
    Resumed,
    Started,
    Turn,
    Waiting,
    replay,
)

MAX_RESTARTS = 10


class Rehearsal:
    """One run of `dialog`. `customer` and `channel` are those of the next event."""

    def __init__(self, dialog: Dialog, customer: Customer, channel: str) -> None:
        self.dialog = dialog
        self.customer = customer
        self.channel = channel
        self.outcome: Outcome | None = None
        self.journal = "[]"
        self._context: Context | None = None
        self._restarts = 0

    async def take(self, message: Message) -> list[Command]:
        """What the dialog does about the customer's `message`: the first one starts it."""
        if self.outcome is not None:
            return await self.handle(Answered(message, self.customer, self.channel))
        opening = Message.model_validate_json(message.model_dump_json())
        self._context = Context("run-1", self.customer, self.channel, opening)
        return await self.handle(Started())

    async def handle(self, event: Event) -> list[Command]:
        """What `event` causes, in order.

        Raises what the dialog raises, and AssertionError when it takes another way the second time.
        """
        turn = await self._turn(event)
        commands = [*turn.commands]
        restarts = 0
        while isinstance(turn.outcome, Restarted):
            restarts += 1
            if restarts > MAX_RESTARTS:
                raise AssertionError(f"{self.dialog.name} restarts without asking anything")
            self._begin_anew(turn.outcome.state)
            turn = await self._turn(Started())
            commands += turn.commands
        if isinstance(turn.outcome, Failed):
            raise turn.outcome.error
        if isinstance(turn.outcome, Mismatch):
            raise AssertionError(f"{self.dialog.name}: {turn.outcome.reason}")
        self.outcome = turn.outcome
        return commands

    def _begin_anew(self, state: dict[str, JsonValue]) -> None:
        self._restarts += 1
        self.journal = "[]"
        self._context = replace(
            self._began(),
            run_id=f"run-{self._restarts + 1}",
            customer=self.customer,
            channel=self.channel,
            state=state,
        )

    async def _turn(self, event: Event) -> Turn:
        past = self._read()
        calls: dict[int, Entry] = {}

        async def act(step: int, name: str, run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
            value = await run()
            calls[step] = Entry(step, "call", name, value)
            return value

        turn = await replay(self.dialog, past, event, act, self._began())
        again = await replay(self.dialog, {**past, **calls}, event, self._refuse, self._began())
        self._require_same(turn, again)
        done = {**past, **calls, **{entry.step: entry for entry in turn.entries}}
        self.journal = json.dumps([done[step].to_json() for step in sorted(done)])
        if isinstance(turn.outcome, Waiting):
            await self._require_resumable(turn.outcome)
        return turn

    async def _require_resumable(self, waiting: Waiting) -> None:
        turn = await replay(self.dialog, self._read(), Resumed(), self._refuse, self._began())
        asks_only = len(turn.commands) == 1 and isinstance(turn.commands[0], Say)
        if turn.outcome != waiting or not asks_only or turn.entries:
            raise AssertionError(
                f"{self.dialog.name} does not come back to its question: it waited as {waiting}, "
                f"replayed from its journal it gives {turn}"
            )

    async def _refuse(
        self, step: int, name: str, run: Callable[[], Awaitable[JsonValue]]
    ) -> JsonValue:
        raise AssertionError(
            f"{self.dialog.name} calls {name} at step {step} only the second time: "
            "the clock, randomness and I/O belong inside chat.call"
        )

    def _require_same(self, turn: Turn, again: Turn) -> None:
        if _visible(turn) != _visible(again):
            raise AssertionError(
                f"{self.dialog.name} takes another way when it is replayed (the clock, randomness "
                f"and I/O belong inside chat.call).\n  first: {turn}\n  then:  {again}"
            )

    def _read(self) -> Journal:
        entries = [Entry.from_json(fields) for fields in json.loads(self.journal)]
        return {entry.step: entry for entry in entries}

    def _began(self) -> Context:
        if self._context is None:
            raise AssertionError(f"{self.dialog.name} has not begun: the customer speaks first")
        return self._context


def _visible(turn: Turn) -> tuple[object, ...]:
    """What must be the same; of errors, which are never equal, their kind and text."""
    outcome: object = turn.outcome
    if isinstance(outcome, Failed):
        outcome = (type(outcome.error), str(outcome.error))
    return turn.commands, turn.entries, outcome
