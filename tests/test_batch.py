"""Scanning many texts: what is read, what is written, and that nothing is lost on the way."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from hypecheck.batch import parts, places, readers
from hypecheck.batch.readers import Ask
from hypecheck.batch.records import Bad, Item, Record
from hypecheck.batch.scan import Plan, scan
from hypecheck.checker import Checker
from hypecheck.errors import HypeCheckError, InputError

AD = "Only 3 spots left! Book before Friday and get 50% off."
SOBER = "We are open from nine to five on weekdays; please call the desk."


def items(path: Path, *text: str, id_: tuple[str, ...] = (), **more: Any) -> list[Item]:
    return list(readers.read([str(path)], Ask(text, id_, **more)))


def texts(found: list[Item]) -> list[str]:
    return [r.text for r in found if isinstance(r, Record)]


def bad(found: list[Item]) -> list[Bad]:
    return [r for r in found if isinstance(r, Bad)]


@pytest.fixture
def put(tmp_path: Path) -> Any:
    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# Tables of text


TABLES: dict[str, tuple[bytes, list[str]]] = {
    "comma": (b"id,text\n1,Act now\n2,Hi\n", ["Act now", "Hi"]),
    "semicolon, BOM, CRLF": (b"\xef\xbb\xbfid;text\r\n1;Act now\r\n", ["Act now"]),
    "Excel's sep line": (b"sep=;\r\nid;text\r\n1;Act now\r\n", ["Act now"]),
    "line end in a cell": (b'id,text\n1,"Act\nnow"\n2,Hi\n', ["Act\nnow", "Hi"]),
    "doubled quotes": (b'id,text\n1,"say ""cure"""\n', ['say "cure"']),
    "windows-1252": ("id,text\n1,caf\xe9 \x93cure\x94\n".encode("latin-1"), ["café “cure”"]),
    "mixed encodings": ("id,text\n1,café\n".encode() + b"2,caf\xe9\n", ["café", "café"]),
    "UTF-16": ("id,text\n1,café\n".encode("utf-16"), ["café"]),
    "blank lines": (b"id,text\n\n1,Hi\n\n\n2,Ho\n", ["Hi", "Ho"]),
    "short row": (b"id,text,date\n1,Hi\n", ["Hi"]),
    "backslash before quotes": (
        b'id,text\n1,"say \\"cure\\" now"\n2,Hi\n',
        ['say "cure" now', "Hi"],
    ),
    "one column with commas": (b"ad text\nAct now, friend\nHi\n", ["Act now, friend", "Hi"]),
    "line ends of old Macs": (b"id,text\r1,Act now\r2,Hi\r", ["Act now", "Hi"]),
    "HTML in cells": (b'id,html\n1,"<p>Act now</p><p>Hi</p>"\n', ["Act now\nHi"]),
    "names of a spreadsheet": (b"Library ID,Ad Text\n1,Act now\n", ["Act now"]),
    "thousands of lines in a cell": (
        b'id,text\n1,"' + b"a\n" * 3000 + b'z"\n2,Hi\n',
        ["a\n" * 3000 + "z", "Hi"],
    ),
    "inch sign": (b'id,text\n1,a 5" scar\n2,Hi\n', ['a 5" scar', "Hi"]),
}


@pytest.mark.parametrize(("content", "wanted"), TABLES.values(), ids=TABLES)
def test_csv_is_read_as_it_comes(put: Any, content: bytes, wanted: list[str]) -> None:
    found = items(put("ads.csv", content))
    assert texts(found) == wanted
    assert not bad(found)


def test_tabs_are_told_by_the_header(put: Any) -> None:
    assert texts(items(put("ads.tsv", "id\ttext\n1\tAct now, please\n"))) == ["Act now, please"]


def test_stray_quote_costs_its_row_only(put: Any) -> None:
    rows = [f"{i},Text number {i}" for i in range(1, 75_001)]
    rows[69_999] = '70000,"a quote that never closes'
    found = items(put("ads.csv", "id,text\n" + "\n".join(rows) + "\n"))
    (wrong,) = bad(found)
    assert wrong.place.endswith("line 70001 (row 70000)")
    assert "quote" in wrong.reason
    assert [r.id for r in found if isinstance(r, Record)] == [
        str(i) for i in range(1, 75_001) if i != 70_000
    ]


def test_stray_quote_in_the_last_row_or_header_is_said(put: Any) -> None:
    found = items(put("ads.csv", 'id,text\n1,Hi\n2,"open\n3,Ho\n'))
    assert texts(found) == ["Hi", "Ho"]
    assert "line 3" in bad(found)[0].place
    assert "header" in bad(items(put("head.csv", 'id,"text\n1,Hi\n')))[0].reason


def test_stray_quote_closed_by_another_costs_its_row_only(put: Any) -> None:
    content = 'id,text\n1,"opens, never meant\n2,Hi\n3,"good, one"\n4,Ho\n'
    found = items(put("ads.csv", content))
    assert [r.text for r in found if isinstance(r, Record)] == ["Hi", "good, one", "Ho"]
    assert [b.place.rpartition("/")[2] for b in bad(found)] == ["ads.csv, line 2 (row 1)"]


def test_row_with_too_many_columns_is_named(put: Any) -> None:
    found = items(put("ads.csv", "id,text\n1,a,b\n2,Hi\n"))
    assert texts(found) == ["Hi"]
    assert "3 columns where the header has 2" in bad(found)[0].reason


def test_columns_are_chosen_and_said(put: Any) -> None:
    said: list[str] = []
    path = put("ads.csv", "ad_id,page_name,ad_text,start_date\n7,Clinic,Act now,2026-01-02\n")
    (record,) = items(path, tell=said.append)
    assert record == Record(f"{path}, line 2 (row 1)", "7", "Act now", "Clinic", "2026-01-02")
    assert said == [
        f"{path}: text from ad_text; id from ad_id; advertiser from page_name; date from start_date"
    ]


def test_named_columns_win_and_join(put: Any) -> None:
    path = put("ads.csv", "a,b,c,d\n1,Head,Body,x\n")
    (record,) = items(path, "b", "c", id_=("d", "a"))
    assert (record.id, record.text) == ("x 1", "Head\nBody")  # type: ignore[union-attr]


def test_missing_column_says_which_there_are(put: Any) -> None:
    (wrong,) = bad(items(put("ads.csv", "a,b\n1,2\n"), "txt"))
    assert "no column 'txt'; it has: a, b" in wrong.reason
    (wrong,) = bad(items(put("n.csv", "a,b\n1,2\n")))
    assert "name it with --text-column" in wrong.reason


# JSON


def test_json_lines_go_on_after_a_bad_one(put: Any) -> None:
    lines = [json.dumps({"id": "a", "text": "Hi"}), "{broken", "[1]", '{"id":"b","text":"Ho"}', ""]
    found = items(put("ads.jsonl", "\n".join(lines)))
    assert texts(found) == ["Hi", "Ho"]
    assert [b.place.rpartition(", ")[2] for b in bad(found)] == ["line 2", "line 3"]


@pytest.mark.parametrize("size", [3, 40_000])
def test_json_list_is_read_piece_by_piece(put: Any, size: int) -> None:
    rows = [{"id": i, "text": f"Text {i} " + "x" * 50} for i in range(size)]
    found = items(put("ads.json", json.dumps(rows, indent=1)))
    assert len(texts(found)) == size
    assert found[-1].id == str(size - 1)


def test_json_list_that_breaks_off_keeps_what_was_read(put: Any) -> None:
    content = json.dumps([{"text": "Hi"}, {"text": "Ho"}])[:-5]
    found = items(put("ads.json", content))
    assert texts(found) == ["Hi"]
    assert "breaks off" in bad(found)[0].reason


def test_json_object_that_holds_the_list(put: Any) -> None:
    content = json.dumps({"paging": {}, "data": [{"id": "1", "text": "Hi"}]}, indent=2)
    assert texts(items(put("ads.json", content))) == ["Hi"]


def test_nested_names_reach_in(put: Any) -> None:
    path = put("ads.jsonl", json.dumps({"ad": {"body": {"text": "Hi"}, "id": 5}}))
    (record,) = items(path, "ad.body.text", id_=("ad.id",))
    assert (record.id, record.text) == ("5", "Hi")  # type: ignore[union-attr]


META = {
    "id": "99",
    "page_name": "Clinic",
    "ad_delivery_start_time": "2026-02-03",
    "ad_creative_bodies": ["Act now", "Act now", "Call us"],
    "ad_creative_link_titles": ["Cure", "Cure"],
}


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_meta_export_gives_a_record_for_each_creative(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"ads.{form}"
    if form == "jsonl":
        path.write_text(json.dumps(META))
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist([META]), path)
    else:
        with path.open("w", newline="") as f:
            out = csv.DictWriter(f, list(META))
            out.writeheader()
            out.writerow({k: str(v) for k, v in META.items()})  # lists as Python writes them
    found = items(path)
    assert [(r.id, r.text) for r in found if isinstance(r, Record)] == [
        ("99#1", "Cure\nAct now"),
        ("99#2", "Call us"),
    ]
    assert {r.advertiser for r in found if isinstance(r, Record)} == {"Clinic"}


SNAPSHOT = {
    "adArchiveID": "7",
    "pageName": "Clinic",
    "startDate": 1767312000,
    "snapshot": {"body": {"text": "Act now"}, "title": "Cure", "cards": [{"body": "Call us"}]},
}
NESTED: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "a page of the Ad Library": ([SNAPSHOT], [("7#1", "Cure\nAct now"), ("7#2", "Call us")]),
    "an answer on one line": ({"data": [{"id": 1, "text": "Hi"}], "paging": {}}, [("1", "Hi")]),
    "within an object": ({"ad": {"id": 5, "text": "Act now"}}, [("5", "Act now")]),
    "a list": ({"id": 1, "text": ["Act", "now", None]}, [("1", "Act\nnow")]),
    "not a number": ({"id": 1, "text": float("nan")}, [("1", "")]),
}


@pytest.mark.parametrize(("content", "wanted"), NESTED.values(), ids=NESTED)
def test_nested_json_is_read(put: Any, content: Any, wanted: list[tuple[str, str]]) -> None:
    found = items(put("ads.json", json.dumps(content)))
    assert [(r.id, r.text) for r in found if isinstance(r, Record)] == wanted
    assert not bad(found)


def test_seconds_are_a_date(put: Any) -> None:
    record = items(put("ads.json", json.dumps([SNAPSHOT])))[0]
    assert (record.advertiser, record.date) == ("Clinic", "2026-01-02")  # type: ignore[union-attr]


def test_parts_of_objects_in_lists_are_reached(put: Any) -> None:
    row = {"id": 1, "cards": [{"body": "Act"}, {"body": "now"}], "text": {"en": "Hi"}}
    path = put("ads.jsonl", json.dumps(row))
    assert texts(items(path, "cards.body")) == ["Act\nnow"]
    assert "such as text.en" in bad(items(path))[0].reason


def test_depth_and_emptiness_are_said(put: Any) -> None:
    for name, content, reason in (
        ("deep.json", "[" * 100_000, "nested too deep"),
        ("empty.json", "[]", "holds no record"),
        ("head.csv", "id,text\n", "holds no record"),
    ):
        assert reason in bad(items(put(name, content)))[0].reason


def test_workbook_is_read(tmp_path: Path) -> None:
    frame = polars.DataFrame({"Ad ID": [5, 6], "Ad Text": ["Act now", "=1+2 cheap"]})
    path = tmp_path / "ads.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("empty")
        sheet = book.add_worksheet("ads")
        sheet.write(0, 0, "Export of 2026")  # a title over the table
        for r, row in enumerate([frame.columns, *frame.rows()]):
            for c, cell in enumerate(row):
                (sheet.write_string if isinstance(cell, str) else sheet.write)(r + 2, c, cell)
        sheet.write(5, 1, 7.5)
    found = items(path)
    assert [(r.id, r.text) for r in found if isinstance(r, Record)] == [
        ("5", "Act now"), ("6", "=1+2 cheap"), ("6", "7.5"),
    ]  # fmt: skip
    assert not bad(found)


# Other files


def test_packed_files_and_folders(put: Any, tmp_path: Path) -> None:
    put("in/b.csv.gz", gzip.compress(b"id,text\n1,Hi\n"))
    with pa.CompressedOutputStream(str(tmp_path / "in" / "c.jsonl.zst"), "zstd") as out:
        out.write(b'{"text":"Ho"}\n')
    put("in/a.txt", "Plain text.")
    put("in/sub/d.html", "<style>x</style><h1>Act now</h1><button>Book</button>")
    put("in/skipped.png", b"\x89PNG")
    assert texts(items(tmp_path / "in")) == ["Plain text.", "Hi", "Ho", "Act now\nBook"]


def test_mail_is_read(put: Any) -> None:
    mail = "From: Clinic <a@b.example>\nSubject: =?utf-8?q?Only_3_spots?=\n\nAct now."
    (record,) = items(put("m.eml", mail))
    assert isinstance(record, Record)
    assert record.text == "Only 3 spots\n\nAct now."
    assert record.advertiser.startswith("Clinic")


def response(url: str, body: bytes, head: bytes) -> bytes:
    http = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body
    top = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
        "WARC-Date: 2026-01-02T03:04:05Z\r\nContent-Type: application/http;msgtype=response\r\n"
        f"Content-Length: {len(http)}\r\n\r\n"
    )
    return top.encode() + http + b"\r\n\r\n"


def test_warc_gives_its_pages(put: Any) -> None:
    page = "<h1>Café</h1><p>Act now</p>"
    warc = response(
        "https://www.a.example/x", page.encode("latin-1"),
        b"Content-Type: text/html; charset=iso-8859-1\r\n",
    )  # fmt: skip
    warc += response(
        "https://b.example/", gzip.compress(page.encode()),
        b"Content-Type: text/html\r\nContent-Encoding: gzip\r\n",
    )  # fmt: skip
    warc += response("https://b.example/i", b"\x89PNG", b"Content-Type: image/png\r\n")
    found = items(put("crawl.warc", warc))
    assert texts(found) == ["Café\nAct now"] * 2
    assert [r.site for r in found if isinstance(r, Record)] == ["a.example", "b.example"]
    packed = gzip.compress(warc)
    assert texts(items(put("crawl.warc.gz", packed))) == ["Café\nAct now"] * 2


def test_wet_gives_its_texts(put: Any) -> None:
    text = "Café\nAct now".encode()
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/x\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    found = items(put("crawl.warc.wet.gz", gzip.compress(head.encode() + text + b"\r\n\r\n")))
    assert [(r.id, r.text) for r in found if isinstance(r, Record)] == [
        ("https://a.example/x", "Café\nAct now")
    ]


def test_warc_that_breaks_off_keeps_what_was_read(put: Any) -> None:
    pages = [f"<p>Act now, {random.getrandbits(4_000)}</p>".encode() for _ in range(20)]
    head = b"Content-Type: text/html\r\n"
    whole = b"".join(gzip.compress(response("https://a.example", p, head)) for p in pages)
    found = items(put("whole.warc.gz", whole))
    kept = items(put("cut.warc.gz", whole[:-400]))
    assert 0 < len(texts(kept)) < len(texts(found))
    assert texts(found)[: len(texts(kept))] == texts(kept)
    assert [b.place.rpartition("/cut.warc.gz")[2] for b in bad(kept)] == [
        ", record 20 (https://a.example)", "",
    ]  # fmt: skip
    assert all("breaks off" in b.reason for b in bad(kept))


def test_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"id,text\n1,Act now\n",))
    writer.start()
    assert texts(items(pipe)) == ["Act now"]
    writer.join()


def test_article_alone_on_request(put: Any) -> None:
    page = (
        "<body><nav><a href=/>Home</a></nav><article><h1>Knees</h1><p>Only 3 spots left for our "
        "knee therapy, call the clinic before Friday and ask for Dr. Stone.</p></article>"
        "<aside class=sidebar>Hair sale!</aside></body>"
    )
    path = put("a.html", page)
    assert "Hair sale!" in texts(items(path))[0]
    (article,) = texts(items(path, main_content=True))
    assert article.splitlines()[0] == "Knees"
    assert "Only 3 spots left" in article
    assert "Hair sale!" not in article


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"id,text\n1,Hi\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert texts(list(readers.read(["-"], Ask()))) == ["Hi"]


def test_broken_files_name_the_place_and_do_not_stop_the_next(put: Any, tmp_path: Path) -> None:
    many = b"id,text\n" + b"".join(
        b"%d,Text %d\n" % (i, random.getrandbits(200)) for i in range(9999)
    )
    put("in/a.csv", b"")
    put("in/b.csv.gz", gzip.compress(many)[:-500])
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"text": ["Hi"] * 100}), whole)
    put("in/c.parquet", whole.read_bytes()[:-50])
    put("in/d.txt", b"\xff\x00\x01 binary")
    put("in/e.txt", "Fine.")
    found = items(tmp_path / "in")
    reasons = {Path(b.place.partition(", ")[0]).name: b.reason for b in bad(found)}
    assert "0 bytes" in reasons["a.csv"]
    assert "after record" in reasons["b.csv.gz"]
    assert "Parquet" in reasons["c.parquet"]
    assert "binary" in reasons["d.txt"]
    assert texts(found)[-1] == "Fine."
    assert len(texts(found)) > 1000  # what came before the damage is kept


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A store that speaks S3's protocol, and the options of its URLs."""
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for k, v in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{k}", v)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="ads")
        yield f"endpoint_override={host}:{port}&scheme=http"
        server.stop()


def test_store_is_read_and_written(
    bucket: str, put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"id": ["2"], "text": [AD]}), tmp_path / "b.parquet")
    path = put("a.csv.gz", gzip.compress(b"id,text\n1,Act now\n"))
    for file in (path, tmp_path / "b.parquet"):
        places.store(file, f"s3://ads/in/{file.name}?{bucket}")
    monkeypatch.chdir(tmp_path)
    inputs = (f"s3://ads/in?{bucket}", f"s3://ads/in/none.csv?{bucket}")
    scan(Plan(inputs, model="none"), f"s3://ads/results?{bucket}", workers=1)
    back = tmp_path / "back"
    back.mkdir()
    for place in places.found(f"s3://ads/results?{bucket}", lambda _: True):
        with place.open() as file:
            (back / place.name.partition("?")[0].rpartition("/")[2]).write_bytes(file.read())
    rows = pq.read_table(back / "documents.parquet").to_pylist()
    assert [(r["id"], r["status"]) for r in rows] == [
        ("1", "scanned"), ("2", "scanned"), ("", "error"),
    ]  # fmt: skip
    assert rows[0]["place"].startswith("s3://ads/in/a.csv.gz")
    assert json.loads((back / "summary.json").read_text())["records"] == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv.gz", "b.parquet", "back"]


# One part


def test_part_holds_what_the_checker_finds() -> None:
    checker = Checker(model=None)
    german = "Unsere Klinik heilt Arthrose garantiert und ganz ohne Schmerzen, rufen Sie uns an."
    records: list[Item] = [
        Record("a", "1", AD), Record("b", "2", AD), Bad("c", "3", "torn"), Record("d", "4", german),
        Record("e", "5", " "), Record("f", "6", "\ud800 Act now!"),
    ]  # fmt: skip
    rows = parts.scan(records, 10, checker).to_pylist()
    assert [r["number"] for r in rows] == [10, 11, 12, 13, 14, 15]
    assert [r["status"] for r in rows] == [
        "scanned", "scanned", "error", "not_english", "empty", "scanned",
    ]  # fmt: skip
    wanted = [(f.start, f.end, f.kind) for f in checker.check(AD).findings]
    for r in rows[:2]:
        assert [(f["start"], f["end"], f["kind"]) for f in r["findings"]] == wanted
        assert all(r["text"][f["start"] : f["end"]] == f["text"] for f in r["findings"])
    assert rows[2]["error"] == "torn"


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("We treat your knees with our own stem cells, and you can walk the same day.", True),
        ("Book now", True),
        ("Unsere Praxis behandelt Ihre Knie ohne Operation, rufen Sie uns heute noch an.", False),
        (
            "Vi kan have en tid til dig i klinikken allerede i morgen, ring til os i dag og få en "
            "gratis konsultation hos vores speciallæge.",
            False,
        ),
        # An English name and slogan do not make a text English.
        (
            "The Joint and Spine Center: nuestra clínica trata el dolor de rodilla sin cirugía ni "
            "tiempo de espera, pida hoy mismo su cita con el doctor por teléfono y vuelva a "
            "caminar como antes de la lesión.",
            False,
        ),
        ("Stem cells heal knees without surgery; patients walk home within hours.", True),
    ],
)
def test_english_is_told_from_other_languages(text: str, english: bool) -> None:
    assert parts.looks_english(text) is english


def test_near_duplicates_share_a_band() -> None:
    text = (AD + " " + SOBER + " ") * 3
    near = text.replace("Friday", "Monday", 1).replace("3 spots", "5 spots")
    assert set(parts.bands(text)) & set(parts.bands(near))
    assert not set(parts.bands(text)) & set(parts.bands("Quite another text, about dentists " * 9))
    assert parts.bands("…") == []


# A whole scan


def corpus_of(n: int) -> Iterator[dict[str, str]]:
    rng = random.Random(3)
    sentences = [AD, SOBER, "Our pills cure gout.", "9 in 10 patients improve.", "Ask your doctor."]
    for i in range(n):
        text = " ".join(rng.sample(sentences, 2)) + (f" Number {i} of {n}." if i % 3 else "")
        yield {"id": str(i), "page_name": f"Clinic {i % 5}", "text": text}


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ads") / "ads.jsonl"
    rows = [json.dumps(r) for r in corpus_of(1800)]
    rows[700] = "torn"
    path.write_text("\n".join(rows))
    return path


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "results"
    scan(Plan((str(ads),), model="none"), out, workers=1)
    return out


def test_results_open_in_polars_duckdb_and_pandas(whole: Path) -> None:
    file = str(whole / "findings.parquet")
    frame = polars.read_parquet(file)
    assert len(frame) == len(pandas.read_parquet(file)) > 1000
    assert duckdb.read_parquet(file).count("*").fetchall() == [(len(frame),)]
    documents = polars.read_parquet(whole / "documents.parquet")
    assert len(documents) == 1800
    assert documents.filter(polars.col("status") == "error")["error"].to_list() == [
        "not JSON: Expecting value at column 1"
    ]
    assert documents["copies"].max() > 10  # type: ignore[operator]
    metadata = pq.read_schema(file).metadata
    assert json.loads(metadata[b"hypecheck"])["hypecheck"]
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["records"] == 1800
    assert summary["findings"] == len(frame)
    assert 0 < summary["clusters"] < summary["distinct_texts"] < summary["scanned"] == 1799


def test_texts_that_drift_apart_do_not_chain_into_one_cluster(tmp_path: Path) -> None:
    things = ["the clinic", "a garden", "our street", "her house", "their school", "that river"]
    acts = ["was near", "looks after", "came before", "asks about", "is behind", "went past"]
    words = " ".join(f"{a} {v} {b}" for a, v, b in itertools.product(things, acts, things)).split()
    texts = [" ".join(words[k : k + 80]) + "." for k in range(0, 840, 6)]  # neighbours are alike
    file = tmp_path / "ads.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    scan(Plan((str(file),), model="none"), tmp_path / "out", workers=1)
    table = pq.read_table(tmp_path / "out" / "documents.parquet")
    first = table.column("cluster").to_pylist()
    assert 1 < len(set(first)) < len(texts)
    triples = [t.rstrip(".").split() for t in texts]
    sets = [set(zip(w, w[1:], w[2:], strict=False)) for w in triples]
    alike = [len(sets[i] & sets[k]) / len(sets[i] | sets[k]) for i, k in enumerate(first)]
    assert min(alike) > 0.3


def test_any_number_of_workers_gives_the_same_bytes(ads: Path, whole: Path, tmp_path: Path) -> None:
    scan(Plan((str(ads),), model="none"), tmp_path / "two", workers=2)
    assert bytes_of(tmp_path / "two") == bytes_of(whole)


def command(ads: Path, out: Path, *more: str) -> list[str]:
    run = [sys.executable, "-m", "hypecheck.cli", "scan", str(ads), "--out", str(out)]
    return [*run, "--model", "none", "--workers", "2", *more]


def test_killed_at_ten_moments_it_goes_on_to_the_same_bytes(
    ads: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    left = tmp_path / ".killed.parts"
    rng = random.Random()
    kills = 0
    while kills < 10:
        process = subprocess.Popen(
            command(ads, out, "--workers", str(1 + kills % 2)),
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not left.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 3))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    done = subprocess.run(command(ads, out), capture_output=True, text=True, check=True)
    assert "1,800 records" in done.stdout
    assert bytes_of(out) == bytes_of(whole)
    assert not left.exists()


def test_workers_end_with_a_killed_scan(ads: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(ads, tmp_path / "out"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    own = psutil.Process(process.pid)
    workers: list[psutil.Process] = []
    while len(workers) < 3 and process.poll() is None:  # two, and Python's resource tracker
        workers = own.children()
        time.sleep(0.01)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert len(workers) == 3
    assert not alive


def test_full_disk_keeps_what_is_done(ads: Path, whole: Path, tmp_path: Path) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    out = tmp_path / "out"
    failed = subprocess.run(
        command(ads, out), capture_output=True, text=True, check=False, preexec_fn=little_room
    )
    assert failed.returncode == 3
    assert "File too large" in failed.stderr
    assert f"kept in {tmp_path}/.out.parts" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not out.exists()
    subprocess.run(command(ads, out), capture_output=True, check=True)
    assert bytes_of(out) == bytes_of(whole)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user to whom nothing is permitted")
def test_no_permission_is_said(put: Any, tmp_path: Path) -> None:
    path = put("ads.csv", "id,text\n1,Act now\n")
    plan = Plan((str(path),), model="none")
    plan.checker()  # what is loaded late is loaded
    os.seteuid(65534)
    try:
        found = list(readers.read([str(path)], Ask()))
        with pytest.raises(HypeCheckError, match="no such folder"):
            scan(plan, tmp_path / "out")
    finally:
        os.seteuid(0)
    assert [(b.place, b.reason) for b in bad(found)] == [
        (str(path), "may not be read: permission denied")
    ]


def test_interrupted_scan_says_how_to_go_on(tmp_path: Path) -> None:
    long = tmp_path / "long.jsonl"
    with long.open("w") as f:
        for row in corpus_of(30_000):
            f.write(json.dumps(row) + "\n")
    out = tmp_path / "out"
    process = subprocess.Popen(command(long, out), stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / ".out.parts").glob("*.arrow")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "the same command goes on" in said
    assert list((tmp_path / ".out.parts").glob("*.arrow"))
    other = subprocess.run(
        command(long, out, "--sensitivity", "broad"), capture_output=True, text=True, check=False
    )
    assert other.returncode == 2
    assert "--fresh" in other.stderr


def test_too_many_errors_stop_the_run(put: Any, tmp_path: Path) -> None:
    path = put("torn.jsonl", '{"text":"Hi"}\n' + "torn\n" * 600)
    with pytest.raises(InputError, match="more than 5 records"):
        scan(Plan((str(path),), model="none"), tmp_path / "out", workers=1, max_errors=5)


def test_wrong_targets_and_options_are_refused_before_anything_runs(
    ads: Path, tmp_path: Path
) -> None:
    plan = Plan((str(ads),), model="none")
    for out, match in ((tmp_path / "x.docx", "parquet"), (tmp_path / "no" / "x", "no such folder")):
        with pytest.raises(HypeCheckError, match=match):
            scan(plan, out)
    with pytest.raises(HypeCheckError, match="unknown kind"):
        scan(Plan((str(ads),), model="none", only=("hype",)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


# Formats


def results(put: Any, tmp_path: Path, name: str, text: str, **more: Any) -> str:
    path = put("in.jsonl", json.dumps({"id": "=1+2", "text": text}))
    scan(Plan((str(path),), model="none"), tmp_path / name, workers=1, **more)
    return (tmp_path / name).read_text("utf-8-sig")


def test_csv_runs_no_formula(put: Any, tmp_path: Path) -> None:
    (row,) = csv.DictReader(io.StringIO(results(put, tmp_path, "r.csv", "Act now! Hi.")))
    assert row["id"] == "'=1+2"
    assert row["text"] == "Act now"
    rows = results(put, tmp_path, "d.csv", "=cmd() Only 3 spots left!", rows="documents")
    (row,) = csv.DictReader(io.StringIO(rows))
    assert row["text"].startswith("'=cmd()")
    assert (row["finding_count"], row["kinds"]) == ("1", "scarcity")


def test_json_lines_hold_findings_and_errors(put: Any, tmp_path: Path) -> None:
    path = put("in.jsonl", json.dumps({"id": "a", "text": AD}) + "\ntorn\n")
    scan(Plan((str(path),), model="none"), tmp_path / "r.jsonl", workers=1)
    lines = [json.loads(x) for x in (tmp_path / "r.jsonl").read_text("utf-8").splitlines()]
    assert {x["schema_version"] for x in lines} == {"1"}
    assert [x["kind"] for x in lines if "kind" in x]
    assert [x["status"] for x in lines if "status" in x] == ["error"]


@pytest.mark.parametrize("name", ["base", "base.parquet", "base.csv", "base.jsonl", "base.sarif"])
def test_baseline_marks_what_was_known(put: Any, tmp_path: Path, name: str) -> None:
    path = put("in.jsonl", json.dumps({"id": "a", "text": "Act now! Only 3 spots left."}))
    scan(Plan((str(path),), model="none"), tmp_path / name, workers=1)
    path = put(
        "in.jsonl", json.dumps({"id": "a", "text": "New: our pills cure gout. 50% off. Act now!"})
    )
    out = tmp_path / "r.jsonl"
    summary = scan(Plan((str(path),), model="none"), out, workers=1, baseline=tmp_path / name)
    states = {
        r["kind"]: r["baseline"] for r in map(json.loads, out.read_text("utf-8").splitlines())
    }
    assert states.pop("urgency") == "known"
    assert set(states.values()) == {"new"}
    assert summary.known == 1
