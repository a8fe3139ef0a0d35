"""What dead letters need in order to be tried again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    signature = sa.Column("signature", sa.Text(), server_default="", nullable=False)
    op.add_column("hooks", signature)
    attempt = sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False)
    op.add_column("dead_letters", attempt)
    op.add_column("dead_letters", sa.Column("due_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_dead_letters_reference", "dead_letters", ["reference"])
    for name, table, column, condition in (
        ("ix_dead_letters_due", "dead_letters", "due_at", "due_at IS NOT NULL"),
        ("ix_messages_failed", "messages", "id", "error_class IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
