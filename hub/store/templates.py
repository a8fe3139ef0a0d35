"""What providers know of the templates: their approval and quality, as last told."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.connector import ListedTemplate
from hub.store.schema import templates
from hub.store.sql import insert_new


class TemplateRow(NamedTuple):
    channel_id: bytes
    name: str
    language: str
    status: str
    quality: str
    category: str
    body: str
    synced_at: Micros


def keep_templates(
    conn: sa.Connection, channel_id: bytes, listed: Sequence[ListedTemplate], at: Micros
) -> None:
    """What a provider has listed takes the place of what was known of this channel."""
    conn.execute(templates.delete().where(templates.c.channel_id == channel_id))
    rows = {(one.name, one.language): asdict(one) for one in listed}
    if rows:
        about = {"channel_id": channel_id, "synced_at": at}
        # Two processes may list at once: the later one's words are as good.
        conn.execute(insert_new(conn, templates), [row | about for row in rows.values()])


def load_templates(conn: sa.Connection, channel_ids: Collection[bytes]) -> list[TemplateRow]:
    """What is known of these channels, by name and language."""
    columns = [templates.c[name] for name in TemplateRow._fields]
    query = sa.select(*columns).where(templates.c.channel_id.in_(channel_ids))
    order = (templates.c.name, templates.c.language, templates.c.channel_id)
    return [TemplateRow._make(row) for row in conn.execute(query.order_by(*order))]


def last_synced(conn: sa.Connection, channel_id: bytes) -> Micros:
    """When the channel's templates were last listed; 0 for never, or while it has none."""
    newest = sa.select(sa.func.max(templates.c.synced_at))
    return conn.execute(newest.where(templates.c.channel_id == channel_id)).scalar() or 0


def change_template(
    conn: sa.Connection, channel_id: bytes, name: str, language: str, news: dict[str, str]
) -> None:
    """What a provider told of one template; one that it did not list yet comes with the list."""
    key = (
        templates.c.channel_id == channel_id,
        templates.c.name == name,
        templates.c.language == language,
    )
    if told := {field: value for field, value in news.items() if value}:
        conn.execute(templates.update().where(*key).values(told))
