"""The tables of the hub itself: kept hooks, dead letters, who may call, what providers know."""

import sqlalchemy as sa

from hub.store.columns import Json, metadata, partial_index
from hub.store.columns import count as _count
from hub.store.columns import id as _id
from hub.store.columns import text as _text
from hub.store.columns import time as _time

hooks = sa.Table(
    "hooks",
    metadata,
    _id(),
    _text("channel"),
    _text("method"),
    _text("query"),
    _text("content_type"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    _time("received_at", null=False),
    _text("signature"),  # the header lines that signed it, for another look at whose it is
)
dead_letters = sa.Table(
    "dead_letters",
    metadata,
    _id(),
    _text("kind"),
    _id("reference", null=True),
    _text("channel", None),
    _text("reason"),
    sa.Column("raw", Json),
    _time("created_at", null=False),
    _time("resolved_at"),
    _count("attempt"),
    _time("due_at"),  # somebody asked to try it again
)
sa.Index("ix_dead_letters_created_at", dead_letters.c.created_at)
sa.Index("ix_dead_letters_reference", dead_letters.c.reference)
partial_index("ix_dead_letters_due", dead_letters.c.due_at.isnot(None), dead_letters.c.due_at)

early = sa.Table(
    "early",
    metadata,
    _id("channel_id"),
    _text("external_id"),
    _text("kind"),
    sa.Column("signal", Json, nullable=False),
    _time("signal_at", null=False),
    _time("created_at", null=False),
    sa.PrimaryKeyConstraint("channel_id", "external_id", "kind"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    _text("scope"),
    _text("key"),
    _text("fingerprint"),
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.LargeBinary),
    _time("created_at", null=False),
    sa.PrimaryKeyConstraint("scope", "key"),
)
sa.Index("ix_idempotency_created_at", idempotency.c.created_at)

spools = sa.Table(
    "spools",
    metadata,
    _text("process"),
    _time("stored_to", null=False),
    _time("heard_at", null=False),
    sa.PrimaryKeyConstraint("process"),
)

# What a provider knows of the templates, as it was last told; ours are files.
templates = sa.Table(
    "templates",
    metadata,
    _id("channel_id"),
    _text("name"),
    _text("language"),
    _text("status"),
    _text("quality"),
    _text("category"),
    _text("body"),
    sa.Column("components", Json),
    _time("synced_at", null=False),
    sa.PrimaryKeyConstraint("channel_id", "name", "language"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    _id(),
    _text("name"),
    _text("role"),
    sa.Column("hash", sa.LargeBinary(32), nullable=False, unique=True),
    _time("created_at", null=False),
    _time("revoked_at"),
)

visitors = sa.Table(
    "visitors",
    metadata,
    _id(),
    _id("channel_id"),
    _text("external_id"),
    sa.Column("hash", sa.LargeBinary(32), nullable=False, unique=True),
    _text("origin"),
    sa.Column("context", Json),
    _count("read_seq"),
    _time("created_at", null=False),
    _time("expires_at", null=False),
)
sa.Index("ix_visitors_channel_external", visitors.c.channel_id, visitors.c.external_id)
