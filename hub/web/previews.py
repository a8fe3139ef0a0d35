"""A reply before it is sent, as JSON."""

from typing import Literal

from typing_extensions import TypedDict

from hub.desk.draft import Change, Chosen, Draft
from hub.message import Kind, MediaKind, Message
from hub.segments import Segments
from hub.web.shapes import ButtonJson
from hub.web.views import buttons_json, time_text


class WindowJson(TypedDict):
    """Whether a free message may go now, and until when; null: for ever, or never yet."""

    open: bool
    closes_at: str | None


class SegmentsJson(TypedDict):
    """`count` SMS for `units` characters as the `encoding` counts them, up to `per_part` each."""

    encoding: Literal["GSM-7", "UCS-2"]
    count: int
    units: int
    per_part: int


class PreviewMediaJson(TypedDict):
    kind: MediaKind
    name: str
    mime: str
    size: int | None


class PreviewPartJson(TypedDict):
    """One message of the provider's. `segments` only where the channel is billed by SMS."""

    kind: Kind
    text: str
    media: list[PreviewMediaJson]
    buttons: list[ButtonJson]
    segments: SegmentsJson | None


class PreviewJson(TypedDict):
    """`chosen` as a sent message has it; `segments` is the number of SMS in all; `changes` are
    what is shown in another form than it was given."""

    channel: str
    kind: str
    chosen: Chosen
    window: WindowJson
    parts: list[PreviewPartJson]
    segments: int | None
    changes: list[Change]


def preview_json(draft: Draft) -> PreviewJson:
    channel, counted = draft.way.channel, draft.segments()
    return {
        "channel": channel.name,
        "kind": channel.kind,
        "chosen": draft.chosen,
        "window": {"open": draft.is_open, "closes_at": time_text(draft.closes_at)},
        "parts": [
            _part(part, counted[place] if counted else None)
            for place, part in enumerate(draft.parts)
        ],
        "segments": sum(one.count for one in counted) if counted is not None else None,
        "changes": draft.changes(),
    }


def _part(part: Message, counted: Segments | None) -> PreviewPartJson:
    return {
        "kind": part.kind,
        "text": part.text,
        "media": [
            {"kind": item.kind, "name": item.name, "mime": item.mime, "size": item.size}
            for item in part.media
        ],
        "buttons": buttons_json(
            {"buttons": [button.model_dump(mode="json") for button in part.buttons]}
        ),
        "segments": None
        if counted is None
        else {
            "encoding": counted.encoding,
            "count": counted.count,
            "units": counted.units,
            "per_part": counted.per_part,
        },
    }
