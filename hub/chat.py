"""What the author of a dialog imports, and all of it.

A dialog is a plain coroutine. Every turn of the conversation runs it again from its first line:
what it has said, asked and called so far is read from the run's journal, then it goes on. That
is why it survives crashes, deployments and a change of channel, and why it must take the same
path each time. The rules:

1. I/O, the clock and randomness only inside `chat.call`. Nothing else may be awaited.
2. What `chat.call` and `chat.restart` take along is JSON: text, numbers, booleans, None, lists
   and dicts with text keys.
3. One operation at a time, each awaited where it is written: no tasks, no `gather`.
4. No bare `except:` and no `except BaseException:`; they would catch the engine's own signal.
   `except Exception:` and `finally:` are fine; what a `finally` says while the dialog is put
   aside is not said.
5. Renaming, adding, dropping or reordering steps means a new `version`. A run that no longer
   fits its dialog gets an apology and goes to the agents.
6. A journal holds 1,000 steps. A dialog that goes round for ever calls `chat.restart(**state)`,
   which begins it anew with `chat.state`.
7. A step run by `chat.call` is never run again once its result is recorded, and may be run
   twice if the process dies inside it: hand `chat.step_key` on as the idempotency key.

Example:

    @dialog("pizza", on=["order a pizza", "পিজা অর্ডার"])
    async def pizza(chat: Chat) -> None:
        size = await chat.ask(chat.text("What size?", bn="কোন সাইজ?"), buttons=["S", "M", "L"])
        order = await chat.call(place_order, chat.step_key, size.text)
        await chat.say(chat.text(f"On its way: {order}", bn=f"আসছে: {order}"))
"""

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar, overload

from pydantic import JsonValue

from hub import i18n
from hub.errors import HubError, SettingsError
from hub.i18n import ascii_digits
from hub.message import Button, Media, Message, Place, TemplateUse

__all__ = [
    "Again",
    "Button",
    "CallFailed",
    "Chat",
    "Command",
    "Customer",
    "Dialog",
    "DialogMisuse",
    "HandOver",
    "Media",
    "Message",
    "Place",
    "Say",
    "Stage",
    "TemplateUse",
    "TimedOut",
    "ascii_digits",
    "collect",
    "dialog",
]

P = ParamSpec("P")
T = TypeVar("T")
Run = Callable[["Chat"], Coroutine[Any, Any, Any]]
Check = Callable[[Message], Any]
Step = Callable[[], Awaitable[Any]]
Compose = Callable[[], Message]

_NOTHING = Message()


class DialogMisuse(HubError):
    """A dialog breaks one of the rules; the text says which and what to do."""


class Again(Exception):
    """Raised by a `check` to ask once more; its text tells the customer why."""


class TimedOut(Exception):
    """Nobody answered within the `timeout` of an `ask`. Uncaught, it ends the dialog quietly."""


class CallFailed(Exception):
    """A step run by `chat.call` raised. `error` is the name of its exception's type.

    The failure is recorded like a result, so that every replay takes the same path. The exception
    itself is the cause in the turn that ran the step, and gone in later ones.
    """

    def __init__(self, step: str, error: str) -> None:
        super().__init__(f"{step} raised {error}")
        self.step = step
        self.error = error


@dataclass(frozen=True, slots=True)
class Customer:
    """The person, as known when the event being handled came in.

    It is journaled with each event, so that a replay sees the same.
    """

    id: str
    name: str = ""
    language: str = i18n.DEFAULT
    timezone: str = ""
    traits: dict[str, JsonValue] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """The fields that are set; `Customer(**fields)` reads them back."""
        fields: dict[str, JsonValue] = {
            "id": self.id,
            "name": self.name,
            "language": self.language,
            "timezone": self.timezone,
            "traits": self.traits,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class Say:
    """Send this message where the customer last wrote."""

    message: Message


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the conversation to the agents; `note` is for them alone."""

    note: str = ""
    team: str | None = None


Command = Say | HandOver
"""All that a dialog can cause, a closed set."""


class Stage(Protocol):
    """What carries the operations of a `Chat` out: the replay engine.

    Messages come to it uncomposed, since a replay needs but the last of them.
    """

    @property
    def step_key(self) -> str: ...
    def say(self, compose: Compose) -> Coroutine[Any, Any, None]: ...
    def ask(
        self, compose: Compose, check: Check | None, timeout: timedelta | None
    ) -> Coroutine[Any, Any, Any]: ...
    def call(self, name: str, run: Step) -> Coroutine[Any, Any, Any]: ...
    def hand_over(self, note: str, team: str | None) -> Coroutine[Any, Any, NoReturn]: ...
    def restart(self, state: dict[str, JsonValue]) -> Coroutine[Any, Any, NoReturn]: ...


class Chat:
    """One conversation, as its dialog sees it.

    `customer` and `channel` are those of the event being handled: an answer may come in on
    another channel than the question went out on. `opening` is the message that began the run.
    `state` is what `restart` took along, else empty.
    """

    __slots__ = ("_stage", "channel", "customer", "opening", "state")

    def __init__(
        self,
        stage: Stage,
        *,
        customer: Customer,
        channel: str,
        opening: Message,
        state: dict[str, JsonValue],
    ) -> None:
        self._stage = stage
        self.customer = customer
        self.channel = channel
        self.opening = opening
        self.state = state

    @property
    def language(self) -> str:
        """The customer's language without region, such as "en" or "bn"."""
        return i18n.base(self.customer.language)

    @property
    def step_key(self) -> str:
        """Names this step of this run: the idempotency key for the next `call`, or inside it."""
        return self._stage.step_key

    def text(self, en: str, bn: str = "", **others: str) -> str:
        """The one of these texts that is in the customer's language; English when it is missing.

        `others` are by language code: `chat.text("Hello", bn="হ্যালো", hi="नमस्ते")`.
        """
        return {"bn": bn, **others}.get(self.language) or en

    def digits(self, value: object) -> str:
        """`value` as text, with digits as the customer's language writes them."""
        return i18n.local_digits(str(value), self.language)

    def say(
        self, message: str | Message, *, buttons: Sequence[str | Button] = ()
    ) -> Coroutine[Any, Any, None]:
        """Send a message. Of a button given as text, "b1" is the first one's id, "b2" the next."""
        return self._stage.say(partial(_compose, message, buttons))

    @overload
    def ask(
        self,
        question: str | Message,
        *,
        buttons: Sequence[str | Button] = (),
        check: None = None,
        timeout: timedelta | None = None,
    ) -> Coroutine[Any, Any, Message]: ...
    @overload
    def ask(
        self,
        question: str | Message,
        *,
        buttons: Sequence[str | Button] = (),
        check: Callable[[Message], T],
        timeout: timedelta | None = None,
    ) -> Coroutine[Any, Any, T]: ...
    def ask(
        self,
        question: str | Message,
        *,
        buttons: Sequence[str | Button] = (),
        check: Check | None = None,
        timeout: timedelta | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Send a question and wait for the customer's next message, which is the result.

        A button tapped, or its number or title typed, is the answer's `choice`. `check` turns the
        answer into the result; it must depend on its message alone. It raises `Again("why")`, or
        a plain `ValueError("why")`, to ask once more; after the third time in a row the
        conversation goes to the agents. A cancel word ends the run. Raises `TimedOut` when
        `timeout` has passed.
        """
        return self._stage.ask(partial(_compose, question, buttons), check, timeout)

    def call(
        self, step: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        """Run `step` once and record its result, which must be JSON. Raises `CallFailed`."""
        name = getattr(step, "__qualname__", None) or type(step).__qualname__
        return self._stage.call(name, lambda: step(*args, **kwargs))

    def hand_over(self, note: str = "", team: str | None = None) -> Coroutine[Any, Any, NoReturn]:
        """End the run and give the conversation to the agents. Say so to the customer first."""
        return self._stage.hand_over(note, team)

    def restart(self, **state: JsonValue) -> Coroutine[Any, Any, NoReturn]:
        """Begin this dialog anew with an empty journal, taking `state` along."""
        return self._stage.restart(state)


def _compose(message: str | Message, buttons: Sequence[str | Button]) -> Message:
    shown = tuple(
        Button(id=f"b{position}", title=button) if isinstance(button, str) else button
        for position, button in enumerate(buttons, 1)
    )
    if isinstance(message, str):
        message = Message.of(message, buttons=shown)
    elif shown:
        message = message.model_copy(update={"buttons": message.buttons + shown})
    if len({button.id for button in message.buttons}) < len(message.buttons):
        raise DialogMisuse("two buttons of one message have the same id")
    if message == _NOTHING:
        raise DialogMisuse("the message to send is empty")
    return message


@dataclass(frozen=True, slots=True, eq=False)
class Dialog:
    """A flow and what starts it. Inside another dialog, `await other(chat)` runs it."""

    name: str
    version: int
    on: tuple[str, ...]
    run: Run
    module: str
    phrases: tuple[str, ...]

    def __call__(self, chat: Chat) -> Coroutine[Any, Any, Any]:
        return self.run(chat)

    def matches(self, message: Message) -> str:
        """The longest trigger phrase that `message` holds as whole words; "" for none.

        Case, punctuation and spacing do not count. A tapped choice matches by its title, or by
        an id that is the dialog's name.
        """
        if message.choice and message.choice.id == self.name:
            return self.name
        said = message.choice.title if message.choice else message.text
        return self.find_phrase(i18n.plain(said))

    def find_phrase(self, words: str) -> str:
        """Like `matches`, for text in the form of `i18n.plain`."""
        padded = f" {words} "
        for phrase in self.phrases:
            if phrase in padded and f" {phrase} " in padded:
                return phrase
        return ""


def dialog(name: str, *, on: Sequence[str] = (), version: int = 1) -> Callable[[Run], Dialog]:
    """Make a coroutine function a dialog that starts when a message holds a phrase of `on`.

    Raises DialogMisuse when the function is not `async def`, or a phrase has no words.
    """
    phrases = sorted(
        {i18n.plain(phrase) for phrase in on}, key=lambda phrase: (-len(phrase), phrase)
    )
    if "" in phrases:
        raise DialogMisuse(f"dialog {name}: a phrase of `on` has no words")

    def decorate(run: Run) -> Dialog:
        if not inspect.iscoroutinefunction(run):
            raise DialogMisuse(f"dialog {name}: write `async def {run.__name__}`")
        return Dialog(name, version, tuple(on), run, run.__module__, tuple(phrases))

    return decorate


def collect(modules: Sequence[str]) -> dict[str, Dialog]:
    """All dialogs of the named modules, and of every submodule where one is a package, by name.

    Raises SettingsError when a module cannot be imported or two dialogs have one name.
    """
    found: dict[str, Dialog] = {}
    for name in modules:
        for module in _walk(name):
            for one in vars(module).values():
                if not isinstance(one, Dialog):
                    continue
                other = found.setdefault(one.name, one)
                if other is not one:
                    raise SettingsError(
                        f"dialogs.modules: {other.module} and {one.module} "
                        f"both have a dialog named {one.name}"
                    )
    return found


def _walk(name: str) -> Iterator[ModuleType]:
    try:
        module = importlib.import_module(name)
        yield module
        for entry in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            yield importlib.import_module(entry.name)
    except (ImportError, SyntaxError) as error:
        raise SettingsError(f"dialogs.modules: {name} cannot be imported: {error}") from error
