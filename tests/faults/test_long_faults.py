"""Faults that are more than one call: a provider gone, a channel paused, a window that closes,
a message in parts."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import twilio, whatsapp
from hub.clock import Clock
from hub.store.schema import messages
from tests.faults.scene import OTHER, Scene, playing
from tests.posting import post_wa, text_item, wa_body
from tests.running import CUSTOMER, WA_ACCOUNT


@pytest.mark.parametrize("channel", ["wa", "sms"])
async def test_gone_for_ten_minutes(tmp_path: Path, channel: str) -> None:
    async with playing(tmp_path, channel) as scene:
        await scene.stop_standin()
        for number in range(3):
            status, _ = await scene.reply(f"reply {number}")
            assert status == 201
        await scene.reaches("reply 0", "queued", "unreachable")
        await scene.assert_others_unharmed("while gone", same_channel=False, by_agent=True)
        for _ in range(20):
            await scene.pass_time(30)
        row = await scene.row("reply 0")
        assert (row["state"], row["error_class"]) == ("queued", "unreachable")
        assert row["attempt"] > 5
        assert (await scene.row("reply 1"))["attempt"] == 0

        await scene.start_standin()
        await scene.pass_time(300)
        assert [len(scene.calls(f"reply {number}")) for number in range(3)] == [1, 1, 1]
        heard = [i.text for i in scene.standin.shown(CUSTOMER) if i.text.startswith("reply")]
        assert heard == ["reply 0", "reply 1", "reply 2"]
        assert scene.house.counted("sends_repeated") == 0
        await scene.assert_others_unharmed("afterwards", by_agent=True)


async def test_a_wrong_token_pauses_the_channel_and_keeps_its_queue(tmp_path: Path) -> None:
    clock = Clock()
    sandboxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    async with contextlib.AsyncExitStack() as stack:
        for sandbox in sandboxes.values():
            sandbox.now = lambda: clock.now() / 1e6
            await sandbox.start()
            stack.push_async_callback(sandbox.stop)
        never = {"resume_after": 1e9}
        async with playing(tmp_path, "wa", clock=clock, sandboxes=sandboxes, limits=never) as scene:
            house = scene.house
            scene.fault("status", status=401, code=190)
            await house.writes("wa", "first")
            await scene.reaches("echo first", "queued", "misconfigured")
            await house.writes("wa", "second", number=OTHER)
            await scene.reaches("echo second", "queued")
            await scene.pass_time(3600)
            assert len(scene.calls("echo first")) == 1
            assert not scene.calls("echo second"), "a paused channel makes no call"
            _, found = await house.api("GET", "/channels")
            paused = {one["name"]: one["paused"] for one in found["items"]}
            assert "access token" in paused["wa"]
            assert paused["sms"] is None
            await house.writes("sms", "elsewhere")
            await scene.quiet()
            assert "echo elsewhere" in await house.heard("sms")
        # Started again, with the settings mended: what was kept goes out.
        async with playing(tmp_path, "wa", clock=clock, sandboxes=sandboxes) as scene:
            await scene.pass_time(3600)
            assert len(scene.calls("echo first")) == 2
            assert (await scene.state("echo first"))[0] == "read"
            assert await scene.house.heard("wa", OTHER) == ["echo second"]
            _, found = await scene.house.api("GET", "/channels")
            assert [one["paused"] for one in found["items"]] == [None, None, None]


async def test_the_gate_refuses_when_the_window_has_closed(tmp_path: Path) -> None:
    """A dialog speaks a day after the customer did: no call is made at all."""
    async with playing(tmp_path, "wa") as scene:
        await scene.house.writes("wa", "ask me tomorrow")
        await scene.quiet()
        before = len(scene.standin.log())
        await scene.pass_time(25 * 3600)
        assert await scene.state("A day has passed.") == ("failed", "window_closed")
        assert len(scene.standin.log()) == before
        status, problem = await scene.reply("too late")
        assert (status, problem["code"]) == (409, "window_closed")
        assert len(scene.standin.log()) == before


async def test_the_provider_closes_the_window(tmp_path: Path) -> None:
    """The hub heard the customer, the provider did not: its own check refuses with 131047."""
    async with playing(tmp_path, "wa") as scene:
        stranger = "8801711000099"
        body = wa_body(messages=[text_item("wamid.S", "hello there", stranger)])
        assert await post_wa(scene.house, body) == 200
        await scene.reaches("echo hello there", "failed", "window_closed")
        row = await scene.row("echo hello there")
        assert row["error_code"] == "131047"
        assert len(scene.calls("echo hello there")) == 1
        await scene.assert_others_unharmed("meanwhile")


async def test_the_provider_tells_of_the_closed_window_later(tmp_path: Path) -> None:
    async with playing(tmp_path, "wa", accounts={"receipts": ("sent",)}) as scene:
        scene.standin.accounts[WA_ACCOUNT].async_window_error = True
        body = wa_body(messages=[text_item("wamid.S", "hello there", "8801711000099")])
        assert await post_wa(scene.house, body) == 200
        await scene.reaches("echo hello there", "failed", "window_closed")
        await scene.pass_time(300)
        assert len(scene.calls("echo hello there")) == 1


async def test_nothing_that_waited_goes_out_after_an_opt_out(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.fault("status", status=429, retry_after=30)
        await scene.house.writes("sms", "first")
        await scene.reaches("echo first", "queued", "busy")
        await scene.house.writes("sms", "second")
        await scene.reaches("echo second", "queued")
        await scene.house.writes("sms", "STOP")
        await scene.pass_time(31)
        assert await scene.state("echo first") == ("failed", "opted_out")
        assert await scene.state("echo second") == ("failed", "opted_out")
        assert len(scene.calls("echo first")) == 1
        assert not scene.calls("echo second")
        status, problem = await scene.reply("please?")
        assert (status, problem["code"]) == (409, "opted_out")
        await scene.assert_others_unharmed("meanwhile")
        await scene.house.writes("sms", "START")
        await scene.house.writes("sms", "back again")
        await scene.quiet()
        assert (await scene.state("echo back again"))[0] == "delivered"


async def test_an_opt_out_that_only_the_provider_knew(tmp_path: Path) -> None:
    """One call tells it; from then on none is made, until she opts in."""
    async with playing(tmp_path, "sms") as scene:
        scene.fault("status", status=400, code=21610)
        await scene.house.writes("sms", "first")
        await scene.reaches("echo first", "failed", "opted_out")
        await scene.house.writes("sms", "second")
        await scene.quiet()
        status, problem = await scene.reply("please?")
        assert (status, problem["code"]) == (409, "opted_out")
        assert len(scene.calls("echo first")) == 1
        assert not scene.calls("echo second")
        await scene.assert_others_unharmed("meanwhile")
        await scene.house.writes("sms", "START")
        await scene.house.writes("sms", "back again")
        await scene.quiet()
        assert (await scene.state("echo back again"))[0] == "delivered"


def parts_of(text_length: int) -> str:
    return "\n\n".join(f"paragraph {n} " + "x" * 1500 for n in range(text_length))


async def _parts(scene: Scene) -> list[tuple[str, str | None]]:
    rows = await scene.house.rows(messages.c.part_group.isnot(None))
    return [(row["state"], row["error_class"]) for row in rows]


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_part_that_fails_for_good_cancels_the_later_ones(
    tmp_path: Path, failing: int
) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.fault(
            "status", status=400, code=21617, match={"text_contains": f"paragraph {failing} "}
        )
        status, answer = await scene.reply(parts_of(4))
        assert status == 201
        assert len(answer["items"]) == 4
        status, _ = await scene.reply("a message of its own")
        await scene.quiet()
        assert await _parts(scene) == [
            *[("delivered", None)] * failing,
            ("failed", "refused"),
            *[("cancelled", "earlier_part_failed")] * (3 - failing),
        ]
        sends = [c for c in scene.standin.log() if "paragraph" in str(c.body.get("Body"))]
        assert len(sends) == failing + 1
        assert (await scene.state("a message of its own"))[0] == "delivered"
        await scene.assert_others_unharmed("afterwards", by_agent=True)


async def test_a_part_that_fails_by_its_receipt_cancels_what_still_waits(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.standin.set_phone(CUSTOMER, fails_with=30005)
        scene.fault("status", status=429, retry_after=30, match={"text_contains": "paragraph 1 "})
        status, _ = await scene.reply(parts_of(3))
        assert status == 201
        await scene.quiet()
        assert await _parts(scene) == [
            ("failed", "no_such_recipient"),
            ("cancelled", "earlier_part_failed"),
            ("cancelled", "earlier_part_failed"),
        ]
        await scene.pass_time(60)
        sends = [c for c in scene.standin.log() if "paragraph" in str(c.body.get("Body"))]
        assert len(sends) <= 2


async def test_a_part_that_must_be_tried_again_keeps_the_order(tmp_path: Path) -> None:
    async with playing(tmp_path, "sms") as scene:
        scene.fault("status", status=500, match={"text_contains": "paragraph 1 "})
        status, _ = await scene.reply(parts_of(3))
        assert status == 201
        await scene.quiet()
        for _ in range(3):
            await scene.pass_time(10)
        heard = [i.text for i in scene.standin.shown(CUSTOMER) if "paragraph" in i.text]
        assert [text.split("x")[0].strip() for text in heard] == [
            "paragraph 0", "paragraph 1", "paragraph 2"
        ]  # fmt: skip
