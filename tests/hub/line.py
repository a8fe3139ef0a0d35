"""The store without the hub around it: sends begun, answered and receipted by hand."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.clock import new_id
from hub.errors import SendFailed
from hub.message import Inbound, Kind, Message, Receipt, ReceiptError, ReceiptStatus, Sent
from hub.outreach.gate import make_gate
from hub.signal import Signal
from hub.store import Store, migrate_database, open_store, replies
from hub.store.accept import Acceptance, Arrival, StoredMessage, accept
from hub.store.accounts import enrol
from hub.store.rows import inbound_row, outbound_rows
from hub.store.schema import addresses, messages
from hub.store.sends import Attempt, SendClaim, begin
from hub.store.settle import Settlement, settle
from tests.databases import url_of

AT = 1_795_000_000_000_000
ERROR = ReceiptError("131026", "no_such_recipient", "not on WhatsApp")


class Line:
    """A store with one channel, on which sends are begun, answered and receipted by hand."""

    def __init__(self, store: Store, channel_id: bytes) -> None:
        self.store = store
        self.channel_id = channel_id

    def arrival(
        self,
        sender: str,
        text: str = "hi",
        *,
        channel_id: bytes | None = None,
        may_join: bool = True,
        **more: Any,
    ) -> Arrival:
        """A message on its way in; `more` are fields of `Inbound`."""
        key, own = new_id().hex(), channel_id or self.channel_id
        inbound = Inbound("1", sender, key, key, Message(text=text), AT, **more)
        row = inbound_row(inbound.message, channel_id=own, at=AT, sent_at=AT)
        row |= {"external_id": key, "dedupe_key": key}
        return Arrival.of(own, inbound, row, may_join=may_join)

    async def accept(self, *arrivals: Arrival, at: int = AT) -> list[StoredMessage]:
        done = await self.store.each(accept, Acceptance(at, arrivals=list(arrivals)))
        return done.stored

    async def signal(self, *signals: Signal, at: int = AT) -> None:
        heard = [(self.channel_id, signal) for signal in signals]
        await self.store.each(accept, Acceptance(at, signals=heard))

    async def begin_send(self, parts: int = 1, kind: Kind = "text") -> Attempt:
        """A new customer wrote and is answered: the answer's first part is being sent."""
        sender = new_id().hex()
        [stored] = await self.accept(self.arrival(sender))
        conversation_id = stored.conversation_id
        [address] = await self.rows(addresses.c.external_id == sender, table=addresses)
        rows = outbound_rows(
            [Message(text=f"part {number}", kind=kind) for number in range(parts)],
            channel_id=self.channel_id,
            address_id=address["id"],
            at=AT,
            expires_at=AT * 2,
            author_kind="agent",
        )
        await self.store.write(
            replies.add, conversation_id, rows, client_id=None, takes_over=(None, "test"), at=AT
        )
        attempt = await self.begin(rows[0]["address_id"])
        assert isinstance(attempt, Attempt)
        return attempt

    async def begin(self, address_id: bytes, at: int = AT, resend: bytes | None = None) -> Any:
        claim = SendClaim(address_id, at, 60_000_000, 60_000_000, make_gate({}), resend=resend)
        return await self.store.each(begin, claim)

    async def answer(self, attempt: Attempt, outcome: Sent | SendFailed, at: int = AT) -> None:
        row, retry_at = attempt.row, None
        if isinstance(outcome, SendFailed) and not outcome.final:
            retry_at = AT + 60_000_000
        item = Settlement(row["address_id"], attempt.token, row["id"], outcome, at, retry_at)
        await self.store.each(settle, item)

    async def receipt(
        self, status: ReceiptStatus, external_id: str, correlation_id: str = ""
    ) -> None:
        error = ERROR if status == "failed" else None
        heard = Receipt("1", external_id, status, AT, correlation_id, error)
        await self.store.each(accept, Acceptance(AT, receipts=[(self.channel_id, heard)]))

    async def row(self, attempt: Attempt) -> dict[str, Any]:
        return (await self.rows(messages.c.id == attempt.row["id"]))[0]

    async def rows(self, *where: Any, table: sa.Table = messages) -> list[dict[str, Any]]:
        def read(conn: sa.Connection) -> list[dict[str, Any]]:
            order = [messages.c.seq] if table is messages else [*table.primary_key]
            query = sa.select(table).where(*where).order_by(*order)
            return [dict(row) for row in conn.execute(query).mappings()]

        return await self.store.read(read)


@contextlib.asynccontextmanager
async def open_line(folder: Path) -> AsyncIterator[Line]:
    url = url_of(folder)
    await migrate_database(url)
    store = open_store(url)
    try:
        [channel] = await store.write(enrol, [("whatsapp", "1", "wa")], AT)
        yield Line(store, channel["id"])
    finally:
        await store.close()
