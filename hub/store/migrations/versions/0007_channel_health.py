"""How a channel is: since when it is paused, when it was tried again, when its credentials end."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("channels", sa.Column("paused_code", sa.Text()))
    for name in ("paused_at", "resumed_at", "tried_at"):
        op.add_column("channels", sa.Column(name, sa.BigInteger()))
    op.add_column(
        "channels", sa.Column("trials", sa.BigInteger(), server_default="0", nullable=False)
    )
    for name in ("expires_at", "expiry_asked_at"):
        op.add_column("channels", sa.Column(name, sa.BigInteger()))
