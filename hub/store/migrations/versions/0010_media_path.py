"""An index of the files that attachments have, asked before one is erased.

Building it reads one table once; meanwhile nobody writes it. A process of the release before goes
on as it was: the database keeps the index by itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    path = "(media ->> 'path')" if on_postgres else "json_extract(media, '$.path')"
    op.create_index("ix_media_path", "media", [sa.text(path)])
