"""The API described by itself: an OpenAPI 3.1 document, and that document as a readable page."""

import inspect
import re
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from hub.web.problem import CONTENT_TYPE, ProblemJson
from hub.web.route import Operation

Json = dict[str, Any]

SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "session": {"type": "apiKey", "in": "cookie", "name": "onethread_session"},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key and body is done once and answered alike.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def describe(operations: Sequence[Operation], prefix: str, version: str) -> Json:
    """The OpenAPI document of these operations."""
    schemas, components = _schemas(operations)
    paths: Json = {}
    for index, operation in enumerate(operations):
        item = paths.setdefault(prefix + operation.path, {})
        item[operation.method.lower()] = _operation(operation, index, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Onethread",
            "version": version,
            "description": "Lists answer `items` and `next`, the `cursor` of the next page or null."
            " Times are UTC in ISO 8601. Clients accept values and fields they do not know.",
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SECURITY},
    }


def _schemas(operations: Sequence[Operation]) -> tuple[dict[tuple[int, str], Json], Json]:
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        ((-1, "problem"), "serialization", TypeAdapter(ProblemJson))
    ]
    for index, operation in enumerate(operations):
        for name, adapter in operation.ids.items():
            inputs.append(((index, name), "validation", adapter))
        if operation.query:
            inputs.append(((index, "query"), "validation", TypeAdapter(operation.query)))
        if operation.body:
            inputs.append(((index, "body"), "validation", operation.body))
        if operation.answer:
            inputs.append(((index, "answer"), "serialization", operation.answer))
    found, defs = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return {key: schema for (key, _), schema in found.items()}, defs.get("$defs", {})


def _operation(
    operation: Operation, index: int, schemas: dict[tuple[int, str], Json], components: Json
) -> Json:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": schemas[index, name]}
        for name in operation.ids
    ]
    doc = inspect.getdoc(operation.handler) or ""
    description = doc
    if operation.query:
        query = schemas[index, "query"]
        query = components[query["$ref"].rsplit("/", 1)[1]] if "$ref" in query else query
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in query["properties"].items()
        ]
        if inspect.getdoc(operation.query) != inspect.getdoc(operation.query.__base__):
            description += "\n\n" + (inspect.getdoc(operation.query) or "")
    if operation.method == "POST" and operation.role:
        parameters.append(IDEMPOTENCY_KEY)
    answer: Json = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer:
        answer["content"] = {"application/json": {"schema": schemas[index, "answer"]}}
    described: Json = {
        "operationId": operation.handler.__name__,
        "tags": [operation.tag],
        "summary": doc.split(". ")[0].split("\n")[0].rstrip("."),
        "description": description,
        "parameters": parameters,
        "responses": {str(operation.status): answer, **_errors(operation, schemas)},
        "security": [{name: []} for name in SECURITY] if operation.role else [],
    }
    if operation.body:
        content = {"application/json": {"schema": schemas[index, "body"]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _errors(operation: Operation, schemas: dict[tuple[int, str], Json]) -> Json:
    codes = {*operation.errors, 503}
    if operation.role:
        codes |= {401, 403}
    if operation.ids:
        codes |= {404}
    if operation.query or operation.body:
        codes |= {422}
    if operation.body:
        codes |= {400, 413, 415}
    if operation.method == "POST" and operation.role:
        codes |= {400, 409, 413, 422}
    schema = schemas[-1, "problem"]
    return {
        str(code): {
            "description": HTTPStatus(code).phrase,
            "content": {CONTENT_TYPE: {"schema": schema}},
        }
        for code in sorted(codes)
    }


STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;
color:#1c2430;background:#fff}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f4f5f7;padding:.75rem;overflow:auto;border-radius:6px}
h2{margin-top:3rem;text-transform:capitalize}h3{margin:2rem 0 .25rem;font-size:1rem}
.method{display:inline-block;min-width:4rem;font-weight:700}table{border-collapse:collapse}
td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}a{color:#0b5fad}
@media(prefers-color-scheme:dark){body{color:#e6e9ee;background:#12161c}pre{background:#1c222b}
a{color:#7db8f0}}"""


def render(document: Json) -> str:
    """The document as an HTML page without scripts."""
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][0], []).append(
                _render_operation(method, path, operation)
            )
    parts = [
        f"<h1>{escape(document['info']['title'])} API</h1>",
        f"<p>{_prose(document['info']['description'])}</p>",
        '<p><a href="/api/v1/openapi.json">OpenAPI 3.1 document</a></p>',
    ]
    for tag, operations in by_tag.items():
        parts += [f"<h2>{escape(tag)}</h2>", *operations]
    parts.append("<h2>shapes</h2>")
    for name, schema in sorted(schemas.items()):
        parts.append(f'<h3 id="{escape(name)}">{escape(name)}</h3>{_render_schema(schema)}')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Onethread API</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )


def _render_operation(method: str, path: str, operation: Json) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}</td>"
        f"<td>{_type(p['schema'])}</td></tr>"
        for p in operation["parameters"]
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    answers = "".join(
        f"<li><code>{code}</code> {escape(answer['description'])}{_answer_type(answer)}</li>"
        for code, answer in operation["responses"].items()
    )
    return (
        f'<h3><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h3>'
        f"<p>{_prose(operation['description'])}</p>"
        + (f"<table>{rows}</table>" if rows else "")
        + (f"<p>Body: {_type(body['schema'])}</p>" if body else "")
        + f"<ul>{answers}</ul>"
    )


def _answer_type(answer: Json) -> str:
    content = answer.get("content", {}).get("application/json")
    return f": {_type(content['schema'])}" if content else ""


def _render_schema(schema: Json) -> str:
    about = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{'' if name in required else ' (optional)'}</td>"
        f"<td>{_type(part)}</td></tr>"
        for name, part in schema.get("properties", {}).items()
    )
    return about + (f"<table>{rows}</table>" if rows else f"<p>{_type(schema)}</p>")


def _type(schema: Json) -> str:
    """A schema in a few words, with links to the shapes it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f'<a href="#{name}">{name}</a>'
    if options := schema.get("anyOf"):
        return " or ".join(_type(option) for option in options)
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(more := schema.get("additionalProperties"), dict) and more:
        return f"object of {_type(more)}"
    words = [schema.get("format") or schema.get("type", "any")]
    for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most")):
        if key in schema:
            words.append(f"{word} {schema[key]}")
    return escape(" ".join(words))


def _prose(text: str) -> str:
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return marked.replace("\n\n", "</p><p>")
