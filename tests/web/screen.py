"""The demo page as its tests see it: by the names a person or a screen reader would use."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

OFFLINE = r"net::ERR_|WebSocket connection"


def phone(page: Page, channel: str) -> Locator:
    return page.get_by_role("region", name=channel, exact=True)


def log(page: Page, channel: str) -> Locator:
    return page.get_by_role("log", name=f"Messages on the {channel} phone")


def thread(page: Page) -> Locator:
    return page.get_by_role("log", name=re.compile("Conversation with|all channels"))


def write(page: Page, channel: str, text: str) -> None:
    box = phone(page, channel).get_by_role("textbox")
    box.fill(text)
    box.press("Enter")
    expect(box).to_have_value("")


def bubbles(where: Locator, text: str) -> Locator:
    return where.get_by_role("article").filter(has_text=text)


def answer_box(page: Page) -> Locator:
    return page.get_by_role("textbox", name=re.compile("as an agent|for agents only"))


def answer(page: Page, text: str) -> None:
    answer_box(page).fill(text)
    answer_box(page).press("Enter")


def start_talk(page: Page, token: str = "hello dear shop") -> None:
    """Her first words, and the bot's first answer."""
    write(page, "SMS", token)
    expect(bubbles(thread(page), token)).to_have_count(1)
    expect(log(page, "SMS").get_by_role("article")).not_to_have_count(1)


def hers(page: Page) -> dict[str, Any]:
    """Her one conversation as the API tells it; her numbers belong to one customer."""
    found = set()
    for number in ("%2B8801711000001", "8801711000001"):
        customers = page.request.get(f"/api/v1/customers?address={number}").json()["items"]
        found |= {customer["conversation_id"] for customer in customers}
    [conversation_id] = found
    shown: dict[str, Any] = page.request.get(f"/api/v1/conversations/{conversation_id}").json()
    return shown
