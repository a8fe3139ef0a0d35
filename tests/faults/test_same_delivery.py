"""One delivery on many connections at once is one message and one turn; two messages of one
customer posted together are handled one after the other."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.barrier import connections, post_together
from tests.faults.checker import check, check_steps
from tests.faults.driver import Customer, Post, Said, crowd
from tests.faults.hooks import Hook, external_id_of, hook_of, whatsapp_hook
from tests.faults.processes import House, open_house

ROUNDS = int(os.environ.get("ONETHREAD_FAULT_ROUNDS", "100"))
WIDE = 50


class Talk:
    """What was said so far, and the hooks that carry it."""

    def __init__(self, house: House, customers: list[Customer]) -> None:
        self.house = house
        self.said: list[Said] = []
        self.posts: list[Post] = []
        self._places = dict.fromkeys((one.name for one in customers), 0)

    def say(self, customer: Customer) -> Said:
        """The customer's next message."""
        place = self._places[customer.name]
        self._places[customer.name] += 1
        line = customer.lines[place % len(customer.lines)]
        said = Said(f"tk-same-{customer.name}-{place:04}", customer, place, line)
        self.said.append(said)
        return said

    def hook(self, *said: Said) -> Hook:
        """One hook with these messages; several are a WhatsApp batch."""
        if len(said) == 1:
            line, token = said[0].line, said[0].token
            return hook_of(self.house.url, line, external_id_of(line, token), token)
        return whatsapp_hook(
            [(one.line, external_id_of(one.line, one.token), one.token) for one in said]
        )

    def note(self, statuses: list[int], *said: Said) -> None:
        self.posts += [Post(one.token, 0.0, status=status) for one in said for status in statuses]

    async def judge(self) -> None:
        """Each message once, each turn once, in order."""
        await self.house.settled()
        findings = check(await self.house.evidence(self.said, self.posts))
        findings.problems += check_steps(self.house.steps())
        assert not findings.problems, str(findings)
        assert findings.figures["repeats"] == 0
        turns = Counter(step["text"] for step in self.house.steps() if step["what"] == "begin")
        assert turns == Counter(one.token for one in self.said)


@pytest.mark.slow
async def test_one_delivery_on_fifty_connections_is_one_message_and_one_turn(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, delay=0.02) as house:
        customers = crowd(8)
        await house.open_windows(line for one in customers for line in one.lines)
        await house.start()
        talk = Talk(house, customers)
        async with connections(house.port, WIDE) as open_ones:
            for round in range(ROUNDS):
                said = talk.say(customers[round % len(customers)])
                statuses = await post_together(open_ones, [talk.hook(said)] * WIDE)
                assert statuses == [200] * WIDE, f"round {round}"
                talk.note(statuses, said)
        await talk.judge()


@pytest.mark.slow
async def test_one_delivery_in_two_batches_is_one_message_and_its_siblings_are_kept(
    tmp_path: Path,
) -> None:
    """25 connections post a batch of it and a message before it, 25 one of it and one after."""
    rng = random.Random(7)
    async with open_house(tmp_path, delay=0.02) as house:
        customers = [
            one for one in crowd(16) if len(one.lines) == 1 and one.lines[0].channel == "wa"
        ]
        await house.open_windows(line for one in customers for line in one.lines)
        await house.start()
        talk = Talk(house, customers)
        async with connections(house.port, WIDE) as open_ones:
            for round in range(ROUNDS):
                hers, other, another = (
                    talk.say(customers[(round + index) % len(customers)]) for index in range(3)
                )
                first, second = talk.hook(other, hers), talk.hook(hers, another)
                hooks = [first] * (WIDE // 2) + [second] * (WIDE // 2)
                rng.shuffle(hooks)
                statuses = await post_together(open_ones, hooks)
                assert statuses == [200] * WIDE, f"round {round}"
                talk.note(statuses, hers, other, another)
        await talk.judge()


@pytest.mark.slow
async def test_two_messages_of_one_customer_posted_together_are_handled_in_turn(
    tmp_path: Path,
) -> None:
    rounds = 20
    async with open_house(tmp_path, delay=0.05) as house:
        customers = crowd(8)
        await house.open_windows(line for one in customers for line in one.lines)
        await house.start()
        async with connections(house.port, 2) as open_ones:
            for round in range(rounds):
                customer = customers[round % len(customers)]
                line = customer.lines[0]
                tokens = [f"tk-pair-{round:03}-{which}" for which in "ab"]
                hooks = [
                    hook_of(house.url, line, external_id_of(line, token), token) for token in tokens
                ]
                assert await post_together(open_ones, hooks) == [200, 200]
        await house.settled()
        assert not check_steps(house.steps())
        stored = [row for row in house.rows() if row.direction == "in"]
        assert Counter(row.text for row in stored) == Counter(
            f"tk-pair-{round:03}-{which}" for round in range(rounds) for which in "ab"
        )
        began: dict[str, list[str]] = {}
        for step in house.steps():
            if step["what"] == "begin":
                began.setdefault(step["customer"], []).append(step["text"])
        in_thread: dict[str, list[str]] = {}
        for row in stored:
            in_thread.setdefault(row.thread, []).append(row.text)
        assert sorted(began.values()) == sorted(in_thread.values())
        calls = [call for one in house.standins.values() for call in await one.sends()]
        replies = Counter(call.text for call in calls if call.text.startswith("re "))
        assert replies == Counter(f"re {row.text}" for row in stored)
