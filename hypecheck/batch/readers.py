"""Inputs to records: by what a file holds, not by what it is called.

CSV and TSV, JSON, JSON Lines, Parquet, XLSX, WARC, HTML, mail, plain text, folders of them,
standard input; gzip and zstd around any. Every reader streams, numbers what it reads, and answers
what it cannot read with a :class:`Bad` that names the place; it goes on behind it where it can.
"""

from __future__ import annotations

import csv
import email
import email.policy
import io
import itertools
import json
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import IO, Any

from hypecheck.batch import places
from hypecheck.batch.places import Place
from hypecheck.batch.records import Bad, Columns, Item, Record, choose, records_of
from hypecheck.errors import InputError
from hypecheck.page import looks_like_html, page_text, read_page
from hypecheck.reading import read_bytes

LARGEST_DOCUMENT = 20_000_000  # bytes of a file that is one text
LONGEST_ROW = 10_000  # lines, or 2 MB: a quote that stays open so long was never meant to open
_SAMPLE = 50  # rows looked at to choose columns
_HEAD = 65_536
_DOCUMENTS = frozenset([".txt", ".md", ".html", ".htm", ".xhtml", ".eml"])
_TABLES = frozenset([".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".warc"])
_PACKED = frozenset([".gz", ".zst"])


@dataclass(slots=True)
class Ask:
    """What the user said about the inputs, and how to tell them something."""

    text_columns: Sequence[str] = ()
    id_columns: Sequence[str] = ()
    main_content: bool = False  # of HTML, the article alone
    tell: Callable[[str], None] = lambda _: None
    chosen: dict[str, Columns] = field(default_factory=dict)
    read: int = 0  # bytes of the files that are behind
    _here: Callable[[], float] = lambda: 0  # bytes of the file that is being read

    @property
    def position(self) -> int:
        """How many bytes of the inputs, as they lie there, are behind."""
        try:
            return self.read + int(self._here())
        except (OSError, ValueError):  # a pipe, or closed
            return self.read


def read(inputs: Iterable[str], ask: Ask) -> Iterator[Item]:
    """Give the records of all inputs in order: files, folders (sorted), ``-`` for stdin."""
    return read_places(expand(inputs), ask)


def read_places(places: Iterable[Place], ask: Ask) -> Iterator[Item]:
    """Give the records of some files in order."""
    for place in places:
        if place.name == "-":
            yield from _guarded("standard input", lambda: _stream(sys.stdin.buffer, "stdin", ask))
        else:
            yield from _guarded(place.name, partial(_file, place, ask))
            ask._here = lambda: 0
            ask.read += place.size or 0


def expand(inputs: Iterable[str]) -> list[Place]:
    """Give the files that :func:`read` will read; standard input stays ``-``."""
    return [
        place
        for name in inputs
        for place in ([Place("-")] if name == "-" else places.found(name, _known))
    ]


def _known(name: str) -> bool:
    return _suffix(name) in _DOCUMENTS | _TABLES


def _guarded(name: str, items: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    """Turn what ends a file's reading into an error row, so that the next file is read."""
    n = 0
    try:
        for item in items():
            n += 1
            yield item
    except InputError as e:
        yield Bad(name, "", str(e))
    except FileNotFoundError:
        yield Bad(name, "", "does not exist; check the path")
    except PermissionError:
        yield Bad(name, "", "may not be read: permission denied")
    except (EOFError, zlib.error) as e:
        yield Bad(name, "", f"the compressed data breaks off or is damaged after record {n}: {e}")
    except RecursionError:
        yield Bad(name, "", f"cannot be read on after record {n}: nested too deep")
    except (OSError, ValueError, csv.Error) as e:
        yield Bad(name, "", f"cannot be read on after record {n}: {e}")


def _file(place: Place, ask: Ask) -> Iterator[Item]:
    with place.open() as raw:
        head = raw.read(4)
        if not head:
            yield Bad(place.name, "", "is empty (0 bytes)")
        elif not raw.seekable():  # a pipe
            yield from _stream(_Again(head, raw), place.name, ask)
        else:
            raw.seek(0)
            ask._here = raw.tell
            read = _parquet if head == b"PAR1" else _stream
            yield from read(raw, place.name, ask)


@contextmanager
def _unpacked(raw: Any) -> Iterator[Any]:
    head = raw.read(4)
    whole = _Again(head, raw)
    if head[:2] == b"\x1f\x8b":
        yield _Gunzip(io.BufferedReader(whole))
    elif head == b"\x28\xb5\x2f\xfd":
        import pyarrow as pa

        with pa.CompressedInputStream(pa.PythonFile(whole, mode="r"), "zstd") as plain:
            yield plain
    else:
        yield whole


class _Again(io.RawIOBase):
    """A stream with the bytes that were looked at put back in front."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as there are bytes."""
        data = self._head[: len(buffer)]
        self._head = self._head[len(data) :]
        if len(data) < len(buffer):
            data += self._rest.read(len(buffer) - len(data)) or b""
        buffer[: len(data)] = data
        return len(data)


class _Whole(io.RawIOBase):
    """A stream that ends where its data are damaged, and says afterwards how."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain
        self.error: Exception | None = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as there are bytes."""
        n = 0
        while n < len(buffer) and self.error is None:
            try:  # in small pieces: what is read together with the damage is lost
                piece = self._plain.read(min(8_192, len(buffer) - n))
            except (EOFError, zlib.error, OSError) as e:
                self.error = e
                break
            if not piece:
                break
            buffer[n : n + len(piece)] = piece
            n += len(piece)
        return n


def _whole_lines(raw: Any) -> Iterator[bytes]:
    """Give lines; the last not if damage broke it off."""
    for line in raw:
        if not line.endswith(b"\n") and raw.raw.error is not None:
            return
        yield line


class _Gunzip(io.RawIOBase):
    """Unpacks gzip and gives all that can be unpacked before it says that the end is missing."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._member = zlib.decompressobj(wbits=31)
        self._waiting = b""
        self._error: Exception | None = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as there are bytes."""
        while not self._waiting and self._error is None:
            piece = self._packed.read(65_536)
            if not piece:
                begun = not self._member.eof and not self._fresh
                if begun:
                    self._error = EOFError("the end is missing")
                break
            self._unpack(piece)
        if not self._waiting and self._error is not None:
            raise self._error
        n = min(len(buffer), len(self._waiting))
        buffer[:n] = self._waiting[:n]
        self._waiting = self._waiting[n:]
        return n

    _fresh = True  # no byte of the current member was seen

    def _unpack(self, piece: bytes) -> None:
        try:
            while piece:
                if self._member.eof:
                    if not piece.strip(b"\0"):
                        return  # padding behind the last member
                    self._member = zlib.decompressobj(wbits=31)
                self._fresh = False
                self._waiting += self._member.decompress(piece)
                piece = self._member.unused_data if self._member.eof else b""
        except zlib.error as e:
            self._error = e


def _stream(raw: Any, name: str, ask: Ask) -> Iterator[Item]:
    with _unpacked(raw) as plain:
        whole = _Whole(plain)
        buffered = io.BufferedReader(whole, 1 << 20)
        head = buffered.peek(_HEAD)[:_HEAD]
        stripped = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        suffix = _suffix(name)
        if head[:5] == b"WARC/":
            with tempfile.TemporaryFile() as pages:  # FastWARC reads what it can seek in
                shutil.copyfileobj(buffered, pages)
                yield from _warc(pages, name, ask)
        elif head[:4] == b"PAR1":
            raise InputError("Parquet is read from files only, not packed or from standard input")
        elif head[:4] == b"PK\x03\x04" and (b"xl/" in head or suffix == ".xlsx"):
            yield from _xlsx(buffered.read(), name, ask)
        elif stripped[:1] == b"[" and suffix not in (".csv", ".tsv", ".txt", ".md"):
            yield from _rows(_json_array(buffered, name), name, ask)
        elif stripped[:1] == b"{" and suffix not in (".csv", ".tsv", ".txt", ".md"):
            yield from _rows(_json_lines(buffered, name), name, ask)
        elif suffix in (".csv", ".tsv") or (suffix not in _DOCUMENTS and _tabular(head)):
            yield from _rows(_csv(buffered, head, name), name, ask)
        else:
            text = buffered.read(LARGEST_DOCUMENT + 1)
            if whole.error is None:
                yield _document(text, name, suffix, ask)
        if whole.error is not None:
            raise whole.error


def _suffix(name: str) -> str:
    if places.is_url(name):
        name = name.partition("?")[0]
    suffixes = [s.lower() for s in Path(name).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _tabular(head: bytes) -> bool:
    """Say whether the first lines look like a table: a header of short names, the same columns."""
    lines = _decode_line(head).splitlines()[:5]
    if len(lines) < 2:
        return False
    delimiter = _delimiter(lines[0])
    try:
        rows = list(csv.reader(lines[:2], delimiter=delimiter))
    except csv.Error:
        return False
    return (
        len(rows[0]) > 1
        and all(0 < len(c.strip()) <= 40 for c in rows[0])
        and len(rows[-1]) == len(rows[0])
    )


# One text a file


def _document(raw: bytes, name: str, suffix: str, ask: Ask) -> Item:
    if suffix == ".eml":
        return _mail(raw, name)
    text = read_bytes(raw, name, LARGEST_DOCUMENT)
    if looks_like_html(text):
        text, regions = read_page(_html(text, ask))
        return Record(name, name, text, regions=regions)
    return Record(name, name, text)


def _html(html: str, ask: Ask) -> str:
    """Give what of a page is asked for: the article alone, or everything."""
    if not ask.main_content:
        return html
    from resiliparse.extract.html2text import extract_plain_text

    article: str = extract_plain_text(
        html, preserve_formatting="minimal_html", main_content=True, alt_texts=False
    )
    return article or html  # a page that is no article is read whole


def _mail(raw: bytes, name: str) -> Item:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain", "html"))
    if part is None:
        return Bad(name, "", "a mail without a text")
    try:
        text = part.get_content()
    except (LookupError, UnicodeError) as e:
        return Bad(name, "", f"a mail whose text cannot be decoded: {e}")
    if part.get_content_type() == "text/html":
        text = page_text(text)
    subject = str(message["subject"] or "")
    return Record(
        name,
        name,
        f"{subject}\n\n{text}".strip(),
        advertiser=str(message["from"] or ""),
        date=str(message["date"] or ""),
    )


# Tables: each reader gives (number, place, row), or a Bad

Row = tuple[int, str, Mapping[str, Any]]


def _rows(rows: Iterator[Row | Bad], name: str, ask: Ask) -> Iterator[Item]:
    sample: list[Row | Bad] = []
    broken: Exception | None = None
    try:
        for row in itertools.islice(rows, _SAMPLE):
            sample.append(row)
    except Exception as e:  # what came before it is read all the same
        broken = e
    first = [r[2] for r in sample if not isinstance(r, Bad)]
    if first:
        names = list(dict.fromkeys(n for row in first for n in row))
        columns = choose(names, first, ask.text_columns, ask.id_columns, name)
        if ask.chosen.get(name) != columns:
            ask.chosen[name] = columns
            ask.tell(f"{name}: {columns.describe()}")
    for row in itertools.chain(sample, () if broken else rows):
        if isinstance(row, Bad):
            yield row
        else:
            number, place, values = row
            yield from records_of(values, columns, place, number)
    if broken is not None:
        raise broken
    if not sample:
        raise InputError("holds no record")


def _decode_line(raw: bytes) -> str:
    """Decode bytes of a table: UTF-8, or where that does not fit windows-1252, line by line."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _text_lines(raw: Any, head: bytes) -> Iterator[str]:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield from io.TextIOWrapper(raw, "utf-16", errors="replace", newline="")
        return
    if b"\r" in head and b"\n" not in head:  # Excel's "CSV (Macintosh)"
        yield from io.TextIOWrapper(raw, "cp1252" if _is_cp1252(head) else "utf-8", "replace")
        return
    for n, line in enumerate(_whole_lines(raw)):
        yield _decode_line(line.removeprefix(b"\xef\xbb\xbf") if n == 0 else line).replace("\0", "")


def _is_cp1252(head: bytes) -> bool:
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _delimiter(header: str) -> str:
    found = max(",\t;|", key=header.count)
    return found if found in header else "\x1f"  # one column, whatever its cells hold


def _dialect(header: str, head: str) -> dict[str, Any]:
    """Say how cells are told apart, and quotes within them: doubled, or behind a backslash."""
    escaped = re.search(r'\\"[^,;|\t\r\n]', head) is not None and '""' not in head
    more = {"escapechar": "\\", "doublequote": False} if escaped else {}
    return {"delimiter": _delimiter(header), **more}


class _TooLongError(Exception):
    """A row that does not end."""


class _Lines:
    """Lines that can be put back, with the number of the one that was given last."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._back: list[str] = []
        self.number = 0
        self.taken: list[str] = []  # since the row began
        self._size = 0

    def begin(self) -> None:
        """A new row begins."""
        self.taken.clear()
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LONGEST_ROW or self._size > 2_000_000:
            raise _TooLongError
        line = self._back.pop() if self._back else next(self._lines, None)
        if line is None:
            if self.taken:  # within a row: its quote is open
                raise _TooLongError
            raise StopIteration
        self.number += 1
        self._size += len(line)
        self.taken.append(line)
        return line

    def back_to_second(self) -> None:
        """Put back all lines of the row but its first."""
        self._back += reversed(self.taken[1:])
        self.number -= len(self.taken) - 1


def _csv(raw: Any, head: bytes, name: str) -> Iterator[Row | Bad]:
    csv.field_size_limit(2_000_000)
    lines = _Lines(_text_lines(raw, head))
    first = next(lines, None)
    while first is not None and (not first.strip() or first.lower().startswith("sep=")):
        first = next(lines, None)
    if first is None:
        raise InputError("holds no row")
    dialect = _dialect(first, _decode_line(head))
    header_lines = itertools.chain([first], lines)
    try:
        header = [c.strip() for c in next(csv.reader(header_lines, **dialect))]
    except _TooLongError:
        raise InputError("a quote opens in the header and does not close") from None
    names = [c or f"column {i + 1}" for i, c in enumerate(header)]
    if len(set(names)) < len(names):
        names = [f"{c} ({i + 1})" if names.index(c) < i else c for i, c in enumerate(names)]
    number = 0
    reader = csv.reader(lines, **dialect)
    while True:
        lines.begin()
        at = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except (_TooLongError, csv.Error) as e:
            number += 1
            why = "a quote opens and does not close" if isinstance(e, _TooLongError) else str(e)
            yield Bad(f"{name}, line {at} (row {number})", "", why)
            lines.back_to_second()
            reader = csv.reader(lines, **dialect)
            continue
        if not row:
            continue
        number += 1
        place = f"{name}, line {at} (row {number})"
        if len(row) != len(names) and not (len(row) < len(names) and len(lines.taken) == 1):
            wrong = f"{len(row)} columns where the header has {len(names)}"
            yield Bad(place, "", wrong + "; a stray quote or delimiter")
            if len(lines.taken) > 1:  # the row swallowed others: they are read by themselves
                lines.back_to_second()
                reader = csv.reader(lines, **dialect)
            continue
        yield number, place, dict(itertools.zip_longest(names, row))


def _json_lines(raw: Any, name: str) -> Iterator[Row | Bad]:
    number = 0
    for n, line in enumerate(_whole_lines(raw), 1):
        if n == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        number += 1
        place = f"{name}, line {n}"
        try:
            value = json.loads(_decode_line(line))
        except (ValueError, RecursionError) as e:
            if number == 1 and _ends_open(line):
                yield from _json_object(line + raw.read(), name)
                return
            why = (
                f"{e.msg} at column {e.colno}"
                if isinstance(e, json.JSONDecodeError)
                else "too deep"
            )
            yield Bad(place, "", f"not JSON: {why}")
            continue
        if not isinstance(value, dict):
            yield Bad(place, "", "not a JSON object")
            continue
        held = _held(value)
        if held is None:
            yield number, place, value
        else:  # the answer of an API, a page of many
            yield from ((i, f"{place}, record {i}", row) for i, row in enumerate(held, 1))


def _held(value: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Give the records that an object holds besides what speaks of them; None for a record."""
    if any(name in value for name in ("id", "text", "body")):
        return None
    for name in ("data", "ads", "results", "items", "records"):
        rows = value.get(name)
        if isinstance(rows, list) and rows and all(isinstance(r, dict) for r in rows):
            return (
                rows if not any(isinstance(v, str) and " " in v for v in value.values()) else None
            )
    return None


def _ends_open(line: bytes) -> bool:
    return line.strip() in (b"{",) or line.rstrip().endswith((b"{", b"[", b","))


def _json_object(raw: bytes, name: str) -> Iterator[Row | Bad]:
    """Read one object over several lines: a record, or what holds the list of them ("data")."""
    value = json.loads(_decode_line(raw))
    rows = next(
        (v for v in value.values() if isinstance(v, list) and v and isinstance(v[0], dict)), [value]
    )
    for n, row in enumerate(rows, 1):
        place = f"{name}, record {n}"
        if isinstance(row, dict):
            yield n, place, row
        else:
            yield Bad(place, "", "not a JSON object")


def _json_array(raw: IO[bytes], name: str) -> Iterator[Row | Bad]:
    """Read a list of objects piece by piece: it need not fit into memory."""
    decoder = json.JSONDecoder()
    text = io.TextIOWrapper(raw, "utf-8-sig", errors="replace")
    buffer = ""
    number = 0
    ended = False
    opened = False
    while True:
        buffer = buffer.lstrip(" \t\r\n,")
        if not opened and buffer:
            buffer = buffer.removeprefix("[")
            opened = True
            continue
        if buffer[:1] == "]":
            return
        if buffer:
            try:
                value, end = decoder.raw_decode(buffer)
            except json.JSONDecodeError:
                if ended or len(buffer) > 50_000_000:
                    raise InputError(
                        f"record {number + 1} is not JSON, or the file breaks off in it"
                    ) from None
            else:
                if end < len(buffer) or ended:
                    number += 1
                    buffer = buffer[end:]
                    place = f"{name}, record {number}"
                    if isinstance(value, dict):
                        yield number, place, value
                    elif isinstance(value, str):
                        yield number, place, {"text": value}
                    else:
                        yield Bad(place, "", "neither an object nor a string")
                    continue
        elif ended:
            if opened:
                raise InputError("the list is not closed: the file breaks off")
            return
        piece = text.read(1 << 20)
        ended = not piece
        buffer += piece


def _parquet(raw: IO[bytes], name: str, ask: Ask) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(raw)
    except pa.ArrowException as e:
        raise InputError(f"not readable as Parquet, perhaps cut off: {e}") from None

    number = 0
    size, every = raw.seek(0, 2), max(1, file.metadata.num_rows)
    ask._here = lambda: size * number / every

    def rows() -> Iterator[Row | Bad]:
        nonlocal number
        try:
            for batch in file.iter_batches(1_000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, f"{name}, row {number}", row
        except (pa.ArrowException, OSError) as e:
            raise InputError(f"damaged after row {number}: {e}") from None

    yield from _rows(rows(), name, ask)


def _xlsx(raw: bytes, name: str, ask: Ask) -> Iterator[Item]:
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
    except calamine.CalamineError as e:
        raise InputError(f"not readable as an Excel workbook: {e}") from None

    def rows(sheet: str) -> Iterator[Row | Bad]:
        header: list[str] = []
        for n, cells in enumerate(book.get_sheet_by_name(sheet).iter_rows(), 1):
            filled = sum(bool(str(c).strip()) for c in cells)
            if not filled or (not header and filled == 1 < len(cells)):  # a title over the table
                continue
            if not header:
                header = [str(c).strip() or f"column {i + 1}" for i, c in enumerate(cells)]
                continue
            values = {k: v if v != "" else None for k, v in zip(header, cells, strict=False)}
            yield n, f"{name}, sheet {sheet}, row {n}", values

    sheets = [s for s in book.sheet_names if book.get_sheet_by_name(s).height]
    if not sheets:
        raise InputError("holds no record")
    for sheet in sheets:
        shown = f"{name}, sheet {sheet}"
        yield from _guarded(shown, partial(_rows, rows(sheet), shown, ask))


def _warc(raw: IO[bytes], name: str, ask: Ask) -> Iterator[Item]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    number = 0
    size = raw.seek(0, 2)
    raw.seek(0)
    pages = ArchiveIterator(
        raw,
        record_types=WarcRecordType.response | WarcRecordType.conversion,  # conversion: WET's text
        auto_decode="all",  # chunks, gzip, brotli
        quirks_mode=True,
    )
    for record in pages:
        number += 1
        url = record.headers.get("WARC-Target-URI", "") or ""
        place = f"{name}, record {number} ({url})"
        head = sum(len(k) + len(v) + 4 for k, v in record.headers.items())
        if record.stream_pos + head + int(record.headers.get("Content-Length") or 0) > size:
            yield Bad(place, url, "the page breaks off")
            return
        kind = (record.http_content_type or "").lower()
        if record.record_type == WarcRecordType.conversion:
            kind = "text/plain"
        if kind and kind not in ("text/html", "application/xhtml+xml", "text/plain"):
            continue
        body = record.reader.read(LARGEST_DOCUMENT)
        charset = record.http_charset
        if charset:
            try:
                text = body.decode(charset, "replace")
            except LookupError:
                charset = None
        if not charset:
            try:
                text = read_bytes(body, place, LARGEST_DOCUMENT)
            except InputError:
                text = body.decode("cp1252", "replace")
        regions = None
        if kind != "text/plain":
            text, regions = read_page(_html(text, ask))
        if not text.strip():
            continue
        date = record.headers.get("WARC-Date", "") or ""
        yield Record(place, url, text, date=date, site=_host(url), regions=regions)


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
