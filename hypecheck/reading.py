"""Bytes of a file or of standard input to text, or one line that says why not and what to do.

Knows encodings and file types. What the text means, HTML included, is for :mod:`hypecheck.page`.
"""

from __future__ import annotations

import codecs
import re
import shlex
from pathlib import Path

from hypecheck.errors import InputError
from hypecheck.page import looks_like_html

# What a file begins with, what that is, and a command that gives its text ("" where none does).
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF", "pdftotext {name} - | hypecheck check -"),
    (b"\x89PNG\r\n", "a PNG image", "tesseract {name} - | hypecheck check -"),
    (b"\xff\xd8\xff", "a JPEG image", "tesseract {name} - | hypecheck check -"),
    (b"GIF8", "a GIF image", ""),
    (b"II*\x00", "a TIFF image", "tesseract {name} - | hypecheck check -"),
    (b"MM\x00*", "a TIFF image", "tesseract {name} - | hypecheck check -"),
    (b"\x1f\x8b", "gzip-compressed", "gzip -dc {name} | hypecheck check -"),
    (b"BZh91AY&SY", "bzip2-compressed", "bzip2 -dc {name} | hypecheck check -"),
    (b"\xfd7zXZ\x00", "xz-compressed", "xz -dc {name} | hypecheck check -"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "zstd -dc {name} | hypecheck check -"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "antiword {name} | hypecheck check -"),
    (b"{\\rtf", "an RTF document", "pandoc -f rtf -t plain {name} | hypecheck check -"),
    (b"SQLite format 3\x00", "an SQLite database", ""),
    (b"PAR1", "a Parquet file", ""),
    (b"\x7fELF", "a program", ""),
)
_OFFICE: tuple[tuple[bytes, str, str], ...] = (
    (b"word/", "a Word document (DOCX)", "pandoc -t plain {name} | hypecheck check -"),
    (b"opendocument.text", "an OpenDocument text", "pandoc -t plain {name} | hypecheck check -"),
    (b"epub+zip", "an e-book (EPUB)", "pandoc -t plain {name} | hypecheck check -"),
    (b"xl/", "an Excel workbook", ""),
    (b"ppt/", "a PowerPoint file", ""),
)
_STDIN = frozenset(("-", "<stdin>", "stdin", "standard input"))
_HEAD = 4096  # bytes; browsers look for a declaration in the first 1024
_DECLARED = re.compile(
    rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]+)|^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""",
    re.I,
)
# Labels that the web reads as windows-1252 (WHATWG Encoding Standard, 4.2).
_WINDOWS_1252 = frozenset(
    [
        "ascii",
        "us-ascii",
        "latin1",
        "latin-1",
        "l1",
        "iso-8859-1",
        "iso8859-1",
        "iso_8859-1",
        "cp1252",
        "windows-1252",
        "x-cp1252",
    ]
)
# Python has codecs that do not give text (hex, zip): only these families are looked up.
_TEXT_ENCODING = re.compile(
    r"(?:windows-?|cp)(?:125\d|866|874|932|949)|(?:x-)?mac-?roman|iso[-_]?8859[-_]\d{1,2}|"
    r"koi8-[ru]|gb(?:k|2312|18030)|big5(?:-hkscs)?|shift[-_]?jis|euc-(?:jp|kr|cn)|iso-2022-jp",
    re.I,
)


def read_path(path: str | Path, limit: int) -> str:
    """Read a file as text; ``limit`` is in bytes.

    Reads at most one byte more than ``limit``, so a device or a pipe without an end is no danger.

    Raises:
        InputError: the file is missing, a directory, not to be read, or what
            :func:`read_bytes` refuses; one line that names it and says what to do.
    """
    path = Path(path)
    name = _shown(str(path))
    try:
        if path.is_dir():
            raise InputError(
                f"{name} is a directory; name the files in it, `hypecheck check {_quoted(path)}/*`"
            )
        with path.open("rb") as file:
            raw = file.read(limit + 1)
            size = max(len(raw), path.stat().st_size) if len(raw) > limit else len(raw)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist; check the path") from None
    except PermissionError:
        raise InputError(f"{name} may not be read: permission denied") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{name} cannot be read: {_shown(why)}") from None
    if size > limit:
        raise _too_large(size, str(path), limit)
    return read_bytes(raw, str(path), limit)


def read_bytes(raw: bytes, name: str, limit: int) -> str:
    """Decode the bytes of the input called ``name``; ``limit`` is in bytes.

    UTF-8, UTF-16 and UTF-32 with a byte order mark, and in HTML the encoding that it declares.
    A byte order mark is no part of the text; line ends stay as they are.

    Raises:
        InputError: not text, not in a known encoding, or larger than ``limit``; one line that
            names the input, the place where there is one, and what to do.

    >>> read_bytes("Café".encode(), "ad.txt", 1000)
    'Café'
    """
    if len(raw) > limit:
        raise _too_large(len(raw), name, limit)
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if raw.startswith(mark):
            return _decode(raw[len(mark) :], encoding, name, skipped=len(mark))
    _refuse_binary(raw, name)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = _declared(raw)
        if text is None:
            raise _not_utf8(error, raw, name) from None
        return text


def _too_large(size: int, name: str, limit: int) -> InputError:
    return InputError(
        f"{_shown(name)} is too large: {size:,} bytes, and the limit is {limit:,}; split it "
        "into files of one text each"
    )


def _decode(raw: bytes, encoding: str, name: str, skipped: int) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8":
            raise _not_utf8(error, raw, name, skipped) from None
        raise InputError(
            f"{_shown(name)} begins as {encoding[:6].upper()} but breaks off or is damaged at byte "
            f"offset {error.start + skipped}; save it again as UTF-8"
        ) from None


def _refuse_binary(raw: bytes, name: str) -> None:
    kind = how = ""
    for magic, title, command in _MAGIC:
        if raw.startswith(magic):
            kind, how = title, command
            break
    else:
        if raw.startswith(b"PK\x03\x04"):
            kind, how = "a ZIP archive", ""
            for sign, title, command in _OFFICE:
                if sign in raw:
                    kind, how = title, command
                    break
        elif raw[:4] == b"RIFF" and raw[8:12] in (b"WEBP", b"AVI ", b"WAVE"):
            kind = "a WebP image" if raw[8:12] == b"WEBP" else "a sound or video file"
        elif raw[4:8] == b"ftyp":
            kind = "an image or video file"
    if kind:
        hint = f"try `{how.format(name=_quoted(name))}`" if how else "give its words as plain text"
        raise InputError(f"{_shown(name)} is {kind}, and only text and HTML are read; {hint}")
    at = raw.find(b"\0")
    if at < 0:
        return
    even, odd = raw[0:400:2].count(0), raw[1:400:2].count(0)
    if max(even, odd) * 5 > min(len(raw), 400) and min(even, odd) * 10 < max(even, odd):
        code = "UTF-16LE" if odd > even else "UTF-16BE"
        raise InputError(
            f"{_shown(name)} looks like {code} without a byte order mark; convert it with "
            f"`iconv -f {code} -t utf-8 {_quoted(name)}`"
        )
    raise InputError(
        f"{_shown(name)} is binary (a NUL byte at offset {at}), and only text and HTML are read; "
        "give its words as plain text"
    )


def _declared(raw: bytes) -> str | None:
    """Decode HTML by the encoding that it declares; None where it is no HTML or declares none."""
    m = _DECLARED.search(raw[:_HEAD])
    if m is None or not looks_like_html(raw.decode("latin-1")):
        return None
    label = (m[1] or m[2]).decode("ascii", "replace").lower()
    if label in _WINDOWS_1252:
        label = "cp1252"
    elif not _TEXT_ENCODING.fullmatch(label):
        return None
    try:
        # A page with a few bad bytes is shown by every browser, so it is read here too.
        return raw.decode(label.replace("x-mac", "mac").replace("windows-", "cp"), "replace")
    except LookupError:
        return None


def _not_utf8(error: UnicodeDecodeError, raw: bytes, name: str, skipped: int = 0) -> InputError:
    line = raw.count(b"\n", 0, error.start) + 1
    # Latin-1 has no printable characters between 80 and 9F; windows-1252 has its quotes there.
    code = "windows-1252" if re.search(rb"[\x80-\x9f]", raw) else "iso-8859-1"
    return InputError(
        f"{_shown(name)} is not UTF-8: byte 0x{raw[error.start]:02x} at byte offset "
        f"{error.start + skipped} (line {line}); convert it, for example "
        f"`iconv -f {code} -t utf-8 {_quoted(name)}`"
    )


def _quoted(name: str | Path) -> str:
    """Give ``name`` as an argument of a command; ``-`` where it stands for standard input."""
    return "-" if str(name) in _STDIN else _shown(shlex.quote(str(name)))


def _shown(name: str) -> str:
    """Give ``name`` fit for one line of a terminal: control characters as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
