"""Templates as files: `templates/order_shipped.toml`, one template a file.

    default = "en"

    [variables]                       # each with a sample
    customer = { en = "Rima", bn = "রিমা" }
    order = "A-17"

    [languages.en]
    text = "Hello {{customer}}, your order {{order}} is on its way."
    buttons = [{ title = "Where is it?", id = "track:{{order}}" }]

    [languages.bn]
    text = "{{customer}}, আপনার অর্ডার {{order}} পাঠানো হয়েছে।"
    buttons = [{ title = "কোথায় আছে?", id = "track:{{order}}" }]

    [channels.whatsapp]               # a kind of channel, or a channel's name
    name = "order_shipped_2"
    languages = { en = "en_US" }
    body = ["customer", "order"]      # what {{1}} and {{2}} are there

    [channels.twilio]
    name = { en = "HX0123...", bn = "HX4567..." }
    body = ["customer", "order"]

A file that is wrong is left out and named with its line, so that one slip silences no channel.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from hub.templates import PLACEHOLDER, Template, Templates, Wording, used_in

log = structlog.get_logger(__name__)

Loc = tuple[str, ...]
SUFFIX = ".toml"
BRACES = re.compile(r"{{|}}")


def read_templates(folder: Path) -> Templates:
    """The templates of a folder; a folder that is not there has none. Never raises."""
    found: dict[str, Template] = {}
    problems: list[str] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return Templates()
    except OSError as error:
        return Templates(problems=(f"{folder}: cannot be read ({error.strerror})",))
    for path in paths:
        template, wrong = read_template(path)
        problems += wrong
        if template is not None and template.name in found:
            problems.append(f"{path}: another file has the template {template.name} already")
        elif template is not None:
            found[template.name] = template
    return Templates(found, tuple(problems))


def load_templates(folder: Path) -> Templates:
    """As `read_templates`, and says in the log what is wrong."""
    found = read_templates(folder)
    for problem in found.problems:
        log.error("template left out", problem=problem)
    return found


def read_template(path: Path) -> tuple[Template | None, list[str]]:
    """The template of one file, or what is wrong with it: `file:line: what`."""
    try:
        source = path.read_text("utf-8")
        raw = tomllib.loads(source)
    except OSError as error:
        return None, [f"{path}: cannot be read ({error.strerror})"]
    except UnicodeDecodeError:
        return None, [f"{path}: is not UTF-8 text"]
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = at[1] if at else len(source.splitlines())
        return None, [f"{path}:{line}: is not valid TOML: {error}"]
    raw.setdefault("name", path.stem)
    if isinstance(languages := raw.get("languages"), dict) and len(languages) == 1:
        raw.setdefault("default", next(iter(languages)))
    lines = lines_of(source)
    try:
        template = Template.model_validate(raw)
    except ValidationError as error:
        return None, [told(path, lines, *one) for one in explained(error, raw)]
    wrong = [told(path, lines, *one) for one in mistakes(template)]
    return (None, wrong) if wrong else (template, [])


def told(path: Path, lines: dict[Loc, int], loc: Loc, text: str) -> str:
    """One problem with the line of the innermost table or key that the file has of its place."""
    known = next((lines[loc[:n]] for n in range(len(loc), 0, -1) if loc[:n] in lines), 1)
    return f"{path}:{known}: {'.'.join(loc)}{' ' if loc else ''}{text}"


def explained(error: ValidationError, raw: Any) -> Iterator[tuple[Loc, str]]:
    seen: set[Loc] = set()
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        loc = tuple(place_in(problem["loc"], raw))
        if loc in seen:
            continue
        seen.add(loc)
        text = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        yield loc, PLAINER.get(problem["type"], text[:1].lower() + text[1:])


PLAINER = {
    "extra_forbidden": "is not known here",
    "missing": "is missing",
    "string_pattern_mismatch": "should be small letters, digits, - and _",
    "string_too_short": "is empty",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "string_type": "should be text in quotes",
}


def place_in(loc: tuple[int | str, ...], raw: Any) -> Iterator[str]:
    """What of pydantic's location names something in the file."""
    for part in loc:
        if isinstance(raw, dict):
            yield str(part)
            raw = raw.get(str(part))
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            yield str(part)
            raw = raw[part]
        else:
            return


def mistakes(template: Template) -> Iterator[tuple[Loc, str]]:
    """What the shapes alone cannot tell."""
    languages = set(template.languages)
    if template.default not in languages:
        yield ("default",), "should name one of the languages"
    for name, sample in template.variables.items():
        if not PLACEHOLDER.fullmatch("{{" + name + "}}"):
            yield ("variables", name), "should be small letters, digits and _"
        if isinstance(sample, dict) and not {template.default} <= sample.keys() <= languages:
            yield ("variables", name), "needs samples in the default language and in ours alone"
    used: set[str] = set()
    for language, wording in template.languages.items():
        for field, pieces in wording.pieces.items():
            used.update(used_in(pieces))
            for text in text_mistakes(template, pieces):
                yield ("languages", language, field), text
        for field, text in link_mistakes(wording):
            yield ("languages", language, field), text
    for name in template.variables:
        if name not in used:
            yield ("variables", name), "is used in no language"
    yield from variant_mistakes(template)


def text_mistakes(template: Template, pieces: Sequence[str]) -> Iterator[str]:
    for name in used_in(pieces):
        if name not in template.variables:
            yield f"uses {{{{{name}}}}}, which is not among the variables"
    if any(BRACES.search(PLACEHOLDER.sub("", piece)) for piece in pieces):
        yield "has {{ or }} that is no variable"


def link_mistakes(wording: Wording) -> Iterator[tuple[str, str]]:
    header = wording.header
    links = [link for link in (header.image, header.video, header.document) if link]
    if len(links) + bool(header.text) > 1:
        yield "header", "should be one thing: text, image, video or document"
    pages = [button.url for button in wording.buttons if button.url]
    for field, found in (("header", links), ("buttons", pages)):
        if not all(re.match(r"https?://|{{", link) for link in found):
            yield field, "has a link that does not begin with https://"


def variant_mistakes(template: Template) -> Iterator[tuple[Loc, str]]:
    for channel, variant in template.channels.items():
        place = ("channels", channel)
        if strange := [one for one in variant.languages if one not in template.languages]:
            yield (*place, "languages"), f"has {', '.join(strange)}, which is no language here"
        if isinstance(variant.name, dict):
            if strange := [one for one in variant.name if one not in template.languages]:
                yield (*place, "name"), f"has {', '.join(strange)}, which is no language here"
            if not variant.name:
                yield (*place, "name"), "is empty"
        for which, order in (("body", variant.body), ("header", variant.header)):
            if strange := [one for one in order or () if one not in template.variables]:
                yield (*place, which), f"has {', '.join(strange)}, which is no variable here"


HEADING = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+\s*(#.*)?$")
KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def lines_of(source: str) -> dict[Loc, int]:
    """Where the tables and keys of valid TOML stand. A look at each line is enough to point
    somebody at a mistake: text of several lines that looks like a key may mislead it."""
    found: dict[Loc, int] = {}
    table: Loc = ()
    for number, line in enumerate(source.splitlines(), 1):
        if heading := HEADING.match(line):
            table = dotted(heading[1])
            found.setdefault(table, number)
        elif key := KEY.match(line):
            found.setdefault((*table, *dotted(key[1])), number)
    return found


def dotted(name: str) -> Loc:
    parts = re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", name)
    return tuple(part.strip("\"'") for part in parts)
