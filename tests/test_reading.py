"""Bytes to text, and the one-line refusals that say what to do."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypecheck.errors import InputError
from hypecheck.reading import read_bytes, read_path

LIMIT = 100_000
TEXT = "Café “cure” – 100 %\r\n🔥"
PAGE = "<!doctype html><html><head><meta charset={}><title>Café</title><body><p>“Now”</p>"

READ = {
    "utf-8": (TEXT.encode(), TEXT),
    "utf-8 with mark": (codecs.BOM_UTF8 + TEXT.encode(), TEXT),
    "utf-16 little": (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), TEXT),
    "utf-16 big": (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), TEXT),
    "utf-32": (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), TEXT),
    "empty": (b"", ""),
    "page in windows-1252": (
        PAGE.format("windows-1252").encode("cp1252"),
        PAGE.format("windows-1252"),
    ),
    "page called latin-1": (
        PAGE.format('"iso-8859-1"').encode("cp1252"),
        PAGE.format('"iso-8859-1"'),
    ),
    "page in utf-8 that says latin-1": (PAGE.format("latin1").encode(), PAGE.format("latin1")),
    "http-equiv": (
        b"<html><meta http-equiv=Content-Type content='text/html; charset=koi8-r'><p>\xc1</p>",
        "<html><meta http-equiv=Content-Type content='text/html; charset=koi8-r'><p>\u0430</p>",
    ),
    "xml declaration": (
        b"<?xml version='1.0' encoding='iso-8859-2'?><html><p>\xb1</p>",
        "<?xml version='1.0' encoding='iso-8859-2'?><html><p>ą</p>",
    ),
}


@pytest.mark.parametrize(("raw", "text"), READ.values(), ids=READ)
def test_text_is_read(raw: bytes, text: str) -> None:
    assert read_bytes(raw, "ad.txt", LIMIT) == text


REFUSED = {
    "windows-1252 text": (
        b"First line\nit\x92s here",
        ["not UTF-8", "0x92", "byte offset 13", "line 2", "iconv -f windows-1252 -t utf-8 ad.txt"],
    ),
    "latin-1 text": (b"caf\xe9", ["0xe9", "iconv -f iso-8859-1 -t utf-8"]),
    "bad after mark": (codecs.BOM_UTF8 + b"a\xff", ["byte offset 4"]),
    "utf-16 without mark": ("Cure now".encode("utf-16-le"), ["UTF-16LE", "iconv"]),
    "odd utf-16": (codecs.BOM_UTF16_LE + b"a", ["UTF-16", "damaged"]),
    "declared in prose": (b"charset=latin1 caf\xe9", ["not UTF-8"]),
    "page of an unknown encoding": (b"<html><meta charset=hex><p>\xe9", ["not UTF-8"]),
    "PDF": (b"%PDF-1.7\n\x00", ["a PDF", "pdftotext ad.txt -"]),
    "PNG": (b"\x89PNG\r\n\x1a\n", ["PNG image", "tesseract"]),
    "JPEG": (b"\xff\xd8\xff\xe0", ["JPEG image"]),
    "DOCX": (b"PK\x03\x04....word/document.xml", ["Word document", "pandoc"]),
    "ZIP": (b"PK\x03\x04....a.txt", ["ZIP archive"]),
    "gzip": (b"\x1f\x8b\x08\x00", ["gzip", "gzip -dc ad.txt"]),
    "WebP": (b"RIFF\x00\x00\x00\x00WEBP", ["WebP image"]),
    "video": (b"\x00\x00\x00\x18ftypmp42", ["video"]),
    "NUL": (b"abc\x00def" * 9, ["binary", "NUL byte at offset 3"]),
    "large": (b"a" * (LIMIT + 1), ["100,001 bytes", "100,000", "split"]),
}


@pytest.mark.parametrize(("raw", "parts"), REFUSED.values(), ids=REFUSED)
def test_refusal_names_the_input_and_says_what_to_do(raw: bytes, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(raw, "ad.txt", LIMIT)
    message = str(caught.value)
    assert message.startswith("ad.txt ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_command_quotes_the_name_and_reads_standard_input() -> None:
    with pytest.raises(InputError, match=r"utf-8 'my ad\.txt'`"):
        read_bytes(b"\xe9", "my ad.txt", LIMIT)
    with pytest.raises(InputError, match=r"utf-8 -`"):
        read_bytes(b"\xe9", "<stdin>", LIMIT)


def test_control_characters_of_a_name_stay_off_the_terminal() -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(b"\xe9", "a\n\x1b[31m\udcff", LIMIT)
    assert str(caught.value).isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_give_text_or_a_refusal(raw: bytes) -> None:
    message = ""
    try:
        read_bytes(raw, "x", 150)
    except InputError as error:
        message = str(error)
    assert message.isprintable()


def test_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ad.txt"
    file.write_bytes(TEXT.encode())
    assert read_path(file, LIMIT) == TEXT
    assert read_path(str(file), len(TEXT.encode())) == TEXT


def test_large_file_is_refused_with_its_real_size(tmp_path: Path) -> None:
    file = tmp_path / "ad.txt"
    file.write_bytes(b"a" * 5000)
    with pytest.raises(InputError, match="5,000 bytes, and the limit is 100"):
        read_path(file, 100)


def test_endless_device_is_refused() -> None:
    with pytest.raises(InputError, match="too large"):
        read_path("/dev/zero", 1000)


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory; name the files"):
        read_path(tmp_path, LIMIT)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.txt does not exist"):
        read_path(tmp_path / "nothing.txt", LIMIT)
    with pytest.raises(InputError, match="cannot be read"):
        read_path(tmp_path / ("n" * 5000), LIMIT)
    with pytest.raises(InputError, match="cannot be read"):
        read_path("a\0b", LIMIT)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ad.txt"
    file.write_text("x")
    file.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read_path(file, LIMIT)


def test_permission_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(InputError, match="permission denied"):
        read_path(tmp_path / "ad.txt", LIMIT)
