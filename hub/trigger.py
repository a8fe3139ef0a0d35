"""What a customer's message means to the dialogs: an option chosen, a dialog started, a cancel.

All of it is pure and works on words, so it answers the same in a replay.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from hub import i18n
from hub.chat import Button, Dialog, Message
from hub.message import Choice

_NUMBER = re.compile(r"[#(]?\s*(\d{1,3})\s*[.):।]?")
# The shortest limit of a button's title on any channel is 20 characters. A channel that gives the
# title as it showed it may give that many or fewer of them.
_CUT_FROM = 10


def match_options(message: Message, options: Sequence[Button]) -> Message:
    """`message` with the option it means as its `choice`; unchanged when it means none.

    Typed: an option's title or id, or its number counted from 1 in either script ("2", "২.").
    Tapped: an option's id, or its title under an id of another message. A tap on an older
    message whose id happens to be an option's counts as if its title had been typed.
    """
    if not options:
        return message
    choice = message.choice
    if choice is None:
        option = _find_typed(message.text, options)
        return message if option is None else _choose(message, option, "button")
    by_id = next((option for option in options if option.id == choice.id), None)
    if by_id and _shows(choice.title, by_id.title):
        return message
    by_title = _find_title(choice.title, options)
    if by_title:
        return _choose(message, by_title, choice.type)
    if by_id:
        return message.model_copy(
            update={"choice": None, "text": message.text or choice.title, "kind": "text"}
        )
    return message


def find_dialog(dialogs: Mapping[str, Dialog], message: Message, language: str) -> Dialog | None:
    """The dialog that `message` starts: the one with the longest trigger phrase in it.

    A tapped choice may also name the dialog by its id. Of phrases equally long, one in the
    customer's `language` wins, then the dialog whose name sorts first.
    """
    if message.choice and message.choice.id in dialogs:
        return dialogs[message.choice.id]
    words = i18n.plain(message.choice.title if message.choice else message.text)
    if not words:
        return None
    matches = [(phrase, one) for one in dialogs.values() if (phrase := one.find_phrase(words))]
    if len(matches) < 2:
        return matches[0][1] if matches else None

    def rank(match: tuple[str, Dialog]) -> tuple[int, bool, str]:
        phrase, one = match
        return -len(phrase), i18n.detect(phrase) != i18n.base(language), one.name

    return min(matches, key=rank)[1]


def is_cancel(message: Message) -> bool:
    """Whether the whole message says "stop this" in English, Bangla or Banglish."""
    return i18n.is_cancel_word(message.choice.title if message.choice else message.text)


def _find_typed(text: str, options: Sequence[Button]) -> Button | None:
    option = _find_title(text, options)
    if option:
        return option
    typed = _fold(text)
    option = next((option for option in options if _fold(option.id) == typed), None)
    number = _NUMBER.fullmatch(i18n.ascii_digits(typed))
    if option is None and number and 1 <= int(number[1]) <= len(options):
        option = options[int(number[1]) - 1]
    return option


def _find_title(title: str, options: Sequence[Button]) -> Button | None:
    exact = [option for option in options if _fold(option.title) == _fold(title)]
    if exact:
        return exact[0]
    words = i18n.plain(title)
    alike = [option for option in options if words and i18n.plain(option.title) == words]
    return alike[0] if len(alike) == 1 else None


def _shows(shown: str, title: str) -> bool:
    """Whether a channel that says it showed `shown` may have shown `title`, cut to its limit."""
    shown, title = _fold(shown), _fold(title)
    start = shown.removesuffix("…").removesuffix("...").rstrip()
    was_cut = start != shown or len(start) >= _CUT_FROM
    return not shown or shown == title or (was_cut and title.startswith(start))


def _choose(message: Message, option: Button, by: str) -> Message:
    choice = Choice.model_validate({"type": by, "id": option.id, "title": option.title})
    return message.model_copy(update={"choice": choice, "kind": "choice"})


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip().casefold())
