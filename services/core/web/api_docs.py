"""API documentation pages, served without a foreign server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.core.web.authentication import REQUIRED_ROLE

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,td:first-child{font-family:ui-monospace,monospace;font-size:.92em}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0}summary{padding:.5rem .8rem;cursor:pointer}
details>div{padding:.2rem 1rem 1rem;border-top:1px solid var(--line)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;
border-bottom:1px solid var(--soft)}.method{display:inline-block;min-width:4.5rem;font-weight:700}
.role{float:right;font-size:.85em;opacity:.8}
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "maxLength": "length ≤"}


def mount_docs(app: FastAPI, path: str) -> None:
    """Serve the manual of ``app`` at ``path``."""
    pages: list[str] = []

    async def manual(_: Request) -> HTMLResponse:
        if not pages:
            pages.append(render_docs(app.openapi(), app.openapi_url or ""))
        return HTMLResponse(pages[0], headers=_HEADERS)

    app.add_route(path, manual, include_in_schema=False)


def render_docs(document: Mapping[str, Any], address: str) -> str:
    """HTML of an OpenAPI document, which itself is at ``address``."""
    return "".join(_page(document, address))


def _page(document: Mapping[str, Any], address: str) -> Iterator[str]:
    information = document["info"]
    title = escape(information["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>'
    yield _paragraphs(information.get("description", ""))
    yield f'<p>For programs: <a href="{escape(address)}">{escape(address)}</a></p>'
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append("".join(_operation(path, method, operation, document)))
    for name, entries in groups.items():
        yield f"<h2>{escape(name)}</h2>" + "".join(entries)


def _operation(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    role = operation.get(REQUIRED_ROLE)
    yield f"<details><summary>{f'<span class=role>{escape(str(role))}</span>' if role else ''}"
    yield f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code> '
    yield f"— {escape(operation.get('summary', ''))}</summary><div>{_paragraphs(operation.get('description', ''))}"
    if parameters := operation.get("parameters"):
        rows = (
            (
                p["name"],
                f"{p['in']}, {_type_name(p.get('schema', {}))}",
                p.get("required", False),
                p.get("description", ""),
            )
            for p in parameters
        )
        yield "<h4>Parameters</h4>" + _table(rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h4>Body ({escape(kind)})</h4>" + _schema(content.get("schema", {}), document)
    yield "<h4>Answers</h4>"
    for status, response in operation.get("responses", {}).items():
        yield f"<p><code>{escape(status)}</code> {escape(response.get('description', ''))}</p>"
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if schema and status.startswith("2"):
            yield _schema(schema, document)
    yield "</div></details>"


def _schema(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int = 0) -> str:
    """The fields of an object, and below them those of the objects that they hold."""
    found = _resolved(schema, document)
    fields = found.get("properties")
    if not fields:
        return f"<p>{escape(_type_name(schema))}</p>"
    required = set(found.get("required", []))
    rows = ((name, _type_name(field), name in required, field.get("description", "")) for name, field in fields.items())
    below = []
    if depth < 2:
        for name, field in fields.items():
            inner = _resolved(field.get("items", field), document)
            if inner.get("properties"):
                below.append(f"<p><code>{escape(name)}</code>:</p>{_schema(inner, document, depth + 1)}")
    return _table(rows) + "".join(below)


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _type_name(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type_name(option) for option in options)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type_name(schema.get('items', {}))}"
    parts = [kind, *(f"{sign} {schema[bound]}" for bound, sign in _BOUNDS.items() if bound in schema)]
    if "x-unit" in schema:
        parts.append(str(schema["x-unit"]))
    return " ".join(parts)


def _table(rows: Iterator[tuple[str, str, bool, str]]) -> str:
    body = "".join(
        f"<tr><td>{escape(name)}{'' if required else ' ?'}<td>{escape(kind)}<td>{escape(text)}"
        for name, kind, required, text in rows
    )
    return f"<table><tr><th>name<th>what<th>meaning{body}</table>"


def _paragraphs(text: str) -> str:
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", text))
    marked = (re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(part)) for part in paragraphs if part)
    return "".join(f"<p>{part}</p>" for part in marked)
