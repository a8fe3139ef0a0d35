"""Signals: what a provider says that is neither a message nor a receipt.

A closed set: each has one handler in the store.
"""

from dataclasses import dataclass

from pydantic import JsonValue

from hub.clock import Micros
from hub.message import Alias, Inbound, Message, Receipt

NOTHING = Message()


@dataclass(frozen=True, slots=True)
class Signal:
    account: str
    sender: str
    at: Micros


@dataclass(frozen=True, slots=True)
class Typing(Signal):
    on: bool = True


@dataclass(frozen=True, slots=True)
class ReadByCustomer(Signal):
    """The customer has read all of ours up to `external_id`, or up to `at` when it is empty."""

    external_id: str = ""


@dataclass(frozen=True, slots=True)
class DeliveredToCustomer(Signal):
    """All of ours that was sent up to `at` has reached the customer."""


@dataclass(frozen=True, slots=True)
class OptOut(Signal):
    """`on` False is an opt-in. `scope`: "all" or "marketing". `maybe`: an ordinary word as well,
    which opts in only one who has opted out of everything."""

    on: bool = True
    scope: str = "all"
    maybe: bool = False


@dataclass(frozen=True, slots=True)
class Block(Signal):
    """The customer (or group) does not let this channel write any more; `on` False: does again."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Edit(Signal):
    external_id: str = ""
    message: Message = NOTHING


@dataclass(frozen=True, slots=True)
class Unsend(Signal):
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Reaction(Signal):
    """An empty `emoji` takes the reaction back."""

    external_id: str = ""
    emoji: str = ""


@dataclass(frozen=True, slots=True)
class NumberChange(Signal):
    """The sender's id on this channel became `new_sender`."""

    new_sender: str = ""
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class Echo(Signal):
    """A message the business sent outside the hub (its phone app, a Page inbox) to `sender`."""

    external_id: str = ""
    message: Message = NOTHING
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class TemplateChange(Signal):
    """The provider judged one of our templates anew; what is empty stays as it was. `sender` is
    the account at the provider that has the template; see `connector.ListedTemplate`."""

    name: str = ""
    language: str = ""
    status: str = ""
    quality: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One item of a genuine webhook that could not be read; it becomes a dead letter and costs
    its siblings nothing. `reason` names what was wrong and holds none of the content."""

    account: str
    reason: str
    raw: JsonValue = None


Parsed = Inbound | Receipt | Signal | Unreadable
