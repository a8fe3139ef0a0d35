import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import i18n
from hub.chat import Button, Chat, Dialog, Message, dialog
from hub.message import Choice, clean_text
from hub.trigger import find_dialog, is_cancel, match_options

SMALL, LARGE = Button(id="small", title="Small"), Button(id="b2", title="বড় সাইজ")
OPTIONS = (SMALL, LARGE)


def tap(id: str, title: str = "", text: str = "") -> Message:
    return Message.of(text, choice=Choice(type="quick_reply", id=id, title=title))


@pytest.mark.parametrize(
    ("typed", "option"),
    [
        ("1", SMALL),
        ("2", LARGE),
        ("২", LARGE),
        (" 2. ", LARGE),
        ("2)", LARGE),
        ("(2)", LARGE),
        ("২।", LARGE),
        ("small", SMALL),
        ("SMALL!", SMALL),
        ("বড়  সাইজ", LARGE),
        ("ব\u09dc সাইজ", LARGE),
        ("b2", LARGE),
    ],
)
def test_typed_options(typed: str, option: Button) -> None:
    answer = match_options(Message(text=typed), OPTIONS)
    assert answer.choice == Choice(type="button", id=option.id, title=option.title)
    assert (answer.kind, answer.text) == ("choice", typed)


@pytest.mark.parametrize("typed", ["0", "3", "-1", "2 please", "smallest", "", "১২৩৪", "🙂"])
def test_what_means_no_option_is_unchanged(typed: str) -> None:
    message = Message(text=typed)
    assert match_options(message, OPTIONS) is message


def test_a_title_that_is_a_number_wins_over_the_position() -> None:
    options = [Button(id=f"b{n}", title=title) for n, title in enumerate(("5", "2", "10"), 1)]
    chosen = match_options(Message(text="২"), options).choice
    assert chosen is not None
    assert chosen.id == "b2"


def test_titles_alike_but_for_punctuation_are_told_apart() -> None:
    options = [Button(id="plus", title="A+"), Button(id="minus", title="A-")]
    chosen = match_options(Message(text="a-"), options).choice
    assert chosen is not None
    assert chosen.id == "minus"
    assert match_options(Message(text="a"), options).choice is None


def test_a_tap_by_id_is_kept_and_by_title_is_mapped() -> None:
    assert match_options(tap("small"), OPTIONS) == tap("small")
    assert match_options(tap("small", "Small"), OPTIONS) == tap("small", "Small")
    assert match_options(tap("old-7", "small"), OPTIONS).choice == Choice(
        type="quick_reply", id="small", title="Small"
    )
    assert match_options(tap("old-7", "Medium"), OPTIONS) == tap("old-7", "Medium")


def test_a_tap_on_an_older_button_of_the_same_id_counts_as_typed() -> None:
    stale = match_options(tap("b2", "No"), OPTIONS)
    assert (stale.choice, stale.text, stale.kind) == (None, "No", "text")


def test_a_title_cut_by_the_channel_is_the_same_button() -> None:
    long = Button(id="b1", title="I would like to speak to a person")
    for shown in ("I would like to spea", "I would like to…"):
        assert match_options(tap("b1", shown), [long]) == tap("b1", shown)


@dialog("order_status", on=["where is my order", "আমার অর্ডার কোথায়", "order"])
async def order_status(chat: Chat) -> None: ...


@dialog("refund", on=["refund", "where is my refund", "order refund", "টাকা ফেরত"])
async def refund(chat: Chat) -> None: ...


DIALOGS = {"order_status": order_status, "refund": refund}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Where is my order?", order_status),
        ("hello, WHERE  IS MY ORDER please", order_status),
        ("আমার অর্ডার কোথায়?", order_status),
        ("ভাই আমার অর্ডার কোথা\u09df?", order_status),
        ("আমার অর্ডার কোথায়ও নেই", None),
        ("I want to border", None),
        ("an order refund please", refund),
        ("order or refund", refund),
        ("", None),
        ("🙂", None),
    ],
)
def test_find_dialog(text: str, found: Dialog | None) -> None:
    assert find_dialog(DIALOGS, Message(text=text), "en") is found


def test_find_dialog_by_choice() -> None:
    assert find_dialog(DIALOGS, tap("refund", "Money back"), "en") is refund
    assert find_dialog(DIALOGS, tap("b1", "Where is my order?"), "en") is order_status
    assert find_dialog(DIALOGS, tap("b1", "Other", text="order"), "en") is None


def test_of_equally_long_phrases_the_customers_language_wins() -> None:
    @dialog("english", on=["parcel"])
    async def english(chat: Chat) -> None: ...

    @dialog("bangla", on=["পার্সে"])
    async def bangla(chat: Chat) -> None: ...

    both = {"english": english, "bangla": bangla}
    message = Message(text="parcel পার্সে")
    assert find_dialog(both, message, "en") is english
    assert find_dialog(both, message, "bn-BD") is bangla


def test_is_cancel() -> None:
    assert is_cancel(Message(text="বাতিল করুন"))
    assert is_cancel(tap("b9", "Cancel"))
    assert not is_cancel(tap("b9", "Keep", text="cancel"))
    assert not is_cancel(Message(text="cancel my order"))


TITLES = st.lists(
    st.one_of(
        st.sampled_from(["ঢাকা", "ব\u09dc সাইজ", "র\u200d্যাব", "ক\u200cষ", "Yes", "Straße", "café ☕"]),
        st.text(st.characters(categories=["L", "M", "Nd"]), min_size=1, max_size=12),
    ).filter(lambda title: i18n.plain(title) and not title.strip().isnumeric()),
    min_size=1,
    max_size=30,
    unique_by=i18n.plain,
)


@settings(max_examples=60)
@given(TITLES, st.data())
def test_whatever_way_an_option_is_said_it_is_that_one(
    titles: list[str], data: st.DataObject
) -> None:
    options = [
        Button(id=f"option:{at}", title=clean_text(title)) for at, title in enumerate(titles)
    ]
    place = data.draw(st.integers(0, len(titles) - 1))
    option, number = options[place], str(place + 1)
    joiners = str.maketrans({"\u200c": None, "\u200d": None})
    for typed in (
        number,
        f" {number}. ",
        i18n.local_digits(number, "bn"),
        f"{i18n.local_digits(number, 'bn')}।",
        option.id,
        option.title,
        f"  {option.title}\n",
        unicodedata.normalize("NFD", option.title),
        option.title.translate(joiners),
        f"{option.title}\u200d",
    ):
        chosen = match_options(Message.of(typed), options).choice
        assert chosen is not None, typed
        assert chosen.id == option.id, typed
    tapped = Message.of(
        choice=Choice(type="quick_reply", id=option.id, title=option.title[:10] + "…")
    )
    assert match_options(tapped, options).choice == tapped.choice


@pytest.mark.parametrize("title", ["Yes please", "STRASSE 7", "Éclair"])
def test_case_does_not_count(title: str) -> None:
    options = [Button(id="a", title=title), Button(id="b", title="no")]
    for typed in (title.lower(), title.upper(), title.title()):
        chosen = match_options(Message.of(typed), options).choice
        assert chosen is not None
        assert chosen.id == "a"
