import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.chat import Chat, Customer, Dialog, DialogMisuse, Message, collect, dialog
from hub.errors import SettingsError
from hub.message import Choice
from tests.hub.replaying import Run

SOURCE = """
from hub.chat import Chat, dialog

@dialog("{name}", on=["{name} please"], version=3)
async def flow(chat: Chat) -> None:
    await chat.say("hi")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    sys.path.insert(0, str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_collect_finds_modules_packages_and_submodules(folder: Path) -> None:
    write(folder / "shop_flows/__init__.py", "from shop_flows.one import flow\n")
    write(folder / "shop_flows/one.py", SOURCE.format(name="one"))
    write(folder / "shop_flows/deeper/__init__.py", "")
    write(folder / "shop_flows/deeper/two.py", SOURCE.format(name="two"))
    write(folder / "single_flow.py", SOURCE.format(name="three"))
    found = collect(["shop_flows", "single_flow"])
    assert sorted(found) == ["one", "three", "two"]
    two = found["two"]
    assert (two.version, two.on, two.module) == (3, ("two please",), "shop_flows.deeper.two")


def test_collect_refuses_two_dialogs_of_one_name(folder: Path) -> None:
    write(folder / "flow_a.py", SOURCE.format(name="same"))
    write(folder / "flow_b.py", SOURCE.format(name="same"))
    with pytest.raises(SettingsError, match=r"dialogs\.modules: flow_a and flow_b .* named same"):
        collect(["flow_a", "flow_b"])


@pytest.mark.parametrize("text", ["import no_such_module_anywhere\n", "def broken(:\n"])
def test_collect_names_what_cannot_be_imported(folder: Path, text: str) -> None:
    write(folder / "broken_flows/__init__.py", "")
    write(folder / "broken_flows/flow.py", text)
    with pytest.raises(SettingsError, match=r"^dialogs\.modules: broken_flows"):
        collect(["broken_flows"])
    with pytest.raises(SettingsError, match=r"^dialogs\.modules: no_such_flows"):
        collect(["no_such_flows"])


def test_bundled_dialogs() -> None:
    assert {"welcome", "order_status", "talk_to_human"} <= set(collect(["dialogs"]))


def test_a_dialog_is_an_async_function() -> None:
    with pytest.raises(DialogMisuse, match="async def flow"):

        @dialog("sync")  # type: ignore[arg-type]  # the mistake under test
        def flow(chat: Chat) -> None: ...


def test_a_phrase_has_words() -> None:
    with pytest.raises(DialogMisuse, match="no words"):
        dialog("quiet", on=["?!"])


@dialog("order", on=["order", "where is my order"])
async def order(chat: Chat) -> None: ...


@pytest.mark.parametrize(
    ("message", "phrase"),
    [
        (Message(text="Hey, where is my ORDER?"), "where is my order"),
        (Message(text="order!"), "order"),
        (Message(text="border"), ""),
        (Message(text="order", choice=Choice(type="button", id="x", title="No")), ""),
        (Message(choice=Choice(type="button", id="order")), "order"),
    ],
)
def test_matches(message: Message, phrase: str) -> None:
    assert order.matches(message) == phrase


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Two: 2"), ("bn-BD", "দুই: ২"), ("hi", "do: 2"), ("fr", "Two: 2"), ("", "Two: 2")],
)
async def test_text_and_digits_in_the_customers_language(language: str, said: str) -> None:
    @dialog("two")
    async def two(chat: Chat) -> None:
        await chat.say(chat.text("Two", bn="দুই", hi="do") + f": {chat.digits(2)}")

    run = Run(two, customer=Customer("c1", language=language))
    await run.start()
    assert run.said == [said]


def test_a_customer_survives_json() -> None:
    full = Customer("c1", "মিতু", "bn", "Asia/Dhaka", {"vip": True, "tags": ["a"]})
    assert Customer(**full.to_json()) == full  # type: ignore[arg-type]  # JSON has no field types
    assert Customer(**Customer("c1").to_json()) == Customer("c1")  # type: ignore[arg-type]


def test_a_dialog_knows_itself() -> None:
    assert isinstance(order, Dialog)
    assert (order.name, order.version, order.on) == ("order", 1, ("order", "where is my order"))
