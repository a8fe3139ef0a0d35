"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "addresses",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("channel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("customer_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("profile", Json, nullable=True),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("blocked_at", sa.BigInteger(), nullable=True),
        sa.Column("opted_out_at", sa.BigInteger(), nullable=True),
        sa.Column("opt_out_scope", sa.Text(), nullable=True),
        sa.Column("lease_token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
        sa.UniqueConstraint(
            "channel_id", "external_id", name=op.f("uq_addresses_channel_id_external_id")
        ),
    )
    op.create_index("ix_addresses_conversation_id", "addresses", ["conversation_id"], unique=False)
    op.create_index("ix_addresses_customer_id", "addresses", ["customer_id"], unique=False)
    op.create_table(
        "aliases",
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.Column("customer_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "customer_id", name=op.f("pk_aliases")),
    )
    op.create_index("ix_aliases_customer_id", "aliases", ["customer_id"], unique=False)
    op.create_index(
        "uq_aliases_proven",
        "aliases",
        ["kind", "value"],
        unique=True,
        sqlite_where=sa.text("verified_at IS NOT NULL"),
        postgresql_where=sa.text("verified_at IS NOT NULL"),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("first_response_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
    )
    op.create_index(
        "ix_cases_conversation_id", "cases", ["conversation_id", "opened_at"], unique=False
    )
    op.create_table(
        "changes",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("account", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_inbound_at", sa.BigInteger(), nullable=True),
        sa.Column("last_send_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("kind", "account", name=op.f("uq_channels_kind_account")),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("customer_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("snoozed_until", sa.BigInteger(), nullable=True),
        sa.Column("owner_kind", sa.Text(), server_default="bot", nullable=False),
        sa.Column("owner_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("owner_name", sa.Text(), nullable=True),
        sa.Column("owner_epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("tags", Json, nullable=True),
        sa.Column("unread", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_seq", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("last_message_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("last_message_at", sa.BigInteger(), nullable=True),
        sa.Column("last_in_address_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("case_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("menu", Json, nullable=True),
        sa.Column("merged_into", sa.LargeBinary(length=16), nullable=True),
        sa.Column("lease_token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claims", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_conversations_customer_id")),
    )
    op.create_index(
        "ix_conversations_activity", "conversations", ["last_message_at", "id"], unique=False
    )
    op.create_index(
        "ix_conversations_snoozed",
        "conversations",
        ["snoozed_until"],
        unique=False,
        sqlite_where=sa.text("snoozed_until IS NOT NULL"),
        postgresql_where=sa.text("snoozed_until IS NOT NULL"),
    )
    op.create_index(
        "ix_conversations_status_activity",
        "conversations",
        ["status", "last_message_at", "id"],
        unique=False,
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), server_default="person", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("traits", Json, nullable=True),
        sa.Column("merged_into", sa.LargeBinary(length=16), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("reference", sa.LargeBinary(length=16), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("raw", Json, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index("ix_dead_letters_created_at", "dead_letters", ["created_at"], unique=False)
    op.create_table(
        "hooks",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("channel", sa.Text(), server_default="", nullable=False),
        sa.Column("method", sa.Text(), server_default="", nullable=False),
        sa.Column("query", sa.Text(), server_default="", nullable=False),
        sa.Column("content_type", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hooks")),
    )
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "journal",
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("entries", Json, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "step", name=op.f("pk_journal")),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("media", Json, nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("message_id", "item", name=op.f("uq_media_message_id_item")),
    )
    op.create_index(
        "ix_media_due",
        "media",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), server_default="", nullable=False),
        sa.Column("channel_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("address_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("author_kind", sa.Text(), server_default="", nullable=False),
        sa.Column("author_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("author_name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="text", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("content", Json, nullable=True),
        sa.Column("reply_to", Json, nullable=True),
        sa.Column("referral", Json, nullable=True),
        sa.Column("reactions", Json, nullable=True),
        sa.Column("raw", Json, nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("part_group", sa.LargeBinary(length=16), nullable=True),
        sa.Column("part_index", sa.Integer(), nullable=True),
        sa.Column("part_count", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("lane", sa.SmallInteger(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unknowns", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("sending_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("owner_epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.Column("edited_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint(
            "channel_id",
            "direction",
            "dedupe_key",
            name=op.f("uq_messages_channel_id_direction_dedupe_key"),
        ),
        sa.UniqueConstraint("conversation_id", "seq", name=op.f("uq_messages_conversation_id_seq")),
    )
    op.create_index(
        "ix_messages_due",
        "messages",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("lane IS NOT NULL"),
        postgresql_where=sa.text("lane IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_external",
        "messages",
        ["channel_id", "external_id"],
        unique=False,
        sqlite_where=sa.text("external_id IS NOT NULL"),
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_outbox",
        "messages",
        ["address_id", "lane", "seq"],
        unique=False,
        sqlite_where=sa.text("lane IS NOT NULL"),
        postgresql_where=sa.text("lane IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_position", "messages", ["conversation_id", "position", "id"], unique=False
    )
    op.create_index(
        "ix_messages_unhandled",
        "messages",
        ["conversation_id", "seq"],
        unique=False,
        sqlite_where=sa.text("handled_at IS NULL"),
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.create_table(
        "receipts",
        sa.Column("channel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel_id", "external_id", "status", "code", name=op.f("pk_receipts")
        ),
    )
    op.create_index("ix_receipts_message_id", "receipts", ["message_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("dialog", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="", nullable=False),
        sa.Column("step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opening_message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("address_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("start", Json, nullable=True),
        sa.Column("waiting", Json, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_conversation_id", "runs", ["conversation_id"], unique=False)
    op.create_table(
        "timers",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="timeout", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timers")),
    )
    op.create_index("ix_timers_conversation_id", "timers", ["conversation_id"], unique=False)
    op.create_index("ix_timers_due_at", "timers", ["due_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("role", sa.Text(), server_default="", nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
    )
    op.create_table(
        "visitors",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("channel_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("origin", sa.Text(), server_default="", nullable=False),
        sa.Column("context", Json, nullable=True),
        sa.Column("read_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visitors")),
        sa.UniqueConstraint("hash", name=op.f("uq_visitors_hash")),
    )
    op.create_index(
        "ix_visitors_channel_external", "visitors", ["channel_id", "external_id"], unique=False
    )
