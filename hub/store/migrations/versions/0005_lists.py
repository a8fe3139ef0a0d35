"""Indexes for the lists of conversations that agents look at.

Each holds the conversations it is about alone: those that a bot has, which are most and change with
each message, are in none of them. Building them reads one table once; meanwhile nobody writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name, columns, condition in (
        ("ix_conversations_people", ["owner_kind"], "owner_kind != 'bot'"),
        ("ix_conversations_owner_id", ["owner_id"], "owner_id IS NOT NULL"),
        ("ix_conversations_team", ["team"], "team IS NOT NULL"),
        ("ix_conversations_tagged", [], "tags IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(
            name,
            "conversations",
            [*columns, "last_message_at", "id"],
            sqlite_where=where,
            postgresql_where=where,
        )
