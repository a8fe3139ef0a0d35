"""Which processes have a spool; see hub/store/spools.py."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "spools",
        sa.Column("process", sa.Text(), server_default="", nullable=False),
        sa.Column("stored_to", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_spools")),
    )
