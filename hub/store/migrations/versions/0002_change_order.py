"""The order in which changes become visible, for databases that many write."""

import sqlalchemy as sa
from alembic import op

from hub.store.columns import CurrentTransaction

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    order = sa.Column("tx", sa.BigInteger, nullable=False, server_default=CurrentTransaction())
    op.add_column("changes", order)
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_changes_tx_id", "changes", ["tx", "id"])
