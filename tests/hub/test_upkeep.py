"""What is known of a channel beside its messages: when it was last used, how much goes wrong, and
when its credentials end, over the API, on the metrics page and by `onethread check`."""

from pathlib import Path
from typing import Any

from connectors.whatsapp import WhatsApp
from hub.channels import Channel
from hub.check import find
from hub.clock import DAY, HOUR, Micros, iso
from hub.errors import Misconfigured
from hub.store.channels import load_channels, load_traffic
from hub.store.pauses import pause
from hub.upkeep import Upkeep
from tests.faults.scene import FLOWS
from tests.posting import post_wa, text_item, wa_body
from tests.running import CUSTOMER, House, running_hub


class Ending(WhatsApp):
    """A connector whose token ends at a time of the test's choice."""

    ends: Micros | None = None
    asked = 0

    async def expires_at(self) -> Micros | None:
        self.asked += 1
        return self.ends


def put_ending(house: House, ends: Micros | None) -> tuple[Channel, Ending]:
    channel = house.hub.channels.by_name["wa"]
    told = channel.connector
    channel.connector = made = Ending(told.channel, told.settings, told.http)
    made.ends = ends
    return channel, made


async def channel_json(house: House) -> dict[str, Any]:
    _, found = await house.api("GET", "/channels")
    return next(one for one in found["items"] if one["name"] == "wa")


async def test_the_end_of_credentials_is_asked_for_every_six_hours(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        store, clock = house.hub.store, house.hub.clock
        await house.until(lambda: house.whatsapp.log())  # it asked at its start
        ends = clock.now() + 30 * DAY
        channel, connector = put_ending(house, ends)
        upkeep = Upkeep(store, clock, house.hub.channels)
        await upkeep.ask(channel)
        assert connector.asked == 0, "another look was made just now"
        clock.move(6 * 3600.0 + 1)
        for _ in range(3):
            await upkeep.ask(channel)
        assert connector.asked == 1
        assert (await channel_json(house))["credentials_expire_at"] == iso(ends)
        name = "credentials_expire_timestamp_seconds"
        headers = {"Authorization": f"Bearer {house.token}"}
        async with house.session.get(f"{house.url}/metrics", headers=headers) as answer:
            page = await answer.text()
        assert f'onethread_{name}{{channel="wa"}}' in page
        assert f'onethread_{name}{{channel="sms"}} NaN' in page


async def test_when_it_was_last_used_outlives_the_process(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        sandboxes = house.sandboxes
        assert (await channel_json(house))["last_inbound_at"] is None
        begun = house.hub.clock.now()
        await house.writes("wa", "hello")
        await house.settled()
        shown = await channel_json(house)
        assert shown["last_inbound_at"] >= iso(begun)
        assert shown["last_send_at"] >= shown["last_inbound_at"]
    async with running_hub(tmp_path, sandboxes=sandboxes, dialogs=FLOWS) as house:
        again = await channel_json(house)
        for name in ("last_inbound_at", "last_send_at"):
            assert again[name] == shown[name]


async def test_the_share_of_what_was_not_accepted(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        id = house.hub.channels.by_name["wa"].id
        assert (await channel_json(house))["error_rate"] is None
        house.whatsapp.add_fault("status", status=400, code=131009, match={"to": CUSTOMER})
        for text in ("one", "two", "three", "four"):
            await house.writes("wa", text)
            await house.settled()
        traffic = (await house.hub.store.read(load_traffic))[id]
        assert (traffic.tried, traffic.failing, traffic.waiting) == (4, 1, 0)
        assert (await channel_json(house))["error_rate"] == 0.25


async def test_check_tells_all_there_is_of_a_channel(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        hub = house.hub
        await house.writes("wa", "hello")
        await house.settled()
        strange = wa_body(account="999", messages=[text_item("wamid.1", "to nobody")])
        assert await post_wa(house, strange) == 200
        channel = hub.channels.by_name["wa"]
        since = hub.clock.now() - HOUR
        await Upkeep(hub.store, hub.clock, hub.channels).note()
        wrong = Misconfigured("the token is wrong", code="190")
        await hub.store.write(pause, channel.id, wrong, since)
        found = [one for one in await find(hub.settings) if one.name == "channels.wa"]
        row = (await hub.store.read(load_channels, [channel.id]))[channel.id]
        texts = {one.text: one.ok for one in found}
        told = "\n".join(texts)
        assert f"hook URL {hub.settings.hub.public_url}/hooks/wa" in told
        assert f"last inbound {iso(row.last_inbound_at or 0)}" in told
        [paused] = [text for text, ok in texts.items() if "paused since" in text and not ok]
        assert iso(since) in paused
        assert "the token is wrong" in paused
        assert "access_token" in paused
        assert any("account 999" in text and not ok for text, ok in texts.items())
