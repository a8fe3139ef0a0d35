"""An SMS gateway that knows nothing but GET: a message in, its answer out, in a whole hub."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from hub.clock import SECOND, Clock
from hub.store.schema import messages
from tests.connectors.gateways import GATEWAYS
from tests.hub.hosts import serve
from tests.running import CUSTOMER, House, running_hub

DIALOGS = {"modules": ["dialogs"], "default": "welcome"}


async def write(house: House, text: str, **more: str) -> tuple[int, str]:
    """The gateway calls the hub with what a customer wrote."""
    fields = {"token": "LONGCODE_TOKEN-s3cret", "mobile": CUSTOMER[1:], "msg": text, **more}
    url = f"{house.url}/hooks/longcode?{urlencode(fields)}"
    async with house.session.get(url) as answer:
        return answer.status, await answer.text()


def in_the_middle() -> Clock:
    """A clock between the five minutes within which repeats are known."""
    clock = Clock()
    clock.move(400 - clock.now() / SECOND % 300)
    return clock


async def test_a_message_by_get_is_answered_by_get(tmp_path: Path) -> None:
    asked: list[dict[str, list[str]]] = []

    async def gateway(request: web.Request) -> web.Response:
        asked.append(parse_qs(request.query_string))
        return web.json_response({"Status": "0", "Text": "ACCEPTD", "Message_ID": str(len(asked))})

    async with serve(gateway) as provider:
        channel = GATEWAYS["longcode"] | {"api_base": provider.url("")}
        async with running_hub(
            tmp_path, clock=in_the_middle(), dialogs=DIALOGS, channels={"longcode": channel}
        ) as house:
            assert await write(house, "হ্যালো") == (200, "ACK")
            assert await write(house, "হ্যালো") == (200, "ACK")
            assert (await write(house, "hi", token="wrong"))[0] == 403
            await house.settled()
            heard = await house.rows(messages.c.direction == "in")
            [said] = await house.rows(messages.c.direction == "out")
            assert [row["text"] for row in heard] == ["হ্যালো"]
            assert (said["state"], said["external_id"]) == ("sent", "1")
            assert [one["toUser"] for one in asked] == [[CUSTOMER[1:]]]
            assert asked[0]["messageContent"] == [said["text"]]

            await house.writes("sms", "hello from another number of yours")
            await house.settled()
            threads = {row["conversation_id"] for row in await house.rows()}
            assert len(threads) == 1, "the same phone number is the same customer"
