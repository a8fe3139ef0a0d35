"""How a message's buttons are shown on a channel: to tap, as a list, as chips, or numbered."""

import re
from dataclasses import dataclass

from hub.connector import Limits
from hub.message import Button, clean_text
from hub.split import MEASURES, split

BANGLA_DIGITS = str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯")
SHORTEST_TITLE = 4
WEB = re.compile(r"https?://")


@dataclass(frozen=True, slots=True)
class Menu:
    """How buttons are shown: `buttons` to tap under a text of at most `body`, and lines of text:
    `links` ("Title: URL") of those that cannot be tapped, and `numbered` ("1. Title") of those
    that cannot, or not everywhere, or whose titles had to be cut."""

    buttons: tuple[Button, ...] = ()
    body: int = 0
    links: str = ""
    numbered: str = ""


def lay_out(given: tuple[Button, ...], limits: Limits, language: str) -> Menu:
    buttons = tuple(map(tidy, given))
    replies = tuple(button for button in buttons if not button.url)
    links = tuple(button for button in buttons if button.url)
    if links and len(links) <= limits.url_buttons and titles_fit(buttons, limits):
        together = limits.mixed_buttons and len(buttons) <= limits.buttons
        if not replies or (together and distinct(buttons) and sound(replies, limits)):
            told = spell(replies, bare(buttons), limits, language)
            return Menu(bare(buttons), limits.button_body, numbered=told)
    lines = link_lines(buttons)
    if tapped := tappable(replies, limits):
        shown, body = tapped
        return Menu(shown, body, links=lines, numbered=spell(replies, shown, limits, language))
    return Menu(links=lines, numbered=number(buttons, language))


def spell(
    replies: tuple[Button, ...], shown: tuple[Button, ...], limits: Limits, language: str
) -> str:
    """The reply buttons as lines of text too, where what is `shown` does not say all of them."""
    told = {button.id: title_of(button) for button in shown}
    is_whole = all(told[button.id] == title_of(button) for button in replies)
    if is_whole and not limits.buttons_hide:
        return ""
    return "" if shown_as_list(shown, limits) else number(replies, language)


def title_of(button: Button) -> tuple[str, str]:
    return button.title, button.description


def shown_as_list(shown: tuple[Button, ...], limits: Limits) -> bool:
    """Rows of a list say a title that was cut in their descriptions."""
    return any(button.description for button in shown) and limits.list_rows > 0


def tidy(button: Button) -> Button:
    """The button with its title and description on one line; a missing title is its id."""
    title = " ".join(clean_text(button.title).split()) or button.id
    description = " ".join(clean_text(button.description).split())
    return reworded(button, title, description)


def reworded(button: Button, title: str, description: str) -> Button:
    if (button.title, button.description) == (title, description):
        return button
    return button.model_copy(update={"title": title, "description": description})


def bare(buttons: tuple[Button, ...]) -> tuple[Button, ...]:
    return tuple(reworded(button, button.title, "") for button in buttons)


def tappable(replies: tuple[Button, ...], limits: Limits) -> tuple[tuple[Button, ...], int] | None:
    """The buttons as native ones, as list rows or as chips, with the longest text above them; or
    None."""
    if not replies or not sound(replies, limits):
        return None
    chips = quick_replies(replies, limits)
    fit = len(replies) <= limits.buttons and titles_fit(replies, limits)
    # A text too long for native buttons may yet stand above chips.
    body = limits.text if chips else limits.button_body
    if fit and not any(button.description for button in replies):
        return replies, body
    if rows := list_rows(replies, limits):
        return rows, limits.list_body
    if fit:
        return bare(replies), body
    return (chips, limits.text) if chips else None


def sound(buttons: tuple[Button, ...], limits: Limits) -> bool:
    """Would every provider take these ids and titles?"""
    ids = {button.id for button in buttons}
    return (
        len(ids) == len(buttons)
        and all(value and value == value.strip() for value in ids)
        and all(len(value.encode()) <= limits.button_id for value in ids)
        and distinct(buttons)
    )


def distinct(buttons: tuple[Button, ...]) -> bool:
    return len({button.title.casefold() for button in buttons}) == len(buttons)


def title_length(text: str, limits: Limits) -> int:
    # Providers state titles in characters, also the one that counts its text in bytes.
    return MEASURES["utf16" if limits.text_unit == "utf16" else "chars"](text)


def titles_fit(buttons: tuple[Button, ...], limits: Limits) -> bool:
    return all(title_length(button.title, limits) <= limits.button_title for button in buttons)


def cut(title: str, longest: int, limits: Limits) -> str:
    """The title's beginning in at most `longest` characters; "" when that is too few to read."""
    if title_length(title, limits) <= longest:
        return title
    if longest < SHORTEST_TITLE:
        return ""
    measure = MEASURES["utf16" if limits.text_unit == "utf16" else "chars"]
    return split(title, longest - 1, measure)[0] + "…"


def quick_replies(buttons: tuple[Button, ...], limits: Limits) -> tuple[Button, ...]:
    """The buttons as chips, their titles cut to fit; or nothing when that cannot be."""
    if len(buttons) > limits.quick_replies:
        return ()
    chips = tuple(
        reworded(button, cut(button.title, limits.button_title, limits), "") for button in buttons
    )
    return chips if all(chip.title for chip in chips) and distinct(chips) else ()


def list_rows(buttons: tuple[Button, ...], limits: Limits) -> tuple[Button, ...]:
    """The buttons as rows of a list, or nothing when they do not fit without loss."""
    if len(buttons) > limits.list_rows:
        return ()
    rows = tuple(row for button in buttons if (row := list_row(button, limits)))
    return rows if len(rows) == len(buttons) and distinct(rows) else ()


def list_row(button: Button, limits: Limits) -> Button | None:
    """One row; a title too long is cut and stands whole in the description."""
    title, description = button.title, button.description
    if title_length(title, limits) > limits.list_title:
        description = f"{title}: {description}" if description else title
        title = cut(title, limits.list_title, limits)
    if not title or title_length(description, limits) > limits.list_description:
        return None
    return reworded(button, title, description)


def number(buttons: tuple[Button, ...], language: str) -> str:
    """The buttons without a url as numbered lines."""
    lines = []
    for place, button in enumerate((tidy(b) for b in buttons if not b.url), 1):
        numeral = str(place)
        if language.split("-")[0] == "bn":
            numeral = numeral.translate(BANGLA_DIGITS)
        tail = f": {button.description}" if button.description else ""
        lines.append(f"{numeral}. {button.title}{tail}")
    return "\n".join(lines)


def link_lines(buttons: tuple[Button, ...]) -> str:
    """The url buttons as lines."""
    links = (tidy(button) for button in buttons if button.url)
    return "\n".join(f"{b.title}: {b.url}" if b.title else f"{b.url}" for b in links)
