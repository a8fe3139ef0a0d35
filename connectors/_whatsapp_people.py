"""Who a WhatsApp item is from or to: a phone's wa_id, a business-scoped user id, or both."""

from dataclasses import dataclass
from typing import Any

from connectors._whatsapp_content import part_of, text_of
from hub.message import Alias, Profile, clean_text

People = dict[str, dict[str, Any]]
"""The contacts of one change by wa_id and by user id."""


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as one item names them. `sender` is the wa_id where there is one."""

    wa_id: str
    user_id: str
    contact: dict[str, Any]

    @property
    def sender(self) -> str:
        return self.wa_id or self.user_id

    @property
    def also(self) -> tuple[str, ...]:
        return (self.user_id,) if self.wa_id and self.user_id else ()

    @property
    def aliases(self) -> tuple[Alias, ...]:
        return (Alias("phone", phone_number(self.wa_id)),) if self.wa_id else ()


def people_of(value: dict[str, Any]) -> People:
    contacts = value.get("contacts")
    people: People = {}
    if isinstance(contacts, list):
        known = [contact for contact in contacts if isinstance(contact, dict)]
        for contact in known:
            people[text_of(contact, "wa_id")] = people[text_of(contact, "user_id")] = contact
        # The only contact of a change stands for an item that names nobody.
        people[""] = known[0] if len(known) == 1 else {}
    return people


def person_of(item: dict[str, Any], people: People, phone: str, user: str) -> Person:
    """Who an item is from or to. After adopting a username a customer has no wa_id, or the user
    id in its place; the change's contacts may know what the item leaves out."""
    wa_id, user_id = as_phone(text_of(item, phone)), text_of(item, user)
    if not wa_id and not user_id:
        user_id = text_of(item, phone)
    if wa_id or user_id:
        contact = people.get(wa_id or user_id) or people.get(user_id or wa_id) or {}
    else:
        contact = people.get("", {})
    known_as = text_of(contact, "wa_id")
    return Person(
        wa_id or as_phone(known_as),
        user_id or text_of(contact, "user_id") or ("" if as_phone(known_as) else known_as),
        contact,
    )


def as_phone(wa_id: str) -> str:
    """The wa_id if it is a phone's, else nothing."""
    return wa_id if wa_id.isascii() and wa_id.isdigit() else ""


def phone_number(wa_id: str) -> str:
    """The E.164 number of a wa_id, in one form where WhatsApp has two.

    Brazilian mobiles may lack the 9 that was added, Mexican ones keep an old 1 and Argentinian
    ones a 9 that calls and SMS do without.
    """
    if wa_id.startswith("55") and len(wa_id) == 12 and wa_id[4] in "6789":
        wa_id = f"{wa_id[:4]}9{wa_id[4:]}"
    elif wa_id.startswith("521") and len(wa_id) == 13:
        wa_id = f"52{wa_id[3:]}"
    elif wa_id.startswith("549") and len(wa_id) == 13:
        wa_id = f"54{wa_id[3:]}"
    return f"+{wa_id}"


def profile_of(person: Person) -> Profile:
    profile = part_of(person.contact, "profile")
    return Profile(
        name=clean_text(text_of(profile, "name")),
        username=text_of(profile, "username").removeprefix("@"),
    )
