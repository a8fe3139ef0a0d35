"""A customer whose sends meet a fault, beside others who must not feel it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.store.schema import messages
from tests.running import CUSTOMER, House, running_hub

OTHER = "+8801711000002"
FLOWS = {"modules": ("tests.flows",), "default": "echo"}
RECONCILE = 60.0
LIMITS = {"send_timeout": 0.8, "lease": 5.0, "reconcile_for": RECONCILE}


class Scene:
    """One channel under fault; `channel` is the stuck one, `free` the customer's other one."""

    def __init__(self, house: House, channel: str) -> None:
        self.house = house
        self.channel = channel
        self.free = "sms" if channel == "wa" else "wa"
        self.stopped: set[str] = set()
        self._conversation = ""

    @property
    def standin(self) -> Any:
        return self.house.sandboxes[self.channel]

    def fault(self, do: str, **how: Any) -> None:
        """A fault that strikes this customer's sends alone."""
        match = {"to": CUSTOMER, **how.pop("match", {})}
        self.standin.add_fault(do, match=match, **how)

    async def row(self, text: str) -> dict[str, Any]:
        """The outbound message of that text, the newest one."""
        found = await self.house.rows(messages.c.text == text, messages.c.direction == "out")
        assert found, f"no outbound message {text!r}"
        return found[-1]

    async def state(self, text: str) -> tuple[str, str | None]:
        row = await self.row(text)
        return row["state"], row["error_class"]

    async def reaches(self, text: str, state: str, error: str | None = None) -> None:
        async def is_there() -> bool:
            found = await self.house.rows(messages.c.text == text, messages.c.direction == "out")
            return bool(found) and (found[-1]["state"], found[-1]["error_class"]) == (state, error)

        await self.house.until(is_there)

    def calls(self, text: str) -> list[Any]:
        """The provider calls that carried this text."""
        return [
            call
            for call in self.standin.log()
            if call.method == "POST"
            and text in (call.body.get("Body"), (call.body.get("text") or {}).get("body"))
        ]

    def look_ups(self) -> int:
        """How often the hub asked the provider what became of a send."""
        return sum(
            call.method == "GET" and call.path.endswith("/Messages.json")
            for call in self.standin.log()
        )

    def shown(self, text: str) -> int:
        """How often her phone shows the text."""
        return sum(
            item.direction == "out" and item.text == text for item in self.standin.shown(CUSTOMER)
        )

    async def pass_time(self, seconds: float) -> None:
        await self.house.move_clock(seconds)
        await self.quiet()

    async def quiet(self) -> None:
        """Until the hub has nothing due and the providers nothing more to tell."""
        for _ in range(2):
            await self.house.settled()
            for sandbox in self.house.sandboxes.values():
                if sandbox.base_url not in self.stopped:
                    await sandbox.deliveries.drained()
        await self.house.settled()

    async def stop_standin(self) -> None:
        self.stopped.add(self.standin.base_url)
        await self.standin.stop()

    async def start_standin(self) -> None:
        await self.standin.start(port=urlsplit(self.standin.base_url).port)
        self.stopped.clear()

    async def conversation(self) -> str:
        """The id of her conversation."""
        if not self._conversation:
            status, found = await self.house.api("GET", f"/conversations?q=%2B{CUSTOMER[1:]}")
            assert status == 200
            self._conversation = str(found["items"][0]["id"])
        return self._conversation

    async def reply(self, text: str, channel: str | None = None) -> tuple[int, Any]:
        """An agent's answer over the API; her conversation is an agent's from then on."""
        body = {"text": text, "channel": channel or self.channel}
        where = await self.conversation()
        return await self.house.api("POST", f"/conversations/{where}/messages", body)

    async def assert_others_unharmed(
        self, tag: str, *, same_channel: bool = True, by_agent: bool = False
    ) -> None:
        """Her other channel and another customer are answered now."""
        if by_agent:
            assert (await self.reply(f"elsewhere {tag}", self.free))[0] == 201
            await self._hears(self.free, CUSTOMER, f"elsewhere {tag}")
        else:
            await self.house.writes(self.free, f"elsewhere {tag}")
            await self._hears(self.free, CUSTOMER, f"echo elsewhere {tag}")
        if same_channel:
            await self.house.writes(self.channel, f"another {tag}", number=OTHER)
            await self._hears(self.channel, OTHER, f"echo another {tag}")
        else:
            await self.house.writes(self.free, f"another {tag}", number=OTHER)
            await self._hears(self.free, OTHER, f"echo another {tag}")

    async def _hears(self, channel: str, number: str, text: str) -> None:
        async def heard() -> bool:
            return text in await self.house.heard(channel, number)

        await self.house.until(heard)


@contextlib.asynccontextmanager
async def playing(
    folder: Path, channel: str, *, known: bool = True, **settings: Any
) -> AsyncIterator[Scene]:
    """A hub with the echo dialog, and the customer `known` on both channels."""
    limits = {**LIMITS, **settings.pop("limits", {})}
    accounts = {"receipt_delay": 0.0, **settings.pop("accounts", {})}
    async with running_hub(
        folder, dialogs=FLOWS, limits=limits, accounts=accounts, **settings
    ) as house:
        scene = Scene(house, channel)
        if known:
            for name in (scene.free, channel):
                await house.writes(name, "open")
            await scene.quiet()
        yield scene
