"""Requests as multipart/form-data: texts as fields, pictures as uploaded files. What comes out is the same request
as in JSON, so everything behind it is the same too. All of it stays in memory, and names of files mean nothing."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.prediction.faults import name_of, refused

MEDIA = b"multipart/form-data"
MOST_PARTS = 32
_ALLOWED = "multipart/form-data: each field once, texts in UTF-8, pictures as files"


def is_upload(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == MEDIA


def parse_upload(content_type: bytes, body: bytes, pictures: Collection[str]) -> dict[str, Any]:
    """The request in ``body``; files of the fields ``pictures`` in base64, as they would stand in JSON.

    Raises:
        RefusedError: 422 with the reason.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise refused(422, "multipart_invalid", "The content type names no boundary.", allowed=_ALLOWED)
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise refused(422, "multipart_invalid", "The body is not multipart/form-data.", allowed=_ALLOWED) from None
    if not parts.ended:
        raise refused(422, "multipart_invalid", "The body is cut off.", allowed=_ALLOWED)
    request: dict[str, Any] = {}
    for options, data in parts.found:
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in request:
            raise refused(
                422,
                "duplicate_key",
                "The field is given more than once.",
                field=name_of(name),
                allowed="each field once",
            )
        uploaded = b"filename" in options
        if not data and not options.get(b"filename") and (uploaded or name in pictures):
            continue  # a form in which no file was chosen
        if uploaded and name not in pictures:
            reason = "This field is no picture, so it cannot be a file."
            raise refused(422, "not_a_file", reason, field=name_of(name), allowed=_ALLOWED)
        request[name] = base64.b64encode(data).decode() if uploaded else _text(name, data)
    return request


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        reason = f"The field is not UTF-8 (byte {error.start})."
        raise refused(422, "not_utf8", reason, field=name_of(name), allowed="UTF-8") from None


class _Parts:
    """Collects the parts of a body as they are read."""

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
        if len(self.found) >= MOST_PARTS:
            raise ValueError("too many parts")
        self._options, self._data = {}, bytearray()

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._options = parse_options_header(bytes(self._value))[1]
        self._header, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        self.ended = True
