"""The rows of channels: found by (kind, account), whatever the settings call them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.pauses import resume
from hub.store.schema import channels

Row = dict[str, Any]


def enrol(conn: sa.Connection, wanted: Sequence[tuple[str, str, str]], at: Micros) -> list[Row]:
    """The row of each (kind, account, name), created where it is new, renamed where the
    settings call it otherwise. Starting again ends a pause: the settings may be mended."""
    rows: list[Row] = []
    for kind, account, name in wanted:
        same = (channels.c.kind == kind, channels.c.account == account)
        found = conn.execute(sa.select(channels).where(*same).with_for_update()).mappings().first()
        if found is None:
            row = {"id": new_id(), "kind": kind, "account": account, "name": name}
            conn.execute(channels.insert().values(**row, created_at=at))
            rows.append({**row, "paused_reason": None})
        else:
            if found["name"] != name:
                conn.execute(channels.update().where(*same).values(name=name))
            resume(conn, found["id"], at, forget=True)
            rows.append({**found, "name": name, "paused_reason": None})
    return rows
