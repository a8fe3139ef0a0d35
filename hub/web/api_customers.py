"""Customers over REST: finding them, and editing the profile."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator
from typing_extensions import TypedDict

from hub.message import clean_text
from hub.store.customers import find_customer, list_customers, load_customers, update_customer
from hub.web.api_conversations import Limit
from hub.web.cursor import read_cursor, write_cursor
from hub.web.problem import unknown
from hub.web.route import Api, Body, Call, Id, Query
from hub.web.shapes import CustomerJson
from hub.web.views import customers_json

customers = Api()


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError("should be the name of a time zone, such as Asia/Dhaka") from None
    return name


class CustomerPage(TypedDict):
    items: list[CustomerJson]
    next: str | None


class CustomerQuery(Query):
    """`alias`: exactly a phone number (+880...), e-mail or external id. `address`: exactly an id
    on a channel. `q`: the beginning of the name, or exactly an alias, an address or an id."""

    alias: str | None = Field(None, max_length=255)
    address: str | None = Field(None, max_length=255)
    q: str | None = Field(None, max_length=200)
    limit: Limit = 50
    cursor: str | None = Field(None, max_length=100)


class CustomerPatch(Body):
    """What is left out stays; null clears. An entry of `traits` replaces the one of its name,
    null removes it."""

    name: Annotated[str, StringConstraints(max_length=200), AfterValidator(clean_text)] = ""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | (
        None
    ) = None
    timezone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)] | None = None
    traits: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _changes_something(self) -> "CustomerPatch":
        if not self.model_fields_set:
            raise ValueError("nothing to change")
        return self


@customers.route("GET", "/customers", tag="customers")
async def get_customers(call: Call, query: CustomerQuery) -> CustomerPage:
    """List customers, the newest first."""
    before = read_cursor(query.cursor)[1] if query.cursor else None
    found = await call.state.store.read(
        list_customers,
        before,
        query.limit + 1,
        alias=query.alias,
        address=query.address,
        search=query.q,
    )
    more = len(found.rows) > query.limit
    del found.rows[query.limit :]
    return {
        "items": list(customers_json(found)),
        "next": write_cursor(found.rows[-1].id) if more else None,
    }


@customers.route("GET", "/customers/{customer_id}", tag="customers")
async def get_customer(call: Call, customer_id: Id) -> CustomerJson:
    """One customer. Of a merged one, the customer she lives on as."""
    return await _show(call, await _find(call, customer_id))


@customers.route("PATCH", "/customers/{customer_id}", tag="customers")
async def patch_customer(call: Call, customer_id: Id, body: CustomerPatch) -> CustomerJson:
    """Edit the profile."""
    values: dict[str, Any] = body.model_dump(exclude_unset=True)
    found = await _find(call, customer_id)
    await call.state.store.write(update_customer, found, values, call.state.clock.now())
    call.state.bus.poke("change")
    return await _show(call, found)


async def _find(call: Call, customer_id: bytes) -> bytes:
    found = await call.state.store.read(find_customer, customer_id)
    if found is None:
        raise unknown("customer")
    return found


async def _show(call: Call, customer_id: bytes) -> CustomerJson:
    found = await call.state.store.read(load_customers, [customer_id])
    for customer in customers_json(found):
        return customer
    raise unknown("customer")
