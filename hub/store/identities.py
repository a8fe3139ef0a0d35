"""Who wrote: the address, then a proven alias, else a new customer.

A customer and the address are created here; joining by alias happens for a NEW address only. A
known one that brings a further proof, such as a shared number, keeps it for what comes later; what
proves somebody else already is noted as her claim and moves neither thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.message import Alias, Profile
from hub.store.bulk import Lookup, execute_many
from hub.store.schema import addresses, aliases, conversations, customers
from hub.store.sql import insert_new

if TYPE_CHECKING:
    from hub.store.accept import Arrival

Row = dict[str, Any]
AddressKey = tuple[bytes, str]


@dataclass(slots=True)
class Person:
    """Whose message it is. `new_conversation` is the row of one that `accept` is to insert once
    the message has its place in it; `is_new`: the address was just created, as seen now."""

    address_id: bytes
    customer_id: bytes
    conversation_id: bytes
    is_group: bool = False
    new_conversation: Row | None = None
    is_new: bool = False


INSERT_CUSTOMERS = customers.insert()
INSERT_ADDRESSES = addresses.insert()
NAME_CUSTOMERS = (
    customers.update()
    .where(customers.c.id == sa.bindparam("row_id"), customers.c.name == "")
    .values(name=sa.bindparam("new_name"))
)
FIND_ADDRESSES = Lookup(
    lambda keys: (
        sa.select(
            addresses.c.external_id,
            addresses.c.id,
            addresses.c.customer_id,
            addresses.c.conversation_id,
            customers.c.kind,
        )
        .join(customers, customers.c.id == addresses.c.customer_id)
        .where(
            addresses.c.channel_id == sa.bindparam("channel"),
            addresses.c.external_id.in_(keys),
        )
    )
)
ALIAS_KINDS = ("phone", "email", "external")
ALIAS_KEY = ("kind", "value", "customer_id")
PROVE = (
    aliases.update()
    .where(
        aliases.c.kind == sa.bindparam("its_kind"),
        aliases.c.value == sa.bindparam("its_value"),
        aliases.c.customer_id == sa.bindparam("owner"),
        aliases.c.verified_at.is_(None),
    )
    .values(verified_at=sa.bindparam("at"))
)
FIND_PROVEN = Lookup(
    lambda keys: (
        sa.select(aliases.c.kind, aliases.c.value, aliases.c.customer_id, conversations.c.id)
        .join(conversations, conversations.c.customer_id == aliases.c.customer_id)
        .where(
            aliases.c.kind.in_([sa.literal_column(f"'{kind}'") for kind in ALIAS_KINDS]),
            aliases.c.value.in_(keys),
            aliases.c.verified_at.isnot(None),
        )
    )
)


def resolve(
    conn: sa.Connection, arrivals: Sequence["Arrival"], at: Micros
) -> dict[AddressKey, Person]:
    """Find or create the person of every arrival, by (channel, sender or group)."""
    people = _find_addresses(conn, arrivals)
    unknown = [a for a in arrivals if (a.channel_id, a.external_id) not in people]
    rows = _NewRows()
    further: list[tuple[Person, Alias]] = []
    for arrival in arrivals:
        if person := people.get((arrival.channel_id, arrival.external_id)):
            # A further id of someone known, such as a user name's beside her number.
            rows.add_ids(person, arrival, _new_ids(arrival, people), people, at)
            further += [(person, alias) for alias in _further_proofs(arrival)]
    values = {alias.value for arrival in unknown for alias in _proofs(arrival)}
    values.update(alias.value for _, alias in further)
    proven = _find_proven(conn, values)
    for person, alias in further:
        rows.add_proof(person, alias, proven, at)
    for arrival in unknown:
        if person := people.get((arrival.channel_id, arrival.external_id)):
            # An earlier arrival of the same group made her known.
            rows.add_ids(person, arrival, _new_ids(arrival, people), people, at)
            for alias in _further_proofs(arrival):
                rows.add_proof(person, alias, proven, at)
            continue
        person = _join(people, proven, arrival)
        if person is None:
            person = rows.add_customer(arrival, at)
        else:
            rows.add_name(person, arrival)
        rows.add_address(person, arrival, people, proven, at)
    rows.insert(conn)
    return people


def _new_ids(arrival: "Arrival", people: dict[AddressKey, Person]) -> list[str]:
    """The other ids seen with the sender that nobody has yet."""
    if arrival.is_group:
        return []
    also = dict.fromkeys(arrival.also)
    return [i for i in also if i and (arrival.channel_id, i) not in people]


def _find_addresses(conn: sa.Connection, arrivals: Sequence["Arrival"]) -> dict[AddressKey, Person]:
    wanted: dict[bytes, set[str]] = {}
    for arrival in arrivals:
        ids = wanted.setdefault(arrival.channel_id, set())
        ids.add(arrival.external_id)
        if not arrival.is_group:
            ids.update(arrival.also)
    people: dict[AddressKey, Person] = {}
    for channel_id, ids in wanted.items():
        rows = FIND_ADDRESSES.tuples(conn, list(ids), channel=channel_id)
        for external_id, id, customer_id, conversation_id, kind in rows:
            people[channel_id, external_id] = Person(
                id, customer_id, conversation_id, kind == "group"
            )
    return people


def _proofs(arrival: "Arrival") -> list[Alias]:
    if arrival.is_group or not arrival.may_join:
        return []
    return [alias for alias in arrival.aliases if alias.verified]


def _further_proofs(arrival: "Arrival") -> list[Alias]:
    """Those that do not just spell the address itself, which came with it at first: most messages
    have no other."""
    return [alias for alias in _proofs(arrival) if not _spells(arrival.external_id, alias)]


def _spells(external_id: str, alias: Alias) -> bool:
    if alias.kind == "phone":
        return alias.value.removeprefix("+") == external_id.removeprefix("+")
    # A user's id with the provider or the site before it. A mail's sender is not always proven.
    tail = alias.value.rpartition(":")[2]
    return alias.kind == "external" and tail == external_id.rpartition(":")[2]


def _find_proven(conn: sa.Connection, values: set[str]) -> dict[tuple[str, str], Person]:
    if not values:
        return {}
    return {
        (kind, value): Person(b"", customer_id, conversation_id)
        for kind, value, customer_id, conversation_id in FIND_PROVEN.tuples(conn, list(values))
    }


def _join(
    people: dict[AddressKey, Person],
    proven: dict[tuple[str, str], Person],
    arrival: "Arrival",
) -> Person | None:
    """The known person this new address belongs to, if any is proven."""
    if arrival.is_group:
        return None
    for external_id in arrival.also:
        if person := people.get((arrival.channel_id, external_id)):
            return person
    for alias in _proofs(arrival):
        if person := proven.get((alias.kind, alias.value)):
            return person
    return None


class _NewRows:
    def __init__(self) -> None:
        self.customers: list[Row] = []
        self.addresses: list[Row] = []
        self.aliases: list[Row] = []
        self.proofs: list[Row] = []
        self.names: list[Row] = []

    def add_name(self, person: Person, arrival: "Arrival") -> None:
        """A customer without a name takes the one that comes with a further address."""
        if arrival.profile.name:
            self.names.append({"row_id": person.customer_id, "new_name": arrival.profile.name})

    def add_customer(self, arrival: "Arrival", at: Micros) -> Person:
        customer_id, conversation_id = new_id(), new_id()
        profile = arrival.profile
        self.customers.append(
            {
                "id": customer_id,
                "kind": "group" if arrival.is_group else "person",
                "name": "" if arrival.is_group else profile.name,
                "language": profile.language or None,
                "timezone": profile.timezone or None,
                "traits": profile.traits,
                "created_at": at,
            }
        )
        conversation = {
            "id": conversation_id,
            "customer_id": customer_id,
            "status": "open",
            "snoozed_until": None,
            "owner_kind": "queue" if arrival.is_group else "bot",
            "unread": 0,
            "next_seq": 1,
            "case_id": None,
            "last_message_id": None,
            "last_message_at": at,
            "last_in_address_id": None,
            "created_at": at,
        }
        return Person(b"", customer_id, conversation_id, arrival.is_group, conversation)

    def add_address(
        self,
        owner: Person,
        arrival: "Arrival",
        people: dict[AddressKey, Person],
        proven: dict[tuple[str, str], Person],
        at: Micros,
    ) -> None:
        """Add the sender's address, and one for each other id seen with it, so that she is
        known by either."""
        main = arrival.external_id
        ids = [main, *(i for i in _new_ids(arrival, people) if i != main)]
        self.add_ids(owner, arrival, ids, people, at)
        if arrival.is_group:
            return
        for alias in arrival.aliases:
            taken = (alias.kind, alias.value) in proven
            verified = alias.verified and arrival.may_join and not taken
            if verified:
                proven[alias.kind, alias.value] = owner
            self.aliases.append(_alias_row(owner, alias, at if verified else None, at))

    def add_proof(
        self, owner: Person, alias: Alias, proven: dict[tuple[str, str], Person], at: Micros
    ) -> None:
        """Keep what a known customer proves. Where it proves somebody else already it is a mere
        claim of hers."""
        key = (alias.kind, alias.value)
        holder = proven.setdefault(key, owner)
        if holder.customer_id != owner.customer_id:
            self.aliases.append(_alias_row(owner, alias, None, at))
        elif holder is owner:
            self.aliases.append(_alias_row(owner, alias, at, at))
            names = {"its_kind": alias.kind, "its_value": alias.value}
            self.proofs.append(names | {"owner": owner.customer_id, "at": at})

    def add_ids(
        self,
        owner: Person,
        arrival: "Arrival",
        ids: list[str],
        people: dict[AddressKey, Person],
        at: Micros,
    ) -> None:
        for external_id in ids:
            person = Person(
                new_id(),
                owner.customer_id,
                owner.conversation_id,
                owner.is_group,
                owner.new_conversation,
                is_new=True,
            )
            people[arrival.channel_id, external_id] = person
            self.addresses.append(
                {
                    "id": person.address_id,
                    "channel_id": arrival.channel_id,
                    "external_id": external_id,
                    "customer_id": owner.customer_id,
                    "conversation_id": owner.conversation_id,
                    "profile": profile_row(arrival.profile),
                    "last_seen_at": at,
                    "created_at": at,
                }
            )

    def insert(self, conn: sa.Connection) -> None:
        if self.customers:
            execute_many(conn, INSERT_CUSTOMERS, self.customers)
        if self.addresses:
            execute_many(conn, INSERT_ADDRESSES, self.addresses)
        if self.names:
            execute_many(conn, NAME_CUSTOMERS, self.names)
        if self.aliases:
            # Proven meanwhile by another process for another customer: that must raise, so that
            # the unit is run again and finds her, and not make her a second thread.
            execute_many(conn, insert_new(conn, aliases, only=ALIAS_KEY), self.aliases)
        if self.proofs:
            execute_many(conn, PROVE, self.proofs)


def _alias_row(owner: Person, alias: Alias, verified_at: Micros | None, at: Micros) -> Row:
    return {
        "kind": alias.kind,
        "value": alias.value,
        "customer_id": owner.customer_id,
        "verified_at": verified_at,
        "created_at": at,
    }


def profile_row(profile: Profile) -> Row | None:
    """What an address keeps of a profile; None for one that says nothing."""
    known = {"name": profile.name, "username": profile.username}
    return {name: value for name, value in known.items() if value} or None
