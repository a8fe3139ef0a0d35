"""What only stands by: in the thread, and no dialog answers it."""

from pathlib import Path

from hub.clock import Clock
from hub.message import Inbound, Message
from hub.store.schema import messages
from tests.faults.scene import FLOWS
from tests.running import CUSTOMER, WA_ACCOUNT, running_hub


async def test_a_message_that_stands_by_is_shown_and_not_answered(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        message = Message.of("I am out of office", standby=True)
        inbound = Inbound(WA_ACCOUNT, CUSTOMER[1:], "a", "a", message, Clock().now())
        await house.hub.intake.accept(house.hub.channels.by_name["wa"], [inbound])
        await house.settled()
        await house.writes("wa", "and now I am back")
        await house.settled()
        heard = await house.rows(messages.c.direction == "in")
        assert [row["text"] for row in heard] == ["I am out of office", "and now I am back"]
        said = await house.rows(messages.c.direction == "out")
        assert [row["text"] for row in said] == ["echo and now I am back"]
