"""Serves Swagger UI, and adds each route's required role to the OpenAPI document.

The assets come from the package ``fastapi-swagger``: the page loads nothing from other hosts. Calls from it are
exercises unless the caller chooses another traffic type (``swagger_start.js``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import fastapi_swagger.resources
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from services.core.auth.principal import Role
from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER, CSRF_HEADER, EXERCISE
from services.core.web.authentication import CSRF_COOKIE, REQUIRED_ROLE, ROLE_SCHEME, SESSION_COOKIE, USE_CASE_EXTENSION

_PACKAGE = Path(str(files(fastapi_swagger.resources)))
_ASSETS = {
    **{name: _PACKAGE / name for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")},
    "start.js": Path(__file__).with_name("swagger_start.js"),
}
_HEADERS = {
    # Swagger UI sets inline styles; scripts come from this service only.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}
_ASSET_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


SERVERS: list[dict[str, Any]] = [{"url": "/", "description": "The address from which this document was read."}]


def operation_id(route: APIRoute) -> str:
    """The route's name, ``verb_noun``: generated clients name their functions by it."""
    return "get_metrics" if route.name == "metrics" else route.name


def mount_docs(app: FastAPI, path: str) -> None:
    """Serve Swagger UI at ``path`` and its assets below it."""
    page = _page(app.title, path, app.openapi_url or "")

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers=_HEADERS)

    async def asset(request: Request) -> Response:
        file = _ASSETS.get(request.path_params["name"])
        return Response(status_code=404) if file is None else FileResponse(file, headers=_ASSET_HEADERS)

    app.add_route(path, docs, include_in_schema=False)
    app.add_route(path + "/{name}", asset, include_in_schema=False)


def _page(title: str, path: str, document: str) -> str:
    data = {
        "openapi": document,
        "kind-header": CALL_KIND_HEADER,
        "kind": EXERCISE,
        "csrf-header": CSRF_HEADER,
        "csrf-cookie": CSRF_COOKIE,
    }
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="{path}/favicon-32x32.png"><link rel="stylesheet" href="{path}/swagger-ui.css"></head>'
        f'<body><div id="docs"></div><noscript>The OpenAPI document: <a href="{document}">{document}</a></noscript>'
        f'<script src="{path}/swagger-ui-bundle.js"></script><script src="{path}/start.js" {attributes}></script>'
        "</body></html>"
    )


_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "POST /auth/token gives one."},
    "key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER, "description": "An API key of a centre."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "Set by the sign-in page."},
}


def document_roles(app: FastAPI) -> None:
    """Add each route's required role and each field's unit to the OpenAPI document, and leave the routes between
    services out of it."""
    original = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            _document_security(original())
            _document_units(original())
        assert app.openapi_schema is not None
        return app.openapi_schema

    def public() -> dict[str, Any]:
        document = whole()
        paths = {path: entry for path, entry in document["paths"].items() if not path.startswith("/internal/")}
        return _without_unused_schemas({**document, "paths": paths})

    app.state.whole_openapi = whole
    app.openapi = public  # type: ignore[method-assign]


def undeclared_routes(app: FastAPI) -> list[str]:
    """Routes that declare no required role, hidden ones included; the documentation page and the OpenAPI document
    are public."""
    found = [f"{method} {path}" for method, path, operation in operations(app) if REQUIRED_ROLE not in operation]
    documented = {path for _, path, _ in operations(app)}
    folder = (app.openapi_url or "").rpartition("/")[0]
    manual = {app.openapi_url, f"{folder}/docs", f"{folder}/docs/{{name}}"}
    for route in iter_route_contexts(app.routes):
        path = route.path_format or route.path
        if path not in documented and path not in manual:
            found.append(f"hidden {path}")
    return found


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and OpenAPI entry of every operation, those between services included."""
    for path, entries in getattr(app.state, "whole_openapi", app.openapi)()["paths"].items():
        for method, operation in entries.items():
            yield method.upper(), path, operation


def _document_units(part: Any) -> None:
    """Repeat the extension ``x-unit`` in descriptions, which readers and generated clients show."""
    if isinstance(part, dict):
        unit = part.get("x-unit")
        if isinstance(unit, str) and isinstance(part.get("description", ""), str):
            part["description"] = f"{part.get('description', '')} Unit: {unit}.".strip()
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            _document_units(each)


def _without_unused_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """The document without schemas that no path leads to, those of the routes between services."""
    components = document.get("components", {})
    schemas: dict[str, Any] = components.get("schemas", {})
    used: set[str] = set()
    waiting = _references(document["paths"])
    while waiting:
        used |= waiting
        waiting = {name for each in waiting for name in _references(schemas[each])} - used
    kept = {name: schema for name, schema in schemas.items() if name in used}
    return {**document, "components": {**components, "schemas": kept}}


def _references(part: Any) -> set[str]:
    """Names of the schemas that a part of the document refers to."""
    if isinstance(part, dict):
        reference = part.get("$ref")
        found = {reference.rpartition("/")[2]} if isinstance(reference, str) else set()
        return found.union(*(_references(each) for each in part.values()))
    return set().union(*(_references(each) for each in part)) if isinstance(part, list) else set()


def _document_security(document: dict[str, Any]) -> None:
    """Convert FastAPI's security entries to ``x-required-role`` and the three security schemes."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    for name in [name for name in schemes if name.startswith(ROLE_SCHEME)]:
        del schemes[name]
    order = list(Role)
    for operation in (entry for entries in document["paths"].values() for entry in entries.values()):
        marks = [name for item in operation.get("security", []) for name in item if name.startswith(ROLE_SCHEME)]
        if not marks:
            continue
        parts = [mark.split(":", 2) for mark in marks]
        operation[REQUIRED_ROLE] = str(max((Role(role) for _, role, _ in parts), key=order.index))
        named = [use_case for _, _, use_case in parts if use_case]
        if named:
            operation[USE_CASE_EXTENSION] = named[0]
        operation["security"] = [{name: []} for name in _SCHEMES]
        schemes.update({name: dict(scheme) for name, scheme in _SCHEMES.items()})
