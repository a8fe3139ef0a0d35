"""The configured channels over REST: how each is, and what it can carry for whoever writes an
answer."""

from typing_extensions import TypedDict

from hub.channels import Channel
from hub.pauses import remedy
from hub.store.channels import ChannelRow, Traffic, load_channels, load_traffic
from hub.web.problem import unknown
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


class PauseJson(TypedDict):
    """Why and since when nothing is sent, the provider's code, what to do about it in words, and
    how often and when last it was tried again."""

    reason: str
    code: str
    since: TimeText | None
    remedy: str
    trials: int
    tried_at: TimeText | None


class ChannelJson(TypedDict):
    """`paused` is the pause's reason. `waiting`: messages to be sent, at most 10000 of all
    channels together. `error_rate`: of the last hour's messages that were tried (the last 10000
    of all channels), the share that the provider has not accepted; null where none was.
    `poll_error`: why asking the provider for messages failed last. `credentials_expire_at` is null
    where they never end or the provider does not tell."""

    name: str
    kind: str
    account: str
    hook_url: str
    paused: str | None
    pause: PauseJson | None
    limits: LimitsJson
    last_inbound_at: TimeText | None
    last_send_at: TimeText | None
    waiting: int
    error_rate: float | None
    poll_error: str
    credentials_expire_at: TimeText | None


class ChannelList(TypedDict):
    items: list[ChannelJson]
    next: str | None


@channels.route("GET", "/channels", tag="channels")
async def get_channels(call: Call) -> ChannelList:
    """List the configured channels, with how each is."""
    return {"items": await _show(call, call.state.channels.all), "next": None}


@channels.route("POST", "/channels/{name}/resume", tag="channels", role="admin")
async def resume_channel(call: Call, name: str) -> ChannelJson:
    """End the channel's pause at once, as its credentials were mended: what waits goes out in
    order. If they were not, the first message pauses it again. Nothing changes where it is not
    paused."""
    channel = call.state.channels.by_name.get(name)
    if channel is None:
        raise unknown("channel")
    await call.state.pauses.resume(channel, forget=True)
    [shown] = await _show(call, [channel])
    return shown


async def _show(call: Call, wanted: list[Channel]) -> list[ChannelJson]:
    store = call.state.store
    rows = await store.read(load_channels, [channel.id for channel in wanted])
    traffic = await store.read(load_traffic)
    return [
        _channel_json(one, rows[one.id], traffic.get(one.id, Traffic()))
        for one in wanted
        if one.id in rows
    ]


def _channel_json(channel: Channel, row: ChannelRow, traffic: Traffic) -> ChannelJson:
    limits = channel.limits
    inbound = max(filter(None, (row.last_inbound_at, channel.inbound_at)), default=None)
    sent = max(filter(None, (row.last_send_at, channel.sent_at)), default=None)
    return {
        "name": channel.name,
        "kind": channel.kind,
        "account": channel.account,
        "hook_url": channel.connector.channel.hook_url,
        "paused": row.paused_reason,
        "pause": _pause_json(channel, row),
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
        "last_inbound_at": time_text(inbound),
        "last_send_at": time_text(sent),
        "waiting": traffic.waiting,
        "error_rate": traffic.error_rate,
        "poll_error": channel.poll_error,
        "credentials_expire_at": time_text(row.expires_at),
    }


def _pause_json(channel: Channel, row: ChannelRow) -> PauseJson | None:
    if row.paused_reason is None:
        return None
    return {
        "reason": row.paused_reason,
        "code": row.paused_code or "",
        "since": time_text(row.paused_at),
        "remedy": remedy(channel.name, channel.kind),
        "trials": row.trials,
        "tried_at": time_text(row.tried_at),
    }
