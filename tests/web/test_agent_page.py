"""The demo page from the agent's side: answers, notes, and what a broken line may not do."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, WebSocketRoute, expect

from tests.web.conftest import Demo, Opens, Watch, start_demo
from tests.web.screen import (
    OFFLINE,
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


def test_an_agent_takes_over_and_gives_back(open_page: Opens) -> None:
    page = open_page()
    start_talk(page)
    expect(page.get_by_role("status").filter(has_text="The bot answers")).to_be_visible()
    answer_box(page).fill("This is a person.")
    page.get_by_role("button", name="Send by SMS").click()
    expect(bubbles(log(page, "SMS"), "This is a person.")).to_have_count(1)
    expect(page.get_by_role("button", name="Give back to the bot")).to_be_visible()
    shown = bubbles(thread(page), "This is a person.")
    expect(shown).to_contain_text(re.compile("sent|delivered"))
    assert hers(page)["owner"]["kind"] == "agent"
    page.get_by_role("button", name="Give back to the bot").click()
    expect(page.get_by_role("status").filter(has_text="The bot answers")).to_be_visible()
    assert hers(page)["owner"]["kind"] == "bot"


def test_an_agent_answers_on_another_channel(open_page: Opens) -> None:
    page = open_page()
    start_talk(page)
    write(page, "WhatsApp", "I am here too")
    expect(page.get_by_role("button", name="Send by WhatsApp")).to_be_visible()
    page.get_by_role("combobox", name="Send by").select_option("SMS")
    answer(page, "By SMS all the same")
    expect(bubbles(log(page, "SMS"), "By SMS all the same")).to_have_count(1)
    expect(bubbles(log(page, "WhatsApp"), "By SMS all the same")).to_have_count(0)


def test_a_note_stays_with_the_agents(open_page: Opens) -> None:
    page = open_page()
    heard: list[str] = []
    page.on(
        "websocket",
        lambda socket: (
            "/chat/" in socket.url
            and socket.on("framereceived", lambda frame: heard.append(str(frame)))
        ),
    )
    page.reload()
    start_talk(page)
    write(page, "Web chat", "site first")
    expect(bubbles(thread(page), "site first")).to_have_count(1)
    answer_box(page).fill("a reply not sent yet")
    answer_box(page).press("Alt+p")
    box = page.get_by_role("textbox", name="Note for agents only")
    expect(box).to_have_value("")
    box.fill("secret-of-agents")
    page.get_by_role("button", name="Add note").click()
    note = bubbles(thread(page), "secret-of-agents")
    expect(note).to_contain_text("Note by")
    box.press("Alt+l")
    expect(answer_box(page)).to_have_value("a reply not sent yet")
    answer_box(page).press("Enter")
    expect(bubbles(log(page, "Web chat"), "a reply not sent yet")).to_have_count(1)
    for channel in ("WhatsApp", "SMS", "Web chat"):
        expect(bubbles(log(page, channel), "secret-of-agents")).to_have_count(0)
    assert heard
    assert not any("secret-of-agents" in frame for frame in heard)


def test_an_answer_whose_reply_was_lost_is_not_said_twice(open_page: Opens, watch: Watch) -> None:
    watch.expect(OFFLINE)
    page = open_page()
    start_talk(page)
    muted = False
    tries: list[str] = []

    def follow(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda frame: None if muted else socket.send(frame))

    def lose_first(route: Route) -> None:
        tries.append(json.loads(route.request.post_data or "{}")["client_id"])
        if len(tries) > 1:
            return route.fallback()
        route.fetch()
        return route.abort()

    # The live line would confirm it too: without it only the repeated call can.
    page.route_web_socket(re.compile("/api/v1/live$"), follow)
    page.route(re.compile(r"/api/v1/conversations/[^/]+/messages$"), lose_first)
    page.reload()
    expect(bubbles(thread(page), "hello dear shop")).to_have_count(1)
    muted = True
    answer(page, "said only once")
    expect(bubbles(log(page, "SMS"), "said only once")).to_have_count(1)
    expect(thread(page).locator("article.waiting")).to_have_count(0)
    expect(bubbles(thread(page), "said only once")).to_have_count(1)
    page.wait_for_timeout(1_000)
    expect(bubbles(log(page, "SMS"), "said only once")).to_have_count(1)
    assert len(tries) == 2
    assert len(set(tries)) == 1


def test_offline_is_shown_and_what_waits_goes_out_once(open_page: Opens, watch: Watch) -> None:
    watch.expect(OFFLINE)
    page = open_page()
    start_talk(page)
    page.context.set_offline(True)
    bar = page.get_by_role("status").filter(has_text="No connection to the hub")
    expect(bar).to_be_visible()
    answer(page, "written without a line")
    expect(bubbles(thread(page), "written without a line")).to_contain_text(
        "waiting to reach the hub"
    )
    expect(bar).to_contain_text("1 message waits")
    phone(page, "SMS").get_by_role("textbox").fill("not lost")
    phone(page, "SMS").get_by_role("textbox").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="then press Send again")).to_be_visible()
    expect(phone(page, "SMS").get_by_role("textbox")).to_have_value("not lost")
    page.context.set_offline(False)
    expect(bar).to_have_count(0)
    expect(bubbles(log(page, "SMS"), "written without a line")).to_have_count(1)
    expect(bubbles(thread(page), "written without a line")).to_have_count(1)


def test_what_happened_while_the_hub_was_away_is_caught_up(
    open_page: Opens, demo: Demo, watch: Watch, tmp_path: Path
) -> None:
    watch.expect(OFFLINE, "Failed to load resource", "HTTP Authentication failed")
    page = open_page()
    start_talk(page, "before the stop")
    assert demo.stop() == 0
    expect(page.get_by_text("No connection to the hub")).to_be_visible()
    again = start_demo(tmp_path / "demo", int(demo.base.rsplit(":", 1)[1]))
    try:
        # A login is good for one run of the demo; the page says so, and goes on by itself.
        alert = page.get_by_role("alert").filter(has_text="Open the link again")
        expect(alert).to_be_visible(timeout=40_000)
        page.context.new_page().goto(again.login)
        expect(page.get_by_text("No connection to the hub")).to_have_count(0, timeout=40_000)
        expect(bubbles(thread(page), "before the stop")).to_have_count(1)
        write(page, "SMS", "after the start")
        expect(bubbles(thread(page), "after the start")).to_have_count(1)
    finally:
        again.stop()
        if again.process.stdout:
            again.process.stdout.close()


def test_two_pages_follow_each_other(open_page: Opens, watch: Watch) -> None:
    one = open_page()
    start_talk(one)
    other = one.context.new_page()
    watch.follow(other)
    other.goto("/demo")
    expect(bubbles(thread(other), "hello dear shop")).to_have_count(1)
    answer(other, "from the other page")
    expect(bubbles(thread(one), "from the other page")).to_have_count(1)
    expect(one.get_by_role("button", name="Give back to the bot")).to_be_visible()
