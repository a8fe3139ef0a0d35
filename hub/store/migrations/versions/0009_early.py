"""Edits, unsends and reactions that come before their message; see hub/store/edits.py."""

import sqlalchemy as sa
from alembic import op

from hub.store.columns import Json

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "early",
        sa.Column("channel_id", sa.LargeBinary(16), nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("signal", Json, nullable=False),
        sa.Column("signal_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "external_id", "kind", name=op.f("pk_early")),
    )
