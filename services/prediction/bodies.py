"""Reading a request's body: bounded in size and depth before it is parsed, strict JSON in UTF-8."""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from services.prediction.faults import name_of, refused
from services.prediction.uploads import is_upload

MAX_DEPTH = 16
"""A single request nests once, a batch three times."""

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"?')
_OTHERS = bytes(sorted(set(range(256)) - set(b'"{}[]')))


async def read_body(scope: Scope, receive: Receive, limit: int, *, uploads: bool = False) -> bytes:
    """The body, if it is JSON by its content type (or, with ``uploads``, a form with files) and no longer than
    ``limit`` bytes.

    Raises:
        RefusedError: 415 for another content type, 413 for a longer body.
        ClientDisconnect: the caller hung up.
    """
    kind = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length" and (not value.isdigit() or len(value) > 18 or int(value) > limit):
            raise refused(413, "body_too_large", "The body is too large.", allowed=f"at most {limit} bytes")
    if not (uploads and is_upload(kind)):
        _require_json(kind, uploads=uploads)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return _bounded(body, limit)
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise refused(413, "body_too_large", "The body is too large.", allowed=f"at most {limit} bytes")
    return _bounded(b"".join(chunks), limit)


def _bounded(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise refused(413, "body_too_large", "The body is too large.", allowed=f"at most {limit} bytes")
    return body


def _require_json(kind: bytes, *, uploads: bool) -> None:
    media, _, parameters = kind.partition(b";")
    media = media.strip().lower()
    if media != b"application/json" and not (media.startswith(b"application/") and media.endswith(b"+json")):
        allowed = "Content-Type: application/json" + (" or multipart/form-data" if uploads else "")
        reason = "The body has to be JSON" + (" or a form." if uploads else ".")
        raise refused(415, "content_type", reason, allowed=allowed)
    if parameters and b"charset" in parameters.lower() and b"utf-8" not in parameters.lower():
        raise refused(415, "content_type", "JSON is UTF-8.", allowed="Content-Type: application/json")


class _DuplicateKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found


_decode = JSONDecoder(object_pairs_hook=_unique).decode


def parse(body: bytes) -> Any:
    """The JSON value in ``body``. NaN, infinities and numbers beyond float64 pass here and are refused
    with their field when the fields are validated.

    Raises:
        RefusedError: 422 with the reason.
    """
    if not body or body.isspace():
        raise refused(422, "body_missing", "The body is empty.", allowed="a JSON object")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise refused(422, "too_deep", "The body nests too deeply.", allowed=f"at most {MAX_DEPTH} levels")
    try:
        return _decode(body.decode())
    except UnicodeDecodeError as error:
        raise refused(422, "not_utf8", f"The body is not UTF-8 (byte {error.start}).", allowed="UTF-8") from None
    except _DuplicateKeyError as error:
        name = name_of(error.args[0])
        raise refused(
            422, "duplicate_key", "The field is given more than once.", field=name, allowed="each field once"
        ) from None
    except JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise refused(422, "json_invalid", f"The body is not JSON: {error.msg} ({where}).", allowed="JSON") from None
    except ValueError:
        raise refused(422, "json_invalid", "The body holds a number with too many digits.", allowed="JSON") from None


def _depth(body: bytes) -> int:
    """How deeply brackets nest outside strings. Written so that megabytes take milliseconds: a bracket
    lies outside strings where an even number of quotes comes before it, and taking out pairs of quotes
    that touch does not change that."""
    if b"\\" in body:
        body = _ESCAPED.sub(b"", body)
    brackets = _STRING.sub(b"", body.translate(None, _OTHERS).replace(b'""', b""))
    deepest = depth = 0
    for byte in brackets:
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest
