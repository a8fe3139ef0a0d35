"""What `onethread check` says of the templates: files that are wrong, and which of them a provider
has not approved, has rejected or finds poor."""

from collections.abc import Sequence

from hub.connector import Connector, SyncsTemplates
from hub.errors import SendFailed
from hub.settings import Settings
from hub.template_files import read_templates
from hub.templates import Templates, standings

Found = tuple[bool, str, str]
"""Whether it is well, what was looked at, and what is so or is to be mended."""


async def check_templates(settings: Settings, connectors: Sequence[Connector]) -> list[Found]:
    """The folder, and each channel that has a template of ours. Nothing where there is none."""
    templates = read_templates(settings.hub.templates)
    found: list[Found] = [(False, "hub.templates", problem) for problem in templates.problems]
    if templates.by_name:
        names = ", ".join(sorted(templates.by_name))
        found.append((True, "hub.templates", f"{settings.hub.templates}: {names}"))
    for connector in connectors:
        if connector.limits.templates and isinstance(connector, SyncsTemplates):
            found += await check_channel(templates, connector, connector)
    return found


async def check_channel(
    templates: Templates, connector: Connector, lists: SyncsTemplates
) -> list[Found]:
    channel = connector.channel
    own = [one for one in templates.by_name.values() if one.variant(channel.name, channel.kind)]
    if not own:
        return []
    name = f"channels.{channel.name}.templates"
    try:
        listed = await lists.list_templates()
    except SendFailed as error:
        return [(False, name, f"cannot be listed: {error.reason}")]
    well, found = 0, []
    for template in own:
        for one in standings(template, channel.name, channel.kind, listed):
            shown = f"{template.name} ({one.language})"
            if one.is_usable:
                well += 1
            else:
                found.append((False, name, f"{shown} is {one.status} there"))
            if one.is_poor:
                found.append((False, name, f"{shown} is of low quality there ({one.quality})"))
    return [*found, (True, name, f"{well} approved")]
