"""Reads request bodies: strict UTF-8 JSON or multipart/form-data.

Size and depth are checked before parsing. Also extracts the incident id."""

from __future__ import annotations

import base64
import re
from codecs import BOM_UTF8
from collections.abc import Collection
from json import JSONDecodeError, JSONDecoder
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, create_model
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from services.core.web.errors import content_encoding_error, http_error, safe_field_name

MULTIPART_MEDIA_TYPE = b"multipart/form-data"
MAX_PARTS = 32
_MULTIPART_ALLOWED = "multipart/form-data: each field once, texts in UTF-8, pictures as files"


def is_multipart(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == MULTIPART_MEDIA_TYPE


def parse_multipart(content_type: bytes, body: bytes, pictures: Collection[str]) -> dict[str, Any]:
    """Parse a multipart body; files of the fields ``pictures`` become base64, as in a JSON request.

    Raises:
        HttpError: 422 with the reason.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise http_error(422, "multipart_invalid", "The content type names no boundary.", allowed=_MULTIPART_ALLOWED)
    parts = _PartCollector()
    try:
        parser = MultipartParser(boundary, parts.callbacks)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise http_error(
            422, "multipart_invalid", "The body is not multipart/form-data.", allowed=_MULTIPART_ALLOWED
        ) from None
    if not parts.ended:
        raise http_error(422, "multipart_invalid", "The body is cut off.", allowed=_MULTIPART_ALLOWED)
    request: dict[str, Any] = {}
    for options, data in parts.found:
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in request:
            raise http_error(
                422,
                "duplicate_key",
                "The field is given more than once.",
                field=safe_field_name(name),
                allowed="each field once",
            )
        uploaded = b"filename" in options
        if not data and not options.get(b"filename") and (uploaded or name in pictures):
            continue  # a file input without a file
        if uploaded and name not in pictures:
            reason = "This field is no picture, so it cannot be a file."
            raise http_error(422, "not_a_file", reason, field=safe_field_name(name), allowed=_MULTIPART_ALLOWED)
        request[name] = base64.b64encode(data).decode() if uploaded else _decode_text(name, data)
    return request


def _decode_text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        reason = f"The field is not UTF-8 (byte {error.start})."
        raise http_error(422, "not_utf8", reason, field=safe_field_name(name), allowed="UTF-8") from None


class _PartCollector:
    """Collects the parts that the multipart parser emits."""

    def __init__(self) -> None:
        self.found: list[tuple[dict[bytes, bytes], bytes]] = []
        self.ended = False
        self._header, self._value, self._data = bytearray(), bytearray(), bytearray()
        self._options: dict[bytes, bytes] = {}
        self.callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_ended,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": lambda: self.found.append((self._options, bytes(self._data))),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) >= MAX_PARTS:
            raise ValueError("too many parts")
        self._options, self._data = {}, bytearray()

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._options = parse_options_header(bytes(self._value))[1]
        self._header, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        self.ended = True


INCIDENT_FIELD = "incident_id"
MAX_INCIDENT_ID_LENGTH = 64

IncidentId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_INCIDENT_ID_LENGTH)]
"""Blanks around an id mean nothing, in calls, reports and filters alike."""
INCIDENT_ID_DESCRIPTION = (
    "The centre's own id of the incident, if it has one. The same id again is the same call: its latest "
    "prediction counts. Outcomes can be reported by it."
)
INCIDENT_ID_ALLOWED = f"text of 1 to {MAX_INCIDENT_ID_LENGTH} printable characters, or left out"


class IncidentIdExtractor:
    """Removes the incident id from requests before the use case validates them. If the use case has a field of that
    name itself, it stays."""

    def __init__(self, request: type[BaseModel]) -> None:
        self.own_field = INCIDENT_FIELD in request.model_fields

    def split(self, payload: Any) -> tuple[str | None, Any]:
        """Return the incident id, if any, and the request without it. ``payload`` is not modified.

        Raises:
            HttpError: 422, invalid incident id.
        """
        if type(payload) is not dict or INCIDENT_FIELD not in payload:
            return None, payload
        incident = payload[INCIDENT_FIELD]
        if isinstance(incident, str):
            incident = incident.strip()
        if self.own_field:
            return (incident if is_incident_id(incident) else None), payload
        if incident is not None and not is_incident_id(incident):
            raise http_error(
                422, "incident_id", "This is no id of an incident.", field=INCIDENT_FIELD, allowed=INCIDENT_ID_ALLOWED
            )
        request = dict(payload)
        del request[INCIDENT_FIELD]
        return incident, request


def is_incident_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_INCIDENT_ID_LENGTH and value.isprintable()


def with_incident_field(request: type[BaseModel]) -> type[BaseModel]:
    """The request model with the optional incident id, for OpenAPI."""
    if INCIDENT_FIELD in request.model_fields:
        return request
    field: Any = (
        IncidentId | None,
        Field(default=None, description=INCIDENT_ID_DESCRIPTION, examples=["2024-118-0042"]),
    )
    made: type[BaseModel] = create_model(
        request.__name__,
        __base__=request,
        __module__=request.__module__,
        __doc__=request.__doc__,
        **{INCIDENT_FIELD: field},
    )
    return made


MAX_DEPTH = 16
"""Maximum nesting; a single request needs one level, a batch three."""

_ESCAPED_CHARACTER = re.compile(rb"\\.", re.DOTALL)
_JSON_STRING = re.compile(rb'"[^"]*"?')
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b'"{}[]')))


async def read_request_body(scope: Scope, receive: Receive, limit: int, *, uploads: bool = False) -> bytes:
    """Read the body, if its content type is JSON (or, with ``uploads``, multipart) and it is no longer than
    ``limit`` bytes. A byte order mark before it is left out.

    Raises:
        HttpError: 415 for another content type and for a compressed body, 413 for a longer one.
        ClientDisconnect: the client disconnected.
    """
    kind = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length" and (not value.isdigit() or len(value) > 18 or int(value) > limit):
            raise http_error(413, "body_too_large", "The body is too large.", allowed=f"at most {limit} bytes")
        elif name == b"content-encoding" and (refused := content_encoding_error(value)) is not None:
            raise refused
    if not (uploads and is_multipart(kind)):
        _require_json(kind, uploads=uploads)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return _check_size(body, limit)
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise http_error(413, "body_too_large", "The body is too large.", allowed=f"at most {limit} bytes")
    return _check_size(b"".join(chunks), limit)


def _check_size(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise http_error(413, "body_too_large", "The body is too large.", allowed=f"at most {limit} bytes")
    return body.removeprefix(BOM_UTF8)


def _require_json(kind: bytes, *, uploads: bool) -> None:
    media, _, parameters = kind.partition(b";")
    media = media.strip().lower()
    if media != b"application/json" and not (media.startswith(b"application/") and media.endswith(b"+json")):
        allowed = "Content-Type: application/json" + (" or multipart/form-data" if uploads else "")
        reason = "The body has to be JSON" + (" or a form." if uploads else ".")
        raise http_error(415, "content_type", reason, allowed=allowed)
    if parameters and b"charset" in parameters.lower() and b"utf-8" not in parameters.lower():
        raise http_error(415, "content_type", "JSON is UTF-8.", allowed="Content-Type: application/json")


class _DuplicateKeyError(ValueError):
    pass


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found


_decode = JSONDecoder(object_pairs_hook=_reject_duplicate_keys).decode


def parse_json(body: bytes) -> Any:
    """Parse JSON. NaN, infinities and numbers beyond float64 pass here and are refused with their field name
    during validation.

    Raises:
        HttpError: 422 with the reason.
    """
    if not body or body.isspace():
        raise http_error(422, "body_missing", "The body is empty.", allowed="a JSON object")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _nesting_depth(body) > MAX_DEPTH:
        raise http_error(422, "too_deep", "The body nests too deeply.", allowed=f"at most {MAX_DEPTH} levels")
    try:
        return _decode(body.decode())
    except UnicodeDecodeError as error:
        raise http_error(422, "not_utf8", f"The body is not UTF-8 (byte {error.start}).", allowed="UTF-8") from None
    except _DuplicateKeyError as error:
        name = safe_field_name(error.args[0])
        raise http_error(
            422, "duplicate_key", "The field is given more than once.", field=name, allowed="each field once"
        ) from None
    except JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise http_error(422, "json_invalid", f"The body is not JSON: {error.msg} ({where}).", allowed="JSON") from None
    except ValueError:
        raise http_error(422, "json_invalid", "The body holds a number with too many digits.", allowed="JSON") from None


def _nesting_depth(body: bytes) -> int:
    """Maximum nesting of brackets outside strings, in milliseconds per megabyte: a bracket is outside strings if an
    even number of quotes precedes it, and removing adjacent pairs of quotes does not change
    that."""
    if b"\\" in body:
        body = _ESCAPED_CHARACTER.sub(b"", body)
    brackets = _JSON_STRING.sub(b"", body.translate(None, _NO_BRACKETS).replace(b'""', b""))
    deepest = depth = 0
    for byte in brackets:
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest
