"""Providers' templates, and messages that wait until the customer writes."""

import sqlalchemy as sa
from alembic import op

from hub.store.columns import Json

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("channel_id", sa.LargeBinary(16), nullable=False),
        *(
            sa.Column(name, sa.Text(), server_default="", nullable=False)
            for name in ("name", "language", "status", "quality", "category", "body")
        ),
        sa.Column("components", Json),
        sa.Column("synced_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "name", "language", name=op.f("pk_templates")),
    )
    op.add_column(
        "conversations", sa.Column("held", sa.BigInteger(), server_default="0", nullable=False)
    )
    where = sa.text("state = 'held'")
    op.create_index(
        "ix_messages_held",
        "messages",
        ["conversation_id", "seq"],
        sqlite_where=where,
        postgresql_where=where,
    )
