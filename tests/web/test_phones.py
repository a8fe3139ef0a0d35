"""The demo page in a real browser, against the real demo: the customer's phones."""

import os
import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import ROOT, Opens
from tests.web.screen import (
    answer,
    answer_box,
    bubbles,
    hers,
    log,
    phone,
    start_talk,
    thread,
    write,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("patience")]

AXE = ROOT / "hub/web/ui/node_modules/axe-core/axe.min.js"
PHONE_SIZE = {"width": 360, "height": 740}


def test_an_empty_page_teaches_and_a_chip_begins(open_page: Opens) -> None:
    page = open_page()
    expect(
        page.get_by_role("heading", name="One customer, every channel, one thread.")
    ).to_be_visible()
    answering = page.get_by_text("You can answer as soon as")
    expect(answering).to_be_visible()
    page.get_by_role("button", name="SMS where is my order").click()
    expect(bubbles(log(page, "SMS"), "where is my order")).to_have_count(1)
    said = bubbles(thread(page), "where is my order")
    expect(said).to_contain_text("SMS")
    expect(answering).to_have_count(0)


def test_a_dialog_begun_by_sms_goes_on_on_whatsapp(open_page: Opens) -> None:
    page = open_page()
    write(page, "SMS", "where is my order")
    asked = thread(page).locator('article[data-author="bot"]')
    expect(asked).to_have_count(1)
    expect(log(page, "SMS").get_by_role("article")).to_have_count(2)
    write(page, "WhatsApp", "4411")
    expect(log(page, "WhatsApp").get_by_role("article").nth(1)).to_contain_text("4411")
    told = thread(page).locator('article[data-author="bot"]').nth(1)
    expect(told).to_contain_text("WhatsApp")
    expect(told).to_contain_text("4411")
    expect(thread(page).get_by_text("now on WhatsApp")).to_be_visible()
    expect(log(page, "SMS").get_by_role("article")).to_have_count(2)
    # Ticks arrive by themselves, in words.
    expect(told).to_contain_text(re.compile("delivered|read"))
    assert sorted(hers(page)["channels"]) == ["sms", "wa"]


def test_the_web_chat_is_the_same_person(open_page: Opens) -> None:
    page = open_page()
    start_talk(page)
    write(page, "Web chat", "written on the site")
    expect(bubbles(log(page, "Web chat"), "written on the site")).to_have_count(1)
    expect(bubbles(thread(page), "written on the site")).to_contain_text("Web chat")
    assert sorted(hers(page)["channels"]) == ["site", "sms"]


def test_a_reload_shows_the_same_again(open_page: Opens) -> None:
    page = open_page()
    start_talk(page, "before the reload")
    write(page, "Web chat", "on the site before")
    expect(bubbles(thread(page), "on the site before")).to_have_count(1)
    page.reload()
    for where in (log(page, "SMS"), thread(page)):
        expect(bubbles(where, "before the reload")).to_have_count(1)
    for where in (log(page, "Web chat"), thread(page)):
        expect(bubbles(where, "on the site before")).to_have_count(1)


def test_a_button_is_tapped_on_whatsapp_and_is_a_number_on_sms(open_page: Opens) -> None:
    page = open_page()
    write(page, "SMS", "hello")
    expect(log(page, "SMS").get_by_role("article").nth(1)).to_contain_text(re.compile(r"1[.)] "))
    expect(log(page, "SMS").get_by_role("article").get_by_role("button")).to_have_count(0)
    write(page, "WhatsApp", "hello")
    offer = log(page, "WhatsApp").get_by_role("article").nth(1)
    button = offer.get_by_role("button").first
    title = button.inner_text()
    button.click()
    expect(bubbles(thread(page), title).filter(has_text="chose")).to_have_count(1)
    expect(log(page, "WhatsApp").locator("article.own").nth(1)).to_contain_text(title)


def test_a_photo_and_a_place_are_seen_in_the_thread(open_page: Opens) -> None:
    page = open_page()
    whatsapp = phone(page, "WhatsApp")
    whatsapp.get_by_role("button", name="Send a sample photo").click()
    for where in (log(page, "WhatsApp"), thread(page)):
        photo = bubbles(where, "Photo of the parcel").get_by_role("img")
        expect(photo).to_be_visible()
        page.wait_for_function("image => image.naturalWidth > 0", arg=photo.element_handle())
    whatsapp.get_by_role("button", name="Send a sample place").click()
    expect(bubbles(thread(page), "Dhanmondi Lake, Dhaka")).to_have_count(1)


def test_sms_counts_parts_by_what_is_written(open_page: Opens) -> None:
    page = open_page()
    sms = phone(page, "SMS")
    expect(sms.get_by_text("160 of 160 left")).to_be_visible()
    sms.get_by_role("textbox").fill("a" * 161)
    expect(sms.get_by_text("145 of 153 left · 2 SMS")).to_be_visible()
    sms.get_by_role("textbox").fill("আমার")
    expect(sms.get_by_text("66 of 70 left · 1 SMS")).to_be_visible()


def test_bangla_in_words_digits_and_language(open_page: Opens) -> None:
    page = open_page(locale="bn-BD")
    expect(page.locator("html")).to_have_attribute("lang", "bn")
    expect(page.get_by_text("১৬০-এর মধ্যে ১৬০ বাকি")).to_be_visible()
    page.get_by_role("button", name=re.compile("আমার অর্ডার কোথায়")).click()
    said = page.get_by_role("log", name=re.compile("সব চ্যানেল")).get_by_role("article").first
    expect(said).to_contain_text("আমার অর্ডার কোথায়")
    expect(said.locator("time")).to_have_text(re.compile("^[০-৯]{2}:[০-৯]{2}$"))
    expect(said.locator("p.text")).to_have_attribute("lang", "bn")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_small_screen_has_tabs_and_nothing_sticks_out(open_page: Opens) -> None:
    page = open_page(viewport=PHONE_SIZE, has_touch=True, is_mobile=True)
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(
        [
            re.compile(name)
            for name in (
                "WhatsApp",
                "SMS",
                "Web chat",
                "Telegram",
                "Messenger",
                "Instagram",
                "Thread",
            )
        ]
    )
    page.get_by_role("tab", name="SMS").click()
    page.get_by_role("textbox").fill("from a small screen")
    page.get_by_role("button", name="Send from the SMS phone").click()
    expect(bubbles(log(page, "SMS"), "from a small screen")).to_have_count(1)
    expect(page.get_by_role("tab", name=re.compile(r"Thread \d+ new"))).to_be_visible()
    page.get_by_role("tab", name="SMS").press("ArrowRight")
    page.get_by_role("tab", name="Web chat").press("End")
    expect(page.get_by_role("tab", name="Thread")).to_be_focused()
    expect(bubbles(thread(page), "from a small screen")).to_be_visible()
    answer(page, "x")
    page.get_by_role("button", name="Send by SMS").click()
    expect(page.get_by_role("button", name="Give back to the bot")).to_be_visible()
    for language in ("En", "বাং"):
        page.get_by_role("button", name=language, exact=True).click()
        for tab in range(7):
            tabs.nth(tab).click()
            assert page.evaluate(STICKING_OUT) == []
            assert page.evaluate(SMALL_TARGETS) == []


STICKING_OUT = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return one.checkVisibility({contentVisibilityAuto: true}) && box.width > 1
    && !one.closest(".unseen") && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((one) => one.outerHTML.slice(0, 80))"""
SMALL_TARGETS = """() => [...document.querySelectorAll("button,select,textarea")].filter((one) => {
  const box = one.getBoundingClientRect();
  return one.checkVisibility() && (box.height < 44 || box.width < 36);
}).map((one) => one.outerHTML.slice(0, 80))"""


def test_no_wcag_finding(open_page: Opens) -> None:
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("axe-core is missing: run npm ci in hub/web/ui")
    # Axe writes into the page, which its policy rightly forbids.
    page = open_page(bypass_csp=True)
    page.wait_for_selector(".ideas")
    assert all_findings(page) == []
    for channel in ("Telegram", "Messenger", "Instagram"):
        write(page, channel, "hello")
        page.wait_for_selector(f'[data-kind="{channel.lower()}"] .taps')
    start_talk(page)
    write(page, "WhatsApp", "hello")
    page.wait_for_selector('[data-kind="whatsapp"] .taps')
    answer(page, "one")
    page.wait_for_selector(".back")
    answer_box(page).press("Alt+p")
    answer(page, "two")
    page.wait_for_selector('[data-direction="note"]:not(.waiting)')
    page.get_by_role("button", name="Things to try").click()
    assert all_findings(page) == []
    page.set_viewport_size(PHONE_SIZE)
    page.wait_for_selector("[role=tablist]")
    assert all_findings(page) == []


def all_findings(page: Page) -> list[str]:
    """In both languages and both colour schemes."""
    found = []
    for lang in ("bn", "en"):
        page.locator(f".switch [lang={lang}]").click()
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # a closed set
            found += [f"{lang} {scheme} {one}" for one in findings(page)]
    return found


def findings(page: Page) -> list[str]:
    page.evaluate(AXE.read_text("utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(
        "tags => axe.run({runOnly: tags}).then(({violations}) => violations.map("
        "({id, nodes}) => id + ': ' + nodes.map(({html}) => html.slice(0, 120)).join(' | ')))",
        tags,
    )
    return list(found)
