"""A hook that carries items of other channels: only those whose own secret signed it count."""

from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from hub.store.schema import channels, dead_letters, hooks, messages
from tests.faults.scene import FLOWS
from tests.posting import (
    post_sms,
    post_wa,
    sms_form,
    status_item,
    text_item,
    wa_body,
    wa_signature,
)
from tests.running import ACCOUNT_SID, WA_SECRET, WA_TOKEN, WA_VERIFY, House, running_hub

SECOND_ACCOUNT = "106500000000778"
OTHER_SECRET = "another-app-secret"
NOWHERE = "http://127.0.0.1:1"


def second_channel(app_secret: str) -> dict[str, dict[str, Any]]:
    """A second WhatsApp number beside `wa`, of the app with this secret."""
    return {
        "wb": {
            "kind": "whatsapp",
            "phone_number_id": SECOND_ACCOUNT,
            "access_token": WA_TOKEN,
            "app_secret": app_secret,
            "api_base": NOWHERE,
            "verify_token": WA_VERIFY,
            "rate": 0,
        }
    }


def joined(*bodies: bytes) -> bytes:
    """One hook with the entries of all."""
    parts = [orjson.loads(body) for body in bodies]
    parts[0]["entry"] = [entry for part in parts for entry in part["entry"]]
    return orjson.dumps(parts[0])


async def table(house: House, name: sa.Table) -> list[dict[str, Any]]:
    def read(conn: sa.Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sa.select(name)).mappings()]

    return await house.hub.store.read(read)


async def heard(house: House) -> list[tuple[str, str]]:
    """What customers wrote: the channel's name and the text."""
    names = {row["id"]: row["name"] for row in await table(house, channels)}
    rows = await house.rows(messages.c.direction == "in")
    return sorted((names[row["channel_id"]], row["text"]) for row in rows)


async def test_one_apps_secret_does_not_sign_for_anothers_number(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS, channels=second_channel(OTHER_SECRET)) as house:
        forged = wa_body(messages=[text_item("wamid.1", "forged")])
        own = wa_body(account=SECOND_ACCOUNT, messages=[text_item("wamid.2", "genuine")])
        body = joined(forged, own)
        signed = wa_signature(body, OTHER_SECRET)
        assert await post_wa(house, body, signed, path="/hooks/wb") == 200
        assert await heard(house) == [("wb", "genuine")]
        [kept] = await table(house, hooks)
        [letter] = await table(house, dead_letters)
        assert (letter["reference"], letter["channel"]) == (kept["id"], "wb")
        assert "106500000000777" in letter["reason"]


async def test_one_apps_secret_takes_both_its_numbers(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS, channels=second_channel(WA_SECRET)) as house:
        first = wa_body(messages=[text_item("wamid.1", "to the first")])
        second = wa_body(account=SECOND_ACCOUNT, messages=[text_item("wamid.2", "to the second")])
        assert await post_wa(house, joined(first, second), path="/hooks/wb") == 200
        assert await heard(house) == [("wa", "to the first"), ("wb", "to the second")]
        assert await table(house, dead_letters) == []


async def test_nor_for_what_became_of_anothers_sends(tmp_path: Path) -> None:
    """A forged receipt would end a reply as failed, and make its later true ones unheard."""
    async with running_hub(
        tmp_path,
        dialogs=FLOWS,
        channels=second_channel(OTHER_SECRET),
        accounts={"receipt_delay": 0.0},
    ) as house:
        house.whatsapp.add_fault("no_receipts", times=-1)
        await house.writes("wa", "hello")
        await house.settled()
        [reply] = await house.rows(messages.c.direction == "out")
        assert reply["state"] == "sent"
        lies = [
            wa_body(statuses=[status_item(reply["external_id"], "failed")]),
            wa_body(statuses=[status_item("", "read", biz_opaque_callback_data=reply["id"].hex())]),
        ]
        for body in lies:
            signed = wa_signature(body, OTHER_SECRET)
            assert await post_wa(house, body, signed, path="/hooks/wb") == 200
        [after] = await house.rows(messages.c.direction == "out")
        assert after == reply
        assert len(await table(house, dead_letters)) == len(lies)


async def test_nor_in_a_form_of_twilios(tmp_path: Path) -> None:
    """Two accounts, two tokens: a form signed by the first says it is for the second's number."""
    second = {
        "kind": "twilio",
        "account_sid": "AC" + "1" * 32,
        "auth_token": "f" * 32,
        "sender": "+15550199",
        "api_base": NOWHERE,
    }
    async with running_hub(tmp_path, dialogs=FLOWS, channels={"sms2": second}) as house:
        form = {**sms_form("SM1", "forged"), "To": "+15550199", "AccountSid": ACCOUNT_SID}
        await post_sms(house, form)
        assert await heard(house) == []
