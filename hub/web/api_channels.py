"""The configured channels over REST, with what each can carry, for whoever writes an answer."""

from typing_extensions import TypedDict

from hub.channels import Channel
from hub.store.channels import ChannelRow, load_channels
from hub.web.route import Api, Call
from hub.web.shapes import TimeText
from hub.web.views import time_text

channels = Api()


class LimitsJson(TypedDict):
    """Lengths are in `text_unit`s; `window` is seconds after the customer's last message in
    which free text may be sent, null for always; `media` maps a kind to bytes."""

    text: int
    text_unit: str
    buttons: int
    button_title: int
    list_rows: int
    window: float | None
    media: dict[str, int]
    quotes: bool
    templates: bool


class ChannelJson(TypedDict):
    name: str
    kind: str
    account: str
    paused: str | None
    limits: LimitsJson
    last_inbound_at: TimeText | None
    last_send_at: TimeText | None


class ChannelList(TypedDict):
    items: list[ChannelJson]
    next: str | None


@channels.route("GET", "/channels", tag="channels")
async def get_channels(call: Call) -> ChannelList:
    """List the configured channels."""
    configured = call.state.channels.all
    rows = await call.state.store.read(load_channels, [channel.id for channel in configured])
    return {"items": [_channel_json(one, rows.get(one.id)) for one in configured], "next": None}


def _channel_json(channel: Channel, row: ChannelRow | None) -> ChannelJson:
    limits = channel.limits
    return {
        "name": channel.name,
        "kind": channel.kind,
        "account": channel.account,
        "paused": channel.paused or (row.paused_reason if row else None),
        "limits": {
            "text": limits.text,
            "text_unit": limits.text_unit,
            "buttons": limits.buttons,
            "button_title": limits.button_title,
            "list_rows": limits.list_rows,
            "window": limits.window,
            "media": {str(kind): size for kind, size in limits.media.items()},
            "quotes": limits.quotes,
            "templates": limits.templates,
        },
        "last_inbound_at": time_text(row.last_inbound_at if row else None),
        "last_send_at": time_text(row.last_send_at if row else None),
    }
