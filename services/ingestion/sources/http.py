"""Downloads official files over HTTP with caching, resume and retry."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import httpx
import structlog
from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from services.core.contract.use_case import OfficialFile, UseCase
from services.core.errors import VigieError
from services.core.raw_files import landing
from services.core.raw_files.documents import list_documents
from services.core.raw_files.landing import LandedFile
from services.ingestion.sources.base import FetchResult, LandingWriter

_LONGEST_PAUSE = 30.0
_RETRYABLE_STATUS = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Limits of a download. Reads time out after ten times ``connect_seconds``."""

    connect_seconds: float
    size_bytes: int
    attempts: int = 4
    pause_seconds: float = 0.5
    """Delay before the second attempt; doubled for each further one, at most 30 s."""


class CacheEntry(BaseModel):
    """Metadata of a cached response body, complete or partial."""

    url: str
    etag: str | None = None
    modified: str | None = None
    sha256: str | None = None
    """Set when the body is complete."""

    @property
    def strong(self) -> str | None:
        """The ETag if it is strong: weak validators must not be used for range requests (RFC 9110, 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None

    @classmethod
    def read(cls, path: Path, url: str) -> Self | None:
        try:
            known = cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        return known if known.url == url else None


class _RetryableError(Exception):
    """A failure that may succeed when retried."""


_WORTH_ANOTHER_ATTEMPT = (_RetryableError, httpx.TransportError)


def http_client(limits: DownloadLimits) -> httpx.Client:
    timeout = httpx.Timeout(limits.connect_seconds * 10, connect=limits.connect_seconds)
    # byte ranges refer to the encoded body, so compression is disabled
    return httpx.Client(timeout=timeout, follow_redirects=True, headers={"Accept-Encoding": "identity"})


def is_available(url: str, limits: DownloadLimits) -> bool:
    """Whether the server has the file, with one short request. Uses GET, because URLs signed for GET refuse HEAD, and
    runs in a thread, because name resolution has no timeout."""
    found: list[bool] = []

    def ask() -> None:
        try:
            with http_client(limits) as http, http.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer:
                found.append(answer.status_code in {200, 206, 416})
        except httpx.HTTPError as error:
            structlog.get_logger().debug("not there", url=url, reason=str(error))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(2 * limits.connect_seconds)
    return found == [True]


def download(url: str, folder: Path, limits: DownloadLimits, *, sha256: str | None = None) -> Path:
    """Return the complete, current body of ``url``, cached in ``folder`` (one folder per URL).

    Raises:
        VigieError: the download fails, is larger than allowed or does not match ``sha256``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = structlog.get_logger().bind(url=url)

    def attempt() -> Path:
        with http_client(limits) as http:
            return _attempt(http, url, folder, limits, sha256)

    def interrupted(state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        log.warning(
            "download interrupted",
            attempt=state.attempt_number,
            reason=_reason(state.outcome.exception()),
            again_in_seconds=state.next_action.sleep,
        )

    retrying = Retrying(
        retry=retry_if_exception_type(_WORTH_ANOTHER_ATTEMPT),
        stop=stop_after_attempt(limits.attempts),
        wait=wait_exponential(limits.pause_seconds, max=_LONGEST_PAUSE),
        before_sleep=interrupted,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except _WORTH_ANOTHER_ATTEMPT as error:
        raise _unavailable(url, f"{_reason(error)} ({limits.attempts} attempts)") from error
    except httpx.HTTPError as error:
        raise _unavailable(url, _reason(error)) from error


def _reason(error: BaseException | None) -> str:
    return str(error) or type(error).__name__


def _attempt(http: httpx.Client, url: str, folder: Path, limits: DownloadLimits, sha256: str | None) -> Path:
    body, part = folder / "body", folder / "part"
    complete = CacheEntry.read(folder / "body.json", url)
    if complete is not None and (not body.is_file() or _file_sha256(body) != complete.sha256):
        complete = None  # the cache is damaged: download again
    started = CacheEntry.read(folder / "part.json", url)
    offset = part.stat().st_size if part.is_file() and started is not None and started.strong else 0
    headers: dict[str, str] = {}
    if offset and started is not None and started.strong is not None:
        headers |= {"Range": f"bytes={offset}-", "If-Range": started.strong}
    elif complete is not None:
        headers |= {"If-None-Match": complete.etag} if complete.etag else {}
        headers |= {"If-Modified-Since": complete.modified} if complete.modified else {}
    with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 304 and complete is not None:
            return body
        if answer.status_code in _RETRYABLE_STATUS:
            raise _RetryableError(f"the server answered {answer.status_code}")
        if answer.status_code == 416:
            part.unlink(missing_ok=True)
            raise _RetryableError("the server no longer has the part that is missing")
        if answer.status_code not in {200, 206}:
            raise _unavailable(url, f"the server answered {answer.status_code}")
        if answer.status_code == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            part.unlink(missing_ok=True)
            raise _RetryableError("the server sent another range than the one asked for")
        known = CacheEntry(url=url, etag=answer.headers.get("ETag"), modified=answer.headers.get("Last-Modified"))
        (folder / "part.json").write_text(known.model_dump_json())
        _receive(answer, part, offset if answer.status_code == 206 else 0, limits.size_bytes)
    digest = _file_sha256(part)
    if sha256 is not None and digest != sha256:
        part.unlink()
        raise VigieError(
            f"{url} is not the file that was expected: its SHA-256 is {digest}.",
            expected=f"SHA-256 {sha256}",
            action="See whether the publisher replaced the file; if so, correct the declaration.",
        )
    part.replace(body)
    (folder / "body.json").write_text(known.model_copy(update={"sha256": digest}).model_dump_json())
    (folder / "part.json").unlink()
    return body


def _receive(answer: httpx.Response, part: Path, offset: int, limit: int) -> None:
    """Append the body after the first ``offset`` bytes, never beyond ``limit`` in total."""
    announced = answer.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and offset + int(announced) > limit:
        raise _too_large(str(answer.url), limit)
    size = offset
    with part.open("r+b" if offset else "wb") as stream:
        stream.seek(offset)
        for block in answer.iter_raw():  # unbuffered: buffered blocks are lost if the connection breaks
            size += len(block)
            if size > limit:
                stream.truncate(0)
                raise _too_large(str(answer.url), limit)
            stream.write(block)
        stream.truncate()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unavailable(url: str, reason: str) -> VigieError:
    return VigieError(
        f"{url} cannot be downloaded: {reason}.",
        expected="the official file",
        action="Try again later, or download it by hand into the drop folder (--source DIR).",
    )


def _too_large(url: str, limit: int) -> VigieError:
    return VigieError(
        f"{url} is larger than {limit / 1e6:,.0f} MB, the most that is accepted.",
        action="Raise VIGIE_OFFICIAL_SIZE_LIMIT_MB if this size is right.",
    )


class HttpSource:
    """Downloads the use case's official files; unchanged ones are not fetched again. All are downloaded before
    the first one lands, so that a failure changes nothing."""

    name = "official"

    def __init__(self, use_case: UseCase, cache: Path, limits: DownloadLimits) -> None:
        self._use_case = use_case
        self._cache = cache
        self._limits = limits

    def available(self) -> bool:
        files = self._use_case.data.official_files
        return bool(files) and is_available(files[0].url, self._limits)

    def fetch(self, folder: Path) -> FetchResult:
        files = self._use_case.data.official_files
        if not files:
            raise VigieError(
                f"{self._use_case.name} has no official download.", action="Use --source with a folder, or simulator."
            )
        bodies = [
            download(file.url, self._cache / _url_hash(file.url), self._limits, sha256=file.sha256) for file in files
        ]
        folder.parent.mkdir(parents=True, exist_ok=True)
        # next to the landing folder: the texts of a large workbook may not fit into the temporary folder
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            arrivals = LandingWriter(folder, Path(scratch), self._use_case.data.tables)
            for file, body in zip(files, bodies, strict=True):
                _land(arrivals, file, body)
        return FetchResult(tuple(arrivals.added), tuple(arrivals.known), arrivals.ignored)


def _land(arrivals: LandingWriter, file: OfficialFile, body: Path) -> None:
    wanted = [document for document in list_documents(body, arrivals.is_image) if arrivals.wanted(document)]
    pictured = next(arrivals.images(body), None) is not None
    if pictured:
        arrivals.land_images(body, "official")
    if not wanted and not pictured:
        raise VigieError(
            f"{file.url} is not in a known layout: {'; '.join(arrivals.ignored.values()) or 'it is empty'}.",
            expected="a file with the header of " + ", ".join(table.name for table in arrivals.tables),
            action="See what the publisher changed; the use case's tables may need new marks.",
        )
    for document in wanted:
        name = _file_name(file) if document.name == body.name else document.name.removeprefix(f"{body.name}/")
        for newest in arrivals.land(document, "official", name):
            _remove_older_editions(arrivals.folder, newest)


def _remove_older_editions(folder: Path, newest: LandedFile) -> None:
    """Delete older editions: an official file is complete, so that its new edition also removes withdrawn rows."""
    for file in landing.list_files(folder):
        if file.origin == "official" and file.name == newest.name and file.number < newest.number:
            file.path.unlink()


def _file_name(file: OfficialFile) -> str:
    return unquote(Path(urlsplit(file.url).path).name) or file.title


def _url_hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
