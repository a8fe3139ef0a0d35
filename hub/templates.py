"""Message templates: one text with named variables, in several languages, and what it is called
at each provider that wants to approve it.

`hub/template_files.py` reads them from files. Here a `TemplateUse` that names one of them becomes
the message to store: rendered for a channel without templates, else with the provider's own name,
language and variables, so that a connector needs no file.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import HubError
from hub.message import Button, Media, Message, TemplateUse, clean_text

PLACEHOLDER = re.compile(r"{{\s*([a-z][a-z0-9_]*)\s*}}")
MEDIA_HEADERS = ("image", "video", "document")


class TemplateMisuse(HubError):
    """A template cannot be used like this; the text names the template, variables and languages,
    never a value."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(Part):
    """What stands above the text: one of a line of text and the link of an attachment."""

    text: str = ""
    image: str = ""
    video: str = ""
    document: str = ""


class TemplateButton(Part):
    """`id` comes back when it is tapped; one with a `url` opens that instead."""

    title: str = Field(min_length=1)
    id: str = ""
    url: str = ""


class Wording(Part):
    """The template in one language."""

    text: str = Field(min_length=1)
    header: Header = Header()
    footer: str = ""
    buttons: tuple[TemplateButton, ...] = ()

    @property
    def pieces(self) -> Mapping[str, Sequence[str]]:
        """All that may hold variables, by field."""
        header = self.header
        return {
            "text": [self.text],
            "header": [header.text, header.image, header.video, header.document],
            "footer": [self.footer],
            "buttons": [text for one in self.buttons for text in (one.title, one.id, one.url)],
        }


class Variant(Part):
    """The template at the provider of one channel or of all channels of a kind.

    `name` is its approved name there, or one for each of our languages; left out: our own name.
    `languages` says under which code a language is approved, where that is another. `body` and
    `header` list our variables in the order of the provider's {{1}}, {{2}}; left out: the
    provider knows them by our names.
    """

    name: str | dict[str, str] = ""
    languages: dict[str, str] = Field(default_factory=dict)
    body: tuple[str, ...] | None = None
    header: tuple[str, ...] | None = None


class Template(Part):
    """`variables` maps each name to a sample, or to one a language. `default` is the language of
    those who speak none of ours. `channels` has the variants by channel name or kind."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")
    default: str = ""
    category: str = ""
    variables: dict[str, str | dict[str, str]] = Field(default_factory=dict)
    languages: dict[str, Wording] = Field(min_length=1)
    channels: dict[str, Variant] = Field(default_factory=dict)

    def variant(self, channel: str, kind: str) -> Variant | None:
        return self.channels.get(channel) or self.channels.get(kind)

    def offered(self, variant: Variant | None) -> list[str]:
        """The languages a variant has, the default one first."""
        names = variant.name if variant else ""
        found = [one for one in self.languages if not isinstance(names, dict) or one in names]
        return sorted(found, key=lambda one: one != self.default)

    def samples(self, language: str) -> dict[str, str]:
        found = {}
        for name, sample in self.variables.items():
            if isinstance(sample, str):
                found[name] = sample
            else:
                found[name] = sample[pick(language, [self.default, *sample])]
        return found

    def preview(self, language: str) -> str:
        """The text in one of its languages with the samples put in."""
        return shown(self.languages[language], self.samples(language))


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates by name; `problems` says what of the files could not be used."""

    by_name: Mapping[str, Template] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def can_go(self, use: TemplateUse, channel: str, kind: str) -> bool:
        """Has the provider of this channel, which has templates, that one? A name that is in no
        file is taken for the provider's own."""
        template = self.by_name.get(use.name)
        return template is None or template.variant(channel, kind) is not None

    def fit(
        self, message: Message, channel: str, kind: str, *, language: str, approves: bool
    ) -> Message:
        """The message as it is to be stored for a channel; one that uses no template of ours
        stays as it is. `language` is the customer's, `approves` says that the channel has
        templates of its own. Raises TemplateMisuse."""
        use = message.template
        template = self.by_name.get(use.name) if use else None
        if use is None or template is None:
            return message
        values = check_values(template, use.variables)
        variant = template.variant(channel, kind) if approves else None
        offered = template.offered(variant)
        if not offered:
            raise TemplateMisuse(f"template {template.name} has no language for {channel}")
        spoken = pick(use.language or language, offered)
        wording = template.languages[spoken]
        if variant is None:
            return as_message(wording, values)
        return Message.of(
            shown(wording, values),
            buttons=buttons_of(wording, values),
            template=approved_use(template, variant, spoken, values),
        )


def pick(wanted: str, offered: Sequence[str]) -> str:
    """The offered language that fits best: the very one, its base language, another of the same
    base, else the first."""
    plain = {one.casefold().replace("_", "-"): one for one in reversed(offered)}
    code = wanted.casefold().replace("_", "-")
    base = code.partition("-")[0]
    for known in (code, base):
        if known in plain:
            return plain[known]
    near = (one for one in offered if re.split("[-_]", one.casefold())[0] == base)
    return next(near, offered[0])


def check_values(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """The values, each for a variable of the template. Raises TemplateMisuse."""
    values = {name: clean_text(value) for name, value in given.items()}
    filled = {name for name, value in values.items() if value.strip()}
    if missing := sorted(template.variables.keys() - filled):
        raise TemplateMisuse(f"template {template.name} needs a value for {', '.join(missing)}")
    if extra := sorted(values.keys() - template.variables.keys()):
        known = ", ".join(template.variables) or "none"
        strange = ", ".join(clean_text(name)[:60] for name in extra)
        raise TemplateMisuse(
            f"template {template.name} has no variable {strange}; its variables: {known}"
        )
    return values


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced, once: what a value holds is not looked at again."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)


def used_in(texts: Iterable[str]) -> list[str]:
    """The variables in the order in which they come up."""
    return list(dict.fromkeys(name for text in texts for name in PLACEHOLDER.findall(text)))


def shown(wording: Wording, values: Mapping[str, str]) -> str:
    """What the customer reads, in one text."""
    pieces = (wording.header.text, wording.text, wording.footer)
    return "\n\n".join(fill(piece, values) for piece in pieces if piece)


def buttons_of(wording: Wording, values: Mapping[str, str]) -> tuple[Button, ...]:
    return tuple(
        Button(
            id=fill(one.id, values) or fill(one.title, values),
            title=fill(one.title, values),
            url=fill(one.url, values) or None,
        )
        for one in wording.buttons
    )


def as_message(wording: Wording, values: Mapping[str, str]) -> Message:
    """The template as an ordinary message."""
    header = wording.header
    media: tuple[Media, ...] = ()
    if header.image:
        media = (Media(kind="image", source_url=fill(header.image, values)),)
    elif header.video:
        media = (Media(kind="video", source_url=fill(header.video, values)),)
    elif header.document:
        media = (Media(kind="file", source_url=fill(header.document, values)),)
    return Message.of(shown(wording, values), media=media, buttons=buttons_of(wording, values))


def approved_use(
    template: Template, variant: Variant, language: str, values: Mapping[str, str]
) -> TemplateUse:
    """How the provider is asked for it; the names of the variables are those that
    `message.TemplateUse` lists."""
    wording = template.languages[language]
    name, code = provider_key(template, variant, language)
    variables = numbered(variant.body, [wording.text], values)
    header = wording.header
    for place, value in numbered(variant.header, [header.text], values).items():
        variables[f"header.{place}"] = value
    for kind in MEDIA_HEADERS:
        if link := getattr(header, kind):
            variables[f"header.{kind}"] = fill(link, values)
    for index, button in enumerate(wording.buttons):
        if PLACEHOLDER.search(button.url):
            # Providers approve the beginning of a link and are told its end.
            variables[f"button.{index}"] = fill(button.url[button.url.index("{{") :], values)
        elif button.id and not button.url:
            variables[f"payload.{index}"] = fill(button.id, values)
    return TemplateUse(name=name, language=code, variables=variables)


def numbered(
    order: Sequence[str] | None, texts: Sequence[str], values: Mapping[str, str]
) -> dict[str, str]:
    """Values by the provider's position, or by name where it knows our names."""
    if order is None:
        return {name: values[name] for name in used_in(texts)}
    return {str(place): values[name] for place, name in enumerate(order, 1)}


class Listed(Protocol):
    """A template as a provider's list has it."""

    @property
    def name(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def quality(self) -> str: ...
    @property
    def category(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """One language of one of our templates at a provider."""

    language: str
    provider_name: str
    provider_language: str
    status: str
    quality: str = ""
    category: str = ""

    @property
    def is_usable(self) -> bool:
        return self.status == "approved"

    @property
    def is_poor(self) -> bool:
        return self.quality in ("yellow", "red", "low")


def standings(
    template: Template, channel: str, kind: str, listed: Sequence[Listed]
) -> list[Standing]:
    """How the template stands at the provider of a channel, by language; nothing where it has no
    variant. With nothing listed its state is unknown."""
    variant = template.variant(channel, kind)
    found: list[Standing] = []
    for language in template.offered(variant) if variant else ():
        assert variant is not None
        name, code = provider_key(template, variant, language)
        of_name = [one for one in listed if one.name == name]
        # A name that stands for one language needs no code of it.
        by_name = isinstance(variant.name, dict)
        row = next((one for one in of_name if by_name or one.language == code), None)
        if row is None:
            status = "missing" if listed else "unknown"
            found.append(Standing(language, name, code, status))
        else:
            found.append(
                Standing(language, name, row.language, row.status, row.quality, row.category)
            )
    return found


def provider_key(template: Template, variant: Variant, language: str) -> tuple[str, str]:
    """What the provider calls one of our languages of the template."""
    named = variant.name.get(language, "") if isinstance(variant.name, dict) else variant.name
    return named or template.name, variant.languages.get(language, language)
