"""Templates: what their files may say, what is wrong with them, and what becomes of one."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.connector import ListedTemplate
from hub.message import Button, Media, Message, TemplateUse
from hub.template_files import read_templates
from hub.templates import TemplateMisuse, Templates, fill, pick, standings

SHIPPED = """
default = "en"
category = "utility"

[variables]
customer = { en = "Rima", bn = "রিমা" }
order = "A-17"

[languages.en]
text = "Hello {{customer}}, your order {{ order }} is on its way."
header = { text = "Order {{order}}" }
footer = "The shop"
buttons = [
  { title = "Where is it?", id = "track:{{order}}" },
  { title = "See it", url = "https://shop.example/o/{{order}}" },
  { title = "Help", url = "https://shop.example/help" },
]

[languages.bn]
text = "{{customer}}, আপনার অর্ডার {{order}} পাঠানো হয়েছে।"

[channels.whatsapp]
name = "order_shipped_2"
languages = { en = "en_US" }
body = ["customer", "order"]
header = ["order"]

[channels.second_shop]

[channels.twilio]
name = { bn = "HX0123" }
"""
VALUES = {"customer": "করিম", "order": "B-9"}


@pytest.fixture
def shipped(tmp_path: Path) -> Templates:
    (tmp_path / "order_shipped.toml").write_text(SHIPPED, "utf-8")
    found = read_templates(tmp_path)
    assert found.problems == ()
    return found


def use(language: str = "", name: str = "order_shipped", **variables: str) -> Message:
    named = TemplateUse(name=name, language=language, variables=variables or VALUES)
    return Message.of(template=named)


def fit(templates: Templates, message: Message, kind: str, name: str = "x") -> Message:
    approves = kind in ("whatsapp", "twilio")
    return templates.fit(message, name, kind, language="bn-BD", approves=approves)


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert read_templates(tmp_path / "none") == Templates()


def test_previews_are_made_of_the_samples(shipped: Templates) -> None:
    template = shipped.by_name["order_shipped"]
    assert template.preview("bn") == "রিমা, আপনার অর্ডার A-17 পাঠানো হয়েছে।"
    assert template.preview("en") == (
        "Order A-17\n\nHello Rima, your order A-17 is on its way.\n\nThe shop"
    )


def test_where_there_are_no_templates_it_is_a_message(shipped: Templates) -> None:
    assert fit(shipped, use(), "telegram") == Message.of("করিম, আপনার অর্ডার B-9 পাঠানো হয়েছে।")
    assert fit(shipped, use("en"), "telegram") == Message.of(
        "Order B-9\n\nHello করিম, your order B-9 is on its way.\n\nThe shop",
        buttons=(
            Button(id="track:B-9", title="Where is it?"),
            Button(id="See it", title="See it", url="https://shop.example/o/B-9"),
            Button(id="Help", title="Help", url="https://shop.example/help"),
        ),
    )


def test_by_position_with_header_and_buttons(shipped: Templates) -> None:
    message = fit(shipped, use("en_GB"), "whatsapp")
    assert message.kind == "template"
    assert message.text.startswith("Order B-9\n\nHello করিম")
    assert message.template == TemplateUse(
        name="order_shipped_2",
        language="en_US",
        variables={
            "1": "করিম",
            "2": "B-9",
            "header.1": "B-9",
            "payload.0": "track:B-9",
            "button.1": "B-9",
        },
    )


def test_by_name_and_a_channels_own_variant_first(shipped: Templates) -> None:
    message = fit(shipped, use("bn"), "whatsapp", "second_shop")
    assert message.template == TemplateUse(name="order_shipped", language="bn", variables=VALUES)


def test_a_name_for_each_language_says_which_there_are(shipped: Templates) -> None:
    message = fit(shipped, use("en"), "twilio")
    assert message.template == TemplateUse(name="HX0123", language="bn", variables=VALUES)


def test_a_link_as_header(tmp_path: Path) -> None:
    (tmp_path / "bill.toml").write_text(
        '[variables]\nno = "7"\n[languages.en]\ntext = "Your bill"\n'
        'header = { document = "https://shop.example/{{no}}.pdf" }\n[channels.whatsapp]\n',
        "utf-8",
    )
    templates = read_templates(tmp_path)
    link = "https://shop.example/9.pdf"
    plain = fit(templates, use(name="bill", no="9"), "messenger")
    assert plain == Message.of("Your bill", media=(Media(kind="file", source_url=link),))
    approved = fit(templates, use(name="bill", no="9"), "whatsapp").template
    assert approved is not None
    assert approved.variables == {"header.document": link}


def test_what_is_no_file_of_ours_is_the_providers(shipped: Templates) -> None:
    message = use(name="of_the_provider", language="bn")
    assert fit(shipped, message, "whatsapp") == message
    assert shipped.can_go(TemplateUse(name="of_the_provider", language="bn"), "wa", "whatsapp")
    assert not shipped.can_go(TemplateUse(name="order_shipped", language=""), "tg", "telegram")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"customer": "x"}, "template order_shipped needs a value for order"),
        (
            {"customer": " ", "order": ""},
            "template order_shipped needs a value for customer, order",
        ),
        (
            {**VALUES, "tracking": "secret"},
            "template order_shipped has no variable tracking; its variables: customer, order",
        ),
    ],
)
def test_values_must_be_those_of_the_variables(
    shipped: Templates, variables: dict[str, str], words: str
) -> None:
    for kind in ("telegram", "whatsapp"):
        with pytest.raises(TemplateMisuse) as caught:
            fit(shipped, use(**variables), kind)
        assert str(caught.value) == words


@pytest.mark.parametrize(
    ("wanted", "offered", "picked"),
    [
        ("bn", ["en", "bn"], "bn"),
        ("BN_bd", ["en", "bn"], "bn"),
        ("bn-BD", ["en", "bn", "bn_BD"], "bn_BD"),
        ("en", ["bn", "en_GB"], "en_GB"),
        ("fr", ["bn", "en"], "bn"),
        ("", ["bn", "en"], "bn"),
        ("e", ["bn", "en"], "bn"),
    ],
)
def test_languages_fall_back(wanted: str, offered: list[str], picked: str) -> None:
    assert pick(wanted, offered) == picked


@settings(max_examples=60, derandomize=True)
@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.text()))
def test_values_are_put_in_as_they_are_and_once(values: dict[str, str]) -> None:
    text = "|".join(f"{{{{{name}}}}}" for name in values)
    assert fill(text, values) == "|".join(values.values())
    assert fill(text, dict.fromkeys(values, "{{other}}")) == "|".join(["{{other}}"] * len(values))


WRONG = {
    '[variables]\nx = "1"\n[languages.en]\ntext = "hi {{x}"': [
        "4: languages.en.text has {{ or }} that is no variable",
        "2: variables.x is used in no language",
    ],
    '[languages.en]\ntext = "hi {{who}}"\nfooter = "{{Ünknown}}"': [
        "2: languages.en.text uses {{who}}, which is not among the variables",
        "3: languages.en.footer has {{ or }} that is no variable",
    ],
    '[languages.en]\ntext = "a"\n[languages.bn]\ntext = "b"': [
        "1: default should name one of the languages"
    ],
    'default = "fr"\n[languages.en]\ntext = "a"': ["1: default should name one of the languages"],
    "": ["1: languages is missing"],
    '[languages.en]\ntxt = "a"': [
        "1: languages.en.text is missing",
        "2: languages.en.txt is not known here",
    ],
    '[languages.en]\ntext = "a"\n\n[[languages.en.buttons]]\ntitle = 7': [
        "4: languages.en.buttons.0.title should be text in quotes"
    ],
    '[languages.en]\ntext = "a"\nheader = { text = "b", image = "ftp://x" }': [
        "3: languages.en.header should be one thing: text, image, video or document",
        "3: languages.en.header has a link that does not begin with https://",
    ],
    '[languages.en]\ntext = "a"\n# 3\n[channels.wa]\nlanguages = { fr = "fr" }\nbody = ["x"]': [
        "5: channels.wa.languages has fr, which is no language here",
        "6: channels.wa.body has x, which is no variable here",
    ],
    'name = "Order shipped"\n[languages.en]\ntext = "a"': [
        "1: name should be small letters, digits, - and _"
    ],
    '[languages.en]\ntext = "a': ["2: is not valid TOML: "],
    '[variables]\nx = { bn = "1" }\n[languages.en]\ntext = "{{x}}"': [
        "2: variables.x needs samples in the default language and in ours alone"
    ],
}


@pytest.mark.parametrize("source", WRONG)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, source: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(source, "utf-8")
    (tmp_path / "good.toml").write_text('[languages.en]\ntext = "a"\n', "utf-8")
    found = read_templates(tmp_path)
    assert list(found.by_name) == ["good"]
    for problem, words in zip(found.problems, WRONG[source], strict=True):
        assert problem.startswith(f"{path}:{words}")


def listed(name: str, language: str, status: str = "approved") -> ListedTemplate:
    return ListedTemplate(name, language, status, "yellow", "utility")


def test_how_a_template_stands_at_a_provider(shipped: Templates) -> None:
    template = shipped.by_name["order_shipped"]
    known = [listed("order_shipped_2", "en_US"), listed("HX0123", "bn_BD", "rejected")]
    by_meta = standings(template, "wa", "whatsapp", known)
    assert [(one.language, one.status, one.is_usable, one.is_poor) for one in by_meta] == [
        ("en", "approved", True, True),
        ("bn", "missing", False, False),
    ]
    [by_twilio] = standings(template, "x", "twilio", known)
    assert (by_twilio.language, by_twilio.provider_language) == ("bn", "bn_BD")
    assert (by_twilio.status, by_twilio.is_usable) == ("rejected", False)
    assert [one.status for one in standings(template, "x", "twilio", [])] == ["unknown"]
    assert standings(template, "x", "telegram", known) == []


def test_the_page_shows_a_template_that_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/templates.md").read_text("utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", page, re.S)
    (tmp_path / "order_shipped.toml").write_text(block, "utf-8")
    found = read_templates(tmp_path)
    assert found.problems == ()
    asked = use("bn")
    assert fit(found, asked, "whatsapp").template == TemplateUse(
        name="order_shipped_2", language="bn", variables={"1": "করিম", "2": "B-9"}
    )


def test_two_files_of_one_template_and_one_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "b"\n[languages.en]\ntext = "a"\n', "utf-8")
    (tmp_path / "b.toml").write_text('[languages.en]\ntext = "b"\n', "utf-8")
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "README.md").write_text("not one", "utf-8")
    found = read_templates(tmp_path)
    assert list(found.by_name) == ["b"]
    assert found.problems == (
        f"{tmp_path / 'b.toml'}: another file has the template b already",
        f"{tmp_path / 'c.toml'}: is not UTF-8 text",
    )
