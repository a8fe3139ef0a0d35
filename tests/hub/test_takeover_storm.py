"""Many bots talking at once, agents cutting in at random moments: on no phone does the bot speak
after the agent."""

import asyncio
import random
from pathlib import Path
from typing import Any

from hub.store.schema import messages
from tests.databases import ON_POSTGRES
from tests.faults.scene import FLOWS
from tests.posting import post_wa, text_item, wa_body
from tests.running import House, running_hub

WORDS = "An agent here."

# Seconds in which the bot is talking: a turn takes longer there.
SPREAD = 2.0 if ON_POSTGRES else 0.6


async def test_agents_cut_in_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(20)
    people = [f"8801711{number:06}" for number in range(40)]
    async with running_hub(
        tmp_path,
        dialogs=FLOWS,
        accounts={"receipt_delay": 0.0},
        limits={"sends": 8, "send_timeout": 5.0, "lease": 10.0},
    ) as house:
        for number in people:
            await house.whatsapp.customer_writes(number, text="open")
        await house.whatsapp.deliveries.drained()
        await house.settled()
        threads = await _threads(house)
        house.whatsapp.add_fault("slow", {"text_contains": "line 1"}, seconds=0.05, times=-1)
        house.whatsapp.add_fault("status", {"text_contains": "line 3"}, status=500, times=20)

        async def cut_in(number: str) -> tuple[str, float]:
            item = text_item(f"wamid.{number}", "tell me much", number)
            assert await post_wa(house, wa_body(messages=[item])) == 200
            await asyncio.sleep(chance.uniform(0.0, SPREAD))
            path = f"/conversations/{threads[number]}/messages"
            status, _ = await house.api("POST", path, {"text": WORDS, "channel": "wa"})
            assert status == 201
            return number, house.hub.clock.now() / 1e6

        taken = dict(await asyncio.gather(*(cut_in(number) for number in people)))
        for _ in range(5):
            await house.move_clock(30)
            await house.settled()
        said: list[int] = []
        for number in people:
            heard = [text for text in await house.heard("wa", number) if text != "echo open"]
            assert heard[-1] == WORDS, (number, heard)
            assert heard[:-1] == [f"line {n}" for n in range(len(heard) - 1)], (number, heard)
            said.append(len(heard) - 1)
            late = [
                call
                for call in house.whatsapp.log()
                if call.to == number and "line" in str(call.body) and call.at > taken[number] + 0.5
            ]
            assert not late, "what was begun before may be on its way, nothing else"
        assert len(set(said)) > 2, "they cut in at different moments"
        rows = await house.rows(messages.c.author_kind == "bot")
        assert {row["state"] for row in rows} <= {"read", "cancelled"}


async def _threads(house: House) -> dict[str, Any]:
    _, found = await house.api("GET", "/conversations?limit=200")
    ids = [conversation["id"] for conversation in found["items"]]
    numbers: dict[str, Any] = {}
    for one in ids:
        _, page = await house.api("GET", f"/conversations/{one}/messages?limit=1")
        numbers[page["items"][0]["address"]["external_id"]] = one
    return numbers
