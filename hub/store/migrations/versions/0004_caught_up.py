"""How far each channel's messages are known to be here, for those that can be listed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for name in ("caught_up_to", "catching_until"):
        op.add_column("channels", sa.Column(name, sa.BigInteger(), nullable=True))
