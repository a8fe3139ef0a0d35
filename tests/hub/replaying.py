"""A run kept in memory as the store keeps it: what is committed, and what only `act` recorded."""

import json
from collections.abc import Awaitable, Callable

from pydantic import JsonValue

from hub.chat import Customer, Dialog, Message, Say
from hub.replay import Answered, Context, Entry, Event, Outcome, Started, Turn, replay

CUSTOMER = Customer("c1", "Mitu", "en")


class Run:
    """`take` handles an event and commits it; `turn` handles it and forgets all but calls."""

    def __init__(self, dialog: Dialog, *, cap: int = 1000, customer: Customer = CUSTOMER) -> None:
        self.dialog = dialog
        self.context = Context("run", customer, "wa", Message(text="hi"), journal_cap=cap)
        self.journal: dict[int, Entry] = {}
        self.said: list[str] = []
        self.ran: list[str] = []

    async def act(self, step: int, name: str, run: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        self.ran.append(name)
        value = await run()
        self.journal[step] = reread(Entry(step, "call", name, value))
        return value

    async def turn(self, event: Event) -> Turn:
        return await replay(self.dialog, self.journal, event, self.act, self.context)

    async def take(self, event: Event) -> Outcome:
        turn = await self.turn(event)
        self.journal |= {entry.step: reread(entry) for entry in turn.entries}
        self.said += [one.message.text for one in turn.commands if isinstance(one, Say)]
        return turn.outcome

    async def start(self) -> Outcome:
        return await self.take(Started())

    async def answer(
        self, text: str, customer: Customer = CUSTOMER, channel: str = "wa"
    ) -> Outcome:
        return await self.take(Answered(Message.of(text), customer, channel))


def reread(entry: Entry) -> Entry:
    return Entry.from_json(json.loads(json.dumps(entry.to_json())))
