"""The main job: a customer starts by SMS, goes on by WhatsApp, and it is one thread."""

from pathlib import Path

from tests.running import running_hub


async def test_an_order_question_moves_from_sms_to_whatsapp(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as house:
        await house.writes("sms", "Where is my order?")
        await house.settled()
        assert await house.heard("sms") == ["What is your order number?"]

        await house.writes("wa", "4411", name="Rima")
        await house.settled()
        answer = "Order 4411 is on its way. It should arrive on Thursday."
        assert await house.heard("wa") == [answer]
        assert await house.heard("sms") == ["What is your order number?"]

        status, found = await house.api("GET", "/conversations")
        assert status == 200
        assert len(found["items"]) == 1
        conversation = found["items"][0]
        assert sorted(conversation["channels"]) == ["sms", "wa"]
        _, thread = await house.api("GET", f"/conversations/{conversation['id']}/messages")
        said = sorted(thread["items"], key=lambda message: message["seq"])
        assert [(m["direction"], m["channel"]) for m in said] == [
            ("in", "sms"),
            ("out", "sms"),
            ("in", "wa"),
            ("out", "wa"),
        ]


async def test_a_number_typed_back_picks_from_the_menu_in_bangla(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as house:
        await house.writes("sms", "আসসালামু আলাইকুম")
        await house.settled()
        menu = (await house.heard("sms"))[0]
        assert "১. আমার অর্ডার কোথায়?" in menu

        await house.writes("sms", "১")
        await house.settled()
        await house.writes("sms", "৪৪১১")
        await house.settled()
        heard = await house.heard("sms")
        assert len(heard) == 3
        assert "৪৪১১" in heard[2]


async def test_stop_silences_the_bot_on_that_address_alone(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as house:
        await house.writes("sms", "Hello")
        await house.settled()
        before = len(await house.heard("sms"))
        await house.writes("sms", "STOP")
        await house.settled()
        calls = [call for call in house.twilio.calls.read() if call.method == "POST"]
        assert len(calls) == before
        await house.writes("wa", "Hello")
        await house.settled()
        assert len(await house.heard("wa")) == 1
