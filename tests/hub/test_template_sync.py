"""What WhatsApp thinks of our templates: listed, told by webhook, shown by the API and `check`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.check import find
from hub.connector import SyncsTemplates
from hub.errors import Misconfigured
from hub.store.templates import load_templates
from hub.template_sync import TemplateSync
from tests.running import WA_ACCOUNT, House, running_hub

WABA = "102900000000888"
SHIPPED = """
default = "en"
[variables]
order = "A-17"
[languages.en]
text = "Your order {{order}} is on its way."
[languages.bn]
text = "আপনার অর্ডার {{order}} পাঠানো হয়েছে।"
[languages.hi]
text = "{{order}}"
[channels.whatsapp]
name = "shipped_2"
languages = { en = "en_US" }
body = ["order"]
"""
BODY = {"en_US": "Your order {{1}} is on its way.", "bn": "আপনার অর্ডার {{1}} পাঠানো হয়েছে।"}
KNOWN = (
    *({"name": "shipped_2", "language": code, "body": body} for code, body in BODY.items()),
    {"name": "of_theirs", "language": "en", "body": "Hi {{1}}", "quality": "UNKNOWN"},
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "shipped.toml").write_text(SHIPPED, "utf-8")
    (folder / "plain.toml").write_text('[languages.en]\ntext = "Plain."\n', "utf-8")
    (folder / "wrong.toml").write_text('[languages.en]\n\ntext = "{{who}}"\n', "utf-8")
    channels = {"wa": {"waba_id": WABA}}
    async with running_hub(tmp_path, channels=channels, hub={"templates": str(folder)}) as found:
        # The worker's own first look must not come between.
        await found.until(lambda: any(call.status for call in found.whatsapp.log()))
        account = found.whatsapp.account(WA_ACCOUNT)
        found.whatsapp.add_account({**account.model_dump(), "templates": KNOWN})
        yield found


async def sync(house: House, fresh: float = 0.0) -> bool:
    channel = house.hub.channels.by_name["wa"]
    assert isinstance(channel.connector, SyncsTemplates)
    return await a_sync(house).sync(channel, channel.connector, fresh)


def a_sync(house: House) -> TemplateSync:
    hub = house.hub
    return TemplateSync(hub.store, hub.bus, hub.clock, hub.channels, settle=0.01)


async def known(house: House) -> dict[tuple[str, str], tuple[str, str]]:
    rows = await house.hub.store.read(load_templates, [house.hub.channels.by_name["wa"].id])
    return {(row.name, row.language): (row.status, row.quality) for row in rows}


async def shown(house: House) -> dict[str, Any]:
    status, page = await house.api("GET", "/templates")
    assert status == 200
    return {**page, "items": {item["name"]: item for item in page["items"]}}


async def test_the_api_shows_ours_theirs_and_what_is_wrong(house: House) -> None:
    page = await shown(house)
    assert page["problems"] == [
        f"{house.hub.settings.hub.templates / 'wrong.toml'}:3: languages.en.text uses {{{{who}}}},"
        " which is not among the variables"
    ]
    assert list(page["items"]) == ["plain", "shipped"]
    assert [one["status"] for one in page["items"]["shipped"]["approvals"]] == ["unknown"] * 3
    assert await sync(house)
    page = await shown(house)
    ours = page["items"]["shipped"]
    assert ours["variables"] == [{"name": "order", "sample": "A-17"}]
    assert ours["languages"][1] == {
        "language": "bn",
        "text": "আপনার অর্ডার {{order}} পাঠানো হয়েছে।",
        "preview": "আপনার অর্ডার A-17 পাঠানো হয়েছে।",
    }
    found = [
        (one["language"], one["provider_language"], one["status"], one["quality"])
        for one in ours["approvals"]
    ]
    assert found == [
        ("en", "en_US", "approved", "green"),
        ("bn", "bn", "approved", "green"),
        ("hi", "hi", "missing", ""),
    ]
    theirs = page["items"]["of_theirs"]
    assert (theirs["source"], theirs["languages"][0]["text"]) == ("provider", "Hi {{1}}")
    assert page["items"]["plain"]["approvals"] == []


async def test_it_lists_no_more_than_is_needed(house: House) -> None:
    assert await sync(house, 60.0)
    assert not await sync(house, 60.0)
    house.hub.clock.move(61.0)
    assert await sync(house, 60.0)
    account = house.whatsapp.account(WA_ACCOUNT)
    house.whatsapp.add_account({**account.model_dump(), "templates": KNOWN[:1]})
    assert await sync(house)
    assert list(await known(house)) == [("shipped_2", "en_US")]


async def test_a_webhook_changes_what_is_known_and_has_it_listed_anew(house: House) -> None:
    await sync(house)
    house.whatsapp.change_template(WA_ACCOUNT, "shipped_2", "bn", status="PAUSED", quality="RED")

    async def is_known() -> bool:
        return (await known(house))["shipped_2", "bn"] == ("paused", "red")

    await house.until(is_known)
    account = house.whatsapp.account(WA_ACCOUNT)
    house.whatsapp.add_account({**account.model_dump(), "templates": KNOWN[1:]})
    running = asyncio.create_task(a_sync(house).run())
    try:
        await asyncio.sleep(0.05)
        house.whatsapp.change_template(WA_ACCOUNT, "of_theirs", quality="GREEN")

        async def is_listed() -> bool:
            return list(await known(house)) == [("of_theirs", "en"), ("shipped_2", "bn")]

        await house.until(is_listed)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_check_says_how_they_stand(house: House) -> None:
    account = house.whatsapp.account(WA_ACCOUNT)
    poor = {**KNOWN[0], "status": "REJECTED", "quality": "RED"}
    house.whatsapp.add_account({**account.model_dump(), "templates": (poor, *KNOWN[1:])})
    findings = [one for one in await find(house.hub.settings) if "templates" in one.name]
    folder = house.hub.settings.hub.templates
    assert [(one.ok, one.name, one.text) for one in findings] == [
        (
            False,
            "hub.templates",
            f"{folder / 'wrong.toml'}:3: languages.en.text uses {{{{who}}}},"
            " which is not among the variables",
        ),
        (True, "hub.templates", f"{folder}: plain, shipped"),
        (False, "channels.wa.templates", "shipped (en) is rejected there"),
        (False, "channels.wa.templates", "shipped (en) is of low quality there (red)"),
        (False, "channels.wa.templates", "shipped (hi) is missing there"),
        (True, "channels.wa.templates", "1 approved"),
    ]


async def test_without_the_account_they_cannot_be_listed(house: House) -> None:
    connector = house.hub.channels.by_name["wa"].connector
    connector.settings = connector.settings.model_copy(update={"waba_id": ""})
    with pytest.raises(Misconfigured, match="waba_id is not set"):
        await sync(house)
