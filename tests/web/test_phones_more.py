"""The demo's phones of platforms that tell no number: Telegram, Messenger, Instagram."""

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Opens
from tests.web.screen import bubbles, hers, log, phone, start_talk, thread, write

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("patience")]


def whose(page: Page) -> str:
    return str(page.get_by_label("Whose thread").evaluate("one => one.selectedOptions[0].text"))


@pytest.mark.parametrize(
    ("channel", "asked"),
    [
        # Her Telegram speaks Bangla, and tells so.
        ("Telegram", "আপনার অর্ডার নম্বর কত?"),
        ("Messenger", "What is your order number?"),
        ("Instagram", "What is your order number?"),
    ],
)
def test_each_is_answered_and_so_is_a_tap(channel: str, asked: str, open_page: Opens) -> None:
    page = open_page()
    start_talk(page)
    write(page, channel, "hello")
    heard = log(page, channel).locator("article:not(.own)")
    heard.first.get_by_role("button").first.click()
    expect(heard).to_have_count(2)
    expect(heard.last).to_contain_text(asked)
    # Nothing proves that it is she: the thread is another one, and the page says so.
    assert whose(page) == f"{channel}: another customer"
    expect(page.get_by_role("note")).to_contain_text(f"{channel} tells the hub no phone")
    expect(bubbles(thread(page), "hello dear shop")).to_have_count(0)
    expect(bubbles(thread(page), asked)).to_contain_text(channel)
    assert hers(page)["channels"] == ["sms"]


def test_quick_replies_go_with_the_tap(open_page: Opens) -> None:
    page = open_page()
    write(page, "Messenger", "hello")
    expect(log(page, "Messenger").locator("article:not(.own)")).to_have_count(1)
    found = page.request.get("/api/v1/customers?address=7200000000000001").json()["items"]
    offered = [{"id": f"day{n}", "title": f"Day {n}"} for n in range(1, 5)]
    said = page.request.post(
        f"/api/v1/conversations/{found[0]['conversation_id']}/messages",
        data={"text": "Which day?", "buttons": offered},
        headers={"Idempotency-Key": "days", "X-Onethread-CSRF": "1"},
    )
    assert said.ok, said.text()
    chips = phone(page, "Messenger").locator(".chips").get_by_role("button")
    expect(chips).to_have_text(["Day 1", "Day 2", "Day 3", "Day 4"])
    chips.nth(2).click()
    expect(chips).to_have_count(0)
    expect(bubbles(thread(page), "Day 3").filter(has_text="chose")).to_have_count(1)


def test_a_number_shared_first_joins_telegram_to_her_thread(open_page: Opens) -> None:
    page = open_page()
    start_talk(page)
    phone(page, "Telegram").get_by_role("button", name="Share my number").click()
    expect(bubbles(thread(page), "+8801711000001")).to_contain_text("Telegram")
    expect(bubbles(thread(page), "hello dear shop")).to_have_count(1)
    assert whose(page) == "Ayesha Rahman on WhatsApp, SMS, Web chat, Telegram"
    assert sorted(hers(page)["channels"]) == ["sms", "tg"]
