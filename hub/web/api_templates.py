"""Templates over REST: those of the hub's folder, and what providers think of them."""

from typing import Literal

from pydantic import JsonValue
from typing_extensions import TypedDict

from hub.channels import Channel
from hub.store.templates import TemplateRow, load_templates
from hub.templates import Standing, Template, standings
from hub.web.route import Api, Call
from hub.web.shapes import TimeText
from hub.web.views import time_text

templates = Api()


class VariableJson(TypedDict):
    name: str
    sample: JsonValue


class WordingJson(TypedDict):
    """`preview` is the text with the samples put in."""

    language: str
    text: str
    preview: str


class ApprovalJson(TypedDict):
    """A template at a channel's provider. `status` is the provider's word ("approved", "pending",
    "rejected", "paused"), "missing" where it has none of that name, "unknown" before it was asked.
    `language` is ours, null for one that is in no file of ours."""

    channel: str
    language: str | None
    provider_name: str
    provider_language: str
    status: str
    quality: str
    category: str
    synced_at: TimeText | None


class TemplateJson(TypedDict):
    """`source`: one of the hub's folder, or one that only a provider has."""

    name: str
    source: Literal["file", "provider"]
    default_language: str
    category: str
    variables: list[VariableJson]
    languages: list[WordingJson]
    approvals: list[ApprovalJson]


class TemplateList(TypedDict):
    """`problems` says what of the files could not be used."""

    items: list[TemplateJson]
    next: str | None
    problems: list[str]


@templates.route("GET", "/templates", tag="templates")
async def get_templates(call: Call) -> TemplateList:
    """List the templates by name, with their approval and quality at each provider."""
    able = [channel for channel in call.state.channels.all if channel.limits.templates]
    known = await call.state.store.read(load_templates, [channel.id for channel in able])
    found = call.state.templates
    items: list[TemplateJson] = []
    ours: set[tuple[bytes, str, str]] = set()
    for template in found.by_name.values():
        approvals = []
        for channel in able:
            rows = [row for row in known if row.channel_id == channel.id]
            for one in standings(template, channel.name, channel.kind, rows):
                ours.add((channel.id, one.provider_name, one.provider_language))
                approvals.append(_approval(channel, one, rows))
        items.append(_template(template, approvals))
    items += _of_providers(
        [r for r in known if (r.channel_id, r.name, r.language) not in ours], able
    )
    items.sort(key=lambda item: item["name"])
    return {"items": items, "next": None, "problems": list(found.problems)}


def _template(template: Template, approvals: list[ApprovalJson]) -> TemplateJson:
    return {
        "name": template.name,
        "source": "file",
        "default_language": template.default,
        "category": template.category,
        "variables": [
            {"name": name, "sample": sample if isinstance(sample, str) else dict(sample)}
            for name, sample in template.variables.items()
        ],
        "languages": [
            {"language": one, "text": wording.text, "preview": template.preview(one)}
            for one, wording in template.languages.items()
        ],
        "approvals": approvals,
    }


def _approval(channel: Channel, one: Standing, rows: list[TemplateRow]) -> ApprovalJson:
    return {
        "channel": channel.name,
        "language": one.language,
        "provider_name": one.provider_name,
        "provider_language": one.provider_language,
        "status": one.status,
        "quality": one.quality,
        "category": one.category,
        "synced_at": time_text(max((row.synced_at for row in rows), default=None)),
    }


def _of_providers(rows: list[TemplateRow], able: list[Channel]) -> list[TemplateJson]:
    """What providers have and no file of ours, one item a name."""
    names = {channel.id: channel.name for channel in able}
    items: dict[str, TemplateJson] = {}
    for row in rows:
        item = items.setdefault(
            row.name,
            {
                "name": row.name,
                "source": "provider",
                "default_language": row.language,
                "category": row.category,
                "variables": [],
                "languages": [],
                "approvals": [],
            },
        )
        if all(one["language"] != row.language for one in item["languages"]):
            item["languages"].append(
                {"language": row.language, "text": row.body, "preview": row.body}
            )
        item["approvals"].append(
            {
                "channel": names[row.channel_id],
                "language": None,
                "provider_name": row.name,
                "provider_language": row.language,
                "status": row.status,
                "quality": row.quality,
                "category": row.category,
                "synced_at": time_text(row.synced_at),
            }
        )
    return list(items.values())
