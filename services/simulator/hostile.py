"""Requests that no caller should send, and some try. Each is a body with its headers; none may get a 500."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from services.core.headers import API_KEY_HEADER, CALL_KIND_HEADER, REQUEST_ID_HEADER


class Hostile(NamedTuple):
    name: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    """Instead of, or beside, what a caller sends; an empty value leaves a header out."""


def hostile(chance: np.random.Generator, use_case: str, request: Mapping[str, Any]) -> Hostile:
    """One of ``KINDS``, made from an ordinary request."""
    names = list(KINDS)
    name = names[int(chance.integers(len(names)))]
    path, body, headers = KINDS[name](f"/v1/{use_case}", dict(request), chance)
    return Hostile(name, path, body, headers)


_FORGED = "eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ."
"""Says of itself that it is not signed, and that its bearer is an administrator."""

_Made = tuple[str, bytes, dict[str, str]]
_Make = Callable[[str, dict[str, Any], np.random.Generator], _Made]


def _body(make: Callable[[dict[str, Any], np.random.Generator], bytes]) -> _Make:
    return lambda path, request, chance: (f"{path}/predict", make(request, chance), {})


def _changed(value: Any) -> _Make:
    """One field holds ``value``."""

    def made(request: dict[str, Any], chance: np.random.Generator) -> bytes:
        names = list(request)
        request[names[int(chance.integers(len(names)))]] = value
        return json.dumps(request).encode()

    return _body(made)


def _with_headers(headers: dict[str, str]) -> _Make:
    return lambda path, request, _: (f"{path}/predict", json.dumps(request).encode(), headers)


def _at(path_of: Callable[[str], str], body: bytes) -> _Make:
    return lambda path, _, __: (path_of(path), body, {})


def _without_first(request: dict[str, Any], _: np.random.Generator) -> bytes:
    return json.dumps(dict(list(request.items())[1:])).encode()


def _cut_off(request: dict[str, Any], chance: np.random.Generator) -> bytes:
    whole = json.dumps(request).encode()
    return whole[: int(chance.integers(1, len(whole)))]


def _noise(_: dict[str, Any], chance: np.random.Generator) -> bytes:
    return bytes(chance.integers(0, 256, int(chance.integers(1, 400)), dtype=np.uint8))


def _twice(request: dict[str, Any], _: np.random.Generator) -> bytes:
    whole = json.dumps(request)
    return (whole[:-1] + "," + whole[1:]).encode()


KINDS: dict[str, _Make] = {
    "cut_off": _body(_cut_off),
    "noise": _body(_noise),
    "empty": _body(lambda _, __: b""),
    "a_list": _body(lambda request, _: json.dumps([request]).encode()),
    "not_a_number": _changed(float("nan")),
    "infinite": _changed(float("-inf")),
    "huge_number": _changed(10**400),
    "huge_text": _changed("x" * 40_000),
    "formula": _changed("=cmd|'/c calc'!A1"),
    "sql": _changed("'; DROP TABLE predictions; --"),
    "null_character": _changed("a\x00b\ud800"),
    "an_object": _changed({"$ne": None}),
    "a_year_too_far": _changed("99999-01-01T00:00:00Z"),
    "left_out": _body(_without_first),
    "unknown_field": _body(lambda request, _: json.dumps({**request, "__proto__": {"admin": True}}).encode()),
    "named_twice": _body(_twice),
    "deep": _body(lambda _, __: b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "too_large": _body(lambda _, __: b'{"a":"' + b"x" * 70_000 + b'"}'),
    "utf16": _body(lambda request, _: json.dumps(request).encode("utf-16")),
    "another_type": _with_headers({"Content-Type": "text/xml"}),
    "another_charset": _with_headers({"Content-Type": "application/json; charset=utf-16"}),
    "no_key": _with_headers({API_KEY_HEADER: ""}),
    "wrong_key": _with_headers({API_KEY_HEADER: "vig_000000000000_" + "0" * 43}),
    "forged_token": _with_headers({API_KEY_HEADER: "", "Authorization": f"Bearer {_FORGED}"}),
    "unknown_kind": _with_headers({CALL_KIND_HEADER: "drill"}),
    "odd_request_id": _with_headers({REQUEST_ID_HEADER: "../../etc/passwd"}),
    "another_use_case": _at(lambda _: "/v1/nothing_of_the_kind/predict", b"{}"),
    "climbing": _at(lambda path: f"{path}/../../admin/users", b"{}"),
    "empty_batch": _at(lambda path: f"{path}/predict/batch", b'{"rows":[]}'),
    "endless_batch": _at(lambda path: f"{path}/predict/batch", b'{"rows":[' + b"{}," * 12_000 + b"{}]}"),
    "outcome_of_nothing": _at(lambda path: f"{path}/outcomes", b'{"labels":{}}'),
    "outcome_in_the_future": _at(
        lambda path: f"{path}/outcomes", b'{"incident_id":"x","happened_at":"2999-01-01T00:00:00Z","labels":{}}'
    ),
}  # fmt: skip
"""Ways to be hostile or careless."""
