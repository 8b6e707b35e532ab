"""Lists the text files and workbooks of a file or folder, also inside zip and gzip archives. Nothing is unpacked to
disk.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from services.core.errors import VigieError

_FIRST = 1 << 12
_HEAD = 1 << 18
_NESTED = 3
_TEXT_SUFFIXES = {".csv", ".tsv", ".txt"}
_WORKBOOK_PARTS = "xl/workbook.xml"
_CUT_OFF = (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile)
_DAMAGE = (*_CUT_OFF, NotImplementedError, RuntimeError)

Kind = Literal["text", "workbook", "other", "damaged"]
Opener = Callable[[], AbstractContextManager[BinaryIO]]
SkipPredicate = Callable[[str], bool]
"""Returns whether to skip a file of this name."""


def _skip_nothing(_name: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Document:
    """A text file or workbook. ``name`` is for display: the path below the folder, archives included."""

    name: str
    kind: Kind
    head: bytes
    """First lines of a text, complete lines where possible."""
    _open: Opener
    fault: VigieError | None = None
    """Why it cannot be opened, if it is damaged."""

    @property
    def should_be_readable(self) -> bool:
        return Path(self.name).suffix.lower() in _TEXT_SUFFIXES

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the content.

        Raises:
            VigieError: it is damaged, at once or where that is read.
        """
        if self.fault is not None:
            raise self.fault
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(self._open())
            except _DAMAGE as error:
                raise _damaged_file(self.name, error) from error
            try:
                yield stream
            except _CUT_OFF as error:
                raise _damaged_file(self.name, error) from error

    def read(self) -> bytes:
        """Read the content; raises as ``open``."""
        with self.open() as stream:
            return stream.read()


def list_documents(path: Path, skip: SkipPredicate = _skip_nothing) -> Iterator[Document]:
    """Yield all documents of a folder and its subfolders in path order, or those of one file; names for which
    ``skip`` is true are not opened. An archive or workbook that cannot be opened is a document of the kind ``damaged``.
    """
    if path.is_file():
        yield from _inside(path.name, lambda: path.open("rb"), 0, skip)
        return
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and not any(part.startswith((".", "~$")) for part in relative.parts):
            yield from _inside(relative.as_posix(), lambda file=file: file.open("rb"), 0, skip)  # type: ignore[misc]


def _inside(
    name: str, opener: Opener, depth: int, skip: SkipPredicate, head: bytes | None = None
) -> Iterator[Document]:
    if skip(name):
        return
    try:
        if head is None:
            with opener() as stream:
                head = _head(stream)
    except _DAMAGE as error:
        yield _damaged(name, opener, error)
        return
    if not head and depth == 0:
        yield Document(name, "other", b"", opener)
    elif head.startswith(b"\x1f\x8b") and depth < _NESTED:
        yield from _inside(name.removesuffix(".gz"), _unzipped(opener), depth + 1, skip)
    elif head.startswith(b"PK") or Path(name).suffix.lower() in {".zip", ".xlsx"}:
        yield from _archive(name, opener, depth, skip)
    else:
        yield Document(name, _kind(name, head), _whole_lines(head), opener)


def _archive(name: str, opener: Opener, depth: int, skip: SkipPredicate) -> Iterator[Document]:
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(ensure_seekable(stack.enter_context(opener()))))
        except _DAMAGE as error:
            yield _damaged(name, opener, error)
            return
        members = sorted(member.filename for member in archive.infolist() if not member.is_dir())
        if _WORKBOOK_PARTS in members:
            yield Document(name, "workbook", b"", opener)
        elif depth < _NESTED:
            for member in members:
                if not Path(member).name.startswith((".", "~$")) and not skip(member):
                    yield from _in_archive(archive, name, member, opener, depth=depth, skip=skip)


def _in_archive(
    archive: zipfile.ZipFile, name: str, member: str, opener: Opener, *, depth: int, skip: SkipPredicate
) -> Iterator[Document]:
    """Open the member in the already open archive: reopening it for each of thousands takes minutes."""
    try:
        with archive.open(member) as inner:
            head = _head(cast("BinaryIO", inner))
    except _DAMAGE as error:
        yield _damaged(f"{name}/{member}", opener, error)
        return
    yield from _inside(f"{name}/{member}", _member(opener, member), depth + 1, skip, head)


def _head(stream: BinaryIO) -> bytes:
    """The start of a file; short for content that is not text."""
    first = stream.read(_FIRST)
    textual = _kind("", first) == "text"
    return first + stream.read(_HEAD - len(first)) if textual else first


def _member(opener: Opener, member: str) -> Opener:
    @contextmanager
    def open_member() -> Iterator[BinaryIO]:
        with opener() as stream, zipfile.ZipFile(ensure_seekable(stream)) as archive, archive.open(member) as inner:
            yield cast("BinaryIO", inner)

    return open_member


def _unzipped(opener: Opener) -> Opener:
    @contextmanager
    def open_unzipped() -> Iterator[BinaryIO]:
        with opener() as stream, gzip.GzipFile(fileobj=stream) as inner:
            yield cast("BinaryIO", inner)

    return open_unzipped


def ensure_seekable(stream: BinaryIO) -> BinaryIO:
    return stream if stream.seekable() else io.BytesIO(stream.read())


def _kind(name: str, head: bytes) -> Kind:
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    textual = utf16 or b"\0" not in head
    return "text" if textual or Path(name).suffix.lower() in _TEXT_SUFFIXES else "other"


def _whole_lines(head: bytes) -> bytes:
    """Remove the last, incomplete line, so that no character is truncated."""
    if len(head) < _HEAD:
        return head
    end = head.rfind(b"\n") + 1
    return head[:end] if end and not head.startswith((b"\xff\xfe", b"\xfe\xff")) else head[: len(head) & ~3]


def _damaged(name: str, opener: Opener, error: Exception) -> Document:
    return Document(name, "damaged", b"", opener, _damaged_file(name, error))


def _damaged_file(name: str, error: Exception) -> VigieError:
    return VigieError(
        f"{name} is damaged, cut off or locked with a password: {error}",
        expected="a complete zip, gzip or xlsx file",
        action="Fetch or export it again.",
    )
