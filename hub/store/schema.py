"""The tables, once, for every database.

Ids are UUIDv7 in 16 bytes, times integer microseconds UTC. `messages` is inbox, outbox and
transcript in one. Partial indexes test columns for NULL, which both databases can prove, or by the
very words that the queries use. Those of the hub itself are in `hub_tables`.
"""

import sqlalchemy as sa

from hub.store.columns import CurrentTransaction, FilePath, Json, Serial, partial_index
from hub.store.columns import count as _count
from hub.store.columns import id as _id
from hub.store.columns import metadata as metadata
from hub.store.columns import text as _text
from hub.store.columns import time as _time
from hub.store.hub_tables import dead_letters as dead_letters
from hub.store.hub_tables import early as early
from hub.store.hub_tables import hooks as hooks
from hub.store.hub_tables import idempotency as idempotency
from hub.store.hub_tables import spools as spools
from hub.store.hub_tables import templates as templates
from hub.store.hub_tables import tokens as tokens
from hub.store.hub_tables import visitors as visitors

channels = sa.Table(
    "channels",
    metadata,
    _id(),
    _text("kind"),
    _text("account"),
    _text("name"),
    _text("paused_reason", None),
    _time("created_at", null=False),
    _time("last_inbound_at"),
    _time("last_send_at"),
    # Where a provider can list its messages: all sent before the first are here; until the second
    # a process looks for those that are not, or asks for new ones.
    _time("caught_up_to"),
    _time("catching_until"),
    # Paused since when and by which code of the provider's; how often it was tried again, and when
    # last; when that ended the last pause.
    _text("paused_code", None),
    _time("paused_at"),
    _time("resumed_at"),
    _time("tried_at"),
    _count("trials"),
    # When the credentials end, as the provider said when it was last asked.
    _time("expires_at"),
    _time("expiry_asked_at"),
    sa.UniqueConstraint("kind", "account"),
)

customers = sa.Table(
    "customers",
    metadata,
    _id(),
    _text("kind", "person"),
    _text("name"),
    _text("language", None),
    _text("timezone", None),
    sa.Column("traits", Json),
    _id("merged_into", null=True),
    _time("created_at", null=False),
)

aliases = sa.Table(
    "aliases",
    metadata,
    _text("kind"),
    _text("value"),
    _id("customer_id"),
    _time("verified_at"),
    _time("created_at", null=False),
    sa.PrimaryKeyConstraint("kind", "value", "customer_id"),
)
partial_index(
    "uq_aliases_proven",
    aliases.c.verified_at.isnot(None),
    aliases.c.kind,
    aliases.c.value,
    unique=True,
)
sa.Index("ix_aliases_customer_id", aliases.c.customer_id)

addresses = sa.Table(
    "addresses",
    metadata,
    _id(),
    _id("channel_id"),
    _text("external_id"),
    _id("customer_id"),
    _id("conversation_id"),
    sa.Column("profile", Json),
    _time("last_seen_at"),
    _time("blocked_at"),
    _time("opted_out_at"),
    _text("opt_out_scope", None),
    _count("lease_token"),
    _count("lease_until"),
    _time("created_at", null=False),
    sa.UniqueConstraint("channel_id", "external_id"),
)
sa.Index("ix_addresses_customer_id", addresses.c.customer_id)
sa.Index("ix_addresses_conversation_id", addresses.c.conversation_id)

conversations = sa.Table(
    "conversations",
    metadata,
    _id(),
    _id("customer_id"),
    _text("status", "open"),
    _time("snoozed_until"),
    _text("owner_kind", "bot"),
    _id("owner_id", null=True),
    _text("owner_name", None),
    _count("owner_epoch"),
    _text("team", None),
    sa.Column("tags", Json),
    _count("unread"),
    _count("held"),
    _count("next_seq", 1),
    _id("last_message_id", null=True),
    _time("last_message_at"),
    _id("last_in_address_id", null=True),
    _id("case_id", null=True),
    _id("run_id", null=True),
    sa.Column("menu", Json),
    _id("merged_into", null=True),
    _count("lease_token"),
    _count("lease_until"),
    _count("claims"),
    _time("created_at", null=False),
    sa.UniqueConstraint("customer_id"),
)
sa.Index("ix_conversations_activity", conversations.c.last_message_at, conversations.c.id)
sa.Index(
    "ix_conversations_status_activity",
    conversations.c.status,
    conversations.c.last_message_at,
    conversations.c.id,
)
partial_index(
    "ix_conversations_snoozed",
    conversations.c.snoozed_until.isnot(None),
    conversations.c.snoozed_until,
)

# What agents look at. Conversations that a bot has are in none of them, so that no message of
# theirs pays for it. Where these are to be used, a query must say the same words.
BY_PEOPLE = conversations.c.owner_kind != sa.literal_column("'bot'")
_activity = (conversations.c.last_message_at, conversations.c.id)
partial_index("ix_conversations_people", BY_PEOPLE, conversations.c.owner_kind, *_activity)
partial_index(
    "ix_conversations_owner_id",
    conversations.c.owner_id.isnot(None),
    conversations.c.owner_id,
    *_activity,
)
partial_index(
    "ix_conversations_team", conversations.c.team.isnot(None), conversations.c.team, *_activity
)
partial_index("ix_conversations_tagged", conversations.c.tags.isnot(None), *_activity)

cases = sa.Table(
    "cases",
    metadata,
    _id(),
    _id("conversation_id"),
    _time("opened_at", null=False),
    _time("first_response_at"),
    _time("resolved_at"),
    _text("resolved_reason", None),
)
sa.Index("ix_cases_conversation_id", cases.c.conversation_id, cases.c.opened_at)

messages = sa.Table(
    "messages",
    metadata,
    _id(),
    _id("conversation_id"),
    sa.Column("seq", sa.BigInteger, nullable=False),
    _time("position", null=False),
    _text("direction"),
    _id("channel_id", null=True),
    _id("address_id", null=True),
    _text("author_kind"),
    _id("author_id", null=True),
    _text("author_name", None),
    _text("kind", "text"),
    _text("text"),
    sa.Column("content", Json),
    sa.Column("reply_to", Json),
    sa.Column("referral", Json),
    sa.Column("reactions", Json),
    sa.Column("raw", Json),
    _text("external_id", None),
    _text("dedupe_key", None),
    _text("client_id", None),
    _id("part_group", null=True),
    sa.Column("part_index", sa.Integer),
    sa.Column("part_count", sa.Integer),
    _text("state", None),
    # The outbox: 0 an attempt was made, 1 a reply, 2 a push; NULL once in a final state.
    sa.Column("lane", sa.SmallInteger),
    _count("attempt"),
    _count("unknowns"),
    _time("due_at"),
    _time("sending_at"),
    _time("expires_at"),
    _count("owner_epoch"),
    _text("error_class", None),
    _text("error_code", None),
    _text("error_reason", None),
    _id("run_id", null=True),
    _time("handled_at"),
    _time("edited_at"),
    _time("deleted_at"),
    _time("sent_at"),
    _time("created_at", null=False),
    sa.UniqueConstraint("conversation_id", "seq"),
    sa.UniqueConstraint("channel_id", "direction", "dedupe_key"),
)
sa.Index("ix_messages_position", messages.c.conversation_id, messages.c.position, messages.c.id)
partial_index(
    "ix_messages_external",
    messages.c.external_id.isnot(None),
    messages.c.channel_id,
    messages.c.external_id,
)
partial_index(
    "ix_messages_unhandled",
    messages.c.handled_at.is_(None),
    messages.c.conversation_id,
    messages.c.seq,
)
partial_index(
    "ix_messages_outbox",
    messages.c.lane.isnot(None),
    messages.c.address_id,
    messages.c.lane,
    messages.c.seq,
)
partial_index("ix_messages_due", messages.c.lane.isnot(None), messages.c.due_at)
HELD = messages.c.state == sa.literal_column("'held'")
partial_index("ix_messages_held", HELD, messages.c.conversation_id, messages.c.seq)
partial_index("ix_messages_failed", messages.c.error_class.isnot(None), messages.c.id)

receipts = sa.Table(
    "receipts",
    metadata,
    _id("channel_id"),
    _text("external_id"),
    _text("status"),
    _text("code"),
    _id("message_id", null=True),
    _text("error_class", None),
    _text("reason", None),
    _time("at", null=False),
    _time("created_at", null=False),
    sa.PrimaryKeyConstraint("channel_id", "external_id", "status", "code"),
)
sa.Index("ix_receipts_message_id", receipts.c.message_id)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    _id("conversation_id"),
    _text("kind"),
    _id("message_id", null=True),
    _time("at", null=False),
    sa.Column("tx", sa.BigInteger, nullable=False, server_default=CurrentTransaction()),
    sqlite_autoincrement=True,
)
sa.Index("ix_changes_tx_id", changes.c.tx, changes.c.id).ddl_if(dialect="postgresql")
media = sa.Table(
    "media",
    metadata,
    _id(),
    _id("message_id"),
    sa.Column("item", sa.Integer, nullable=False),
    _id("channel_id"),
    sa.Column("media", Json, nullable=False),
    _text("state", "pending"),
    _count("attempt"),
    _time("due_at"),
    _time("created_at", null=False),
    sa.UniqueConstraint("message_id", "item"),
)
partial_index("ix_media_due", media.c.due_at.isnot(None), media.c.due_at)
MEDIA_PATH = FilePath(media.c.media)
sa.Index("ix_media_path", MEDIA_PATH)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    _id("conversation_id"),
    _text("dialog"),
    sa.Column("version", sa.Integer, nullable=False),
    _text("state"),
    sa.Column("step", sa.Integer, nullable=False, server_default="0"),
    _id("opening_message_id"),
    _id("address_id"),
    sa.Column("start", Json),
    sa.Column("waiting", Json),
    _text("reason", None),
    _time("created_at", null=False),
    _time("updated_at", null=False),
)
sa.Index("ix_runs_conversation_id", runs.c.conversation_id)

journal = sa.Table(
    "journal",
    metadata,
    _id("run_id"),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("entries", Json, nullable=False),
    sa.PrimaryKeyConstraint("run_id", "step"),
)

timers = sa.Table(
    "timers",
    metadata,
    _id(),
    _id("conversation_id"),
    _id("run_id"),
    sa.Column("step", sa.Integer, nullable=False),
    _text("kind", "timeout"),
    _time("due_at", null=False),
)
sa.Index("ix_timers_due_at", timers.c.due_at)
sa.Index("ix_timers_conversation_id", timers.c.conversation_id)
