"""What readers give: texts with where they stand, or what is wrong there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypecheck.errors import InputError
from hypecheck.page import looks_like_html, read_page
from hypecheck.types import Region

LONGEST_TEXT = 2_000_000  # characters; longer ones are errors, not hangs
# Names of columns in scraped advertisements, the likeliest first.
_TEXT = (
    "text", "ad_text", "body", "ad_body", "ad_creative_body", "content", "message", "copy",
    "caption", "description", "html", "page_text", "transcript", "post", "title", "headline",
)  # fmt: skip
_ID = (
    "id", "ad_id", "ad_archive_id", "adarchiveid", "library_id", "uid", "uuid", "key", "url",
    "ad_snapshot_url",
)  # fmt: skip
_ADVERTISER = (
    "page_name", "pagename", "advertiser", "advertiser_name", "clinic", "brand", "company", "name",
)  # fmt: skip
_DATE = (
    "ad_delivery_start_time", "ad_creation_time", "date", "created", "created_at", "start_date",
    "startdate", "published", "timestamp",
)  # fmt: skip
_SITE = ("site", "domain", "url", "link", "website", "link_url")
_META_PARTS = (
    ("ad_creative_link_titles", "ad_creative_link_title"),
    ("ad_creative_bodies", "ad_creative_body"),
    ("ad_creative_link_descriptions", "ad_creative_link_description"),
    ("ad_creative_link_captions", "ad_creative_link_caption"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """A text to scan.

    Attributes:
        place: where it stands, as a person would look it up: "ads.csv, row 12".
        id: the user's own name of it.
        text: what is read.
        advertiser: who says it; "" where unknown, like the next two.
        date: when, as the input writes it.
        site: where it was found.
        regions: that comments switch off, where the text was taken out of HTML; None: the comments
            stand in the text.
    """

    place: str
    id: str
    text: str
    advertiser: str = ""
    date: str = ""
    site: str = ""
    regions: tuple[Region, ...] | None = None


@dataclass(frozen=True, slots=True)
class Bad:
    """A place that could not be read, and why."""

    place: str
    id: str
    reason: str


Item = Record | Bad


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what; dotted names reach into nested objects."""

    text: tuple[str, ...]
    id: tuple[str, ...] = ()
    advertiser: str | None = None
    date: str | None = None
    site: str | None = None
    meta_ads: bool = False  # Meta's Ad Library: list columns, several creatives an ad

    def describe(self) -> str:
        """Say what was chosen, for a message."""
        text = "creatives (Meta Ad Library)" if self.meta_ads else " + ".join(self.text)
        out = f"text from {text}; id from {' + '.join(self.id) or 'the row number'}"
        for name, column in (
            ("advertiser", self.advertiser), ("date", self.date), ("site", self.site),
        ):  # fmt: skip
            if column:
                out += f"; {name} from {column}"
        return out


def choose(
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    text: Sequence[str],
    id_: Sequence[str],
    where: str,
) -> Columns:
    """Choose the columns: those that the user named, or those that look like it.

    Args:
        names: the columns that there are.
        rows: a few of the first rows.
        text: columns of the text that the user named, if any.
        id_: columns of the id that the user named, if any.
        where: the input, for errors.

    Raises:
        InputError: a named column is not there, or none looks like a text; says which there are.
    """
    deep = list(dict.fromkeys(n for row in rows for n in _inner(row)))
    # A column's own name before one that lies within an object.
    known_as = {_plain(n.rpartition(".")[2]): n for n in reversed(deep)}
    known_as |= {_plain(n): n for n in reversed(names)}

    def first(known: Sequence[str]) -> str | None:
        return next((known_as[k] for k in known if k in known_as), None)

    def named(wanted: Sequence[str]) -> tuple[str, ...]:
        out = []
        for name in wanted:
            if name.partition(".")[0] in names:
                out.append(name)
            elif len(same := [n for n in names if n.lower() == name.lower()]) == 1:
                out += same
            else:
                raise InputError(f"{where} has no column {name!r}; it has: {', '.join(names)}")
        return tuple(out)

    text, id_ = named(text), named(id_)
    plain = {_plain(n) for n in names}
    meta_ads = not text and (
        any(n in plain for pair in _META_PARTS[:2] for n in pair)
        or any(isinstance(r.get("snapshot"), Mapping) for r in rows)
    )
    chosen: Sequence[str] = text
    if not chosen and not meta_ads:
        found = first(_TEXT) or _longest([*names, *deep], rows)
        if found is None:
            raise InputError(
                f"{where}: no column looks like a text; name it with --text-column. "
                f"It has: {', '.join([*names, *deep][:40])}"
            )
        chosen = [found]
    own = first(_ID)
    return Columns(
        tuple(chosen),
        tuple(id_) or ((own,) if own and own not in chosen else ()),
        first(_ADVERTISER),
        first(_DATE),
        first(_SITE),
        meta_ads,
    )


def _plain(name: str) -> str:
    """Give a column's name as the lists above have it: "Ad Text" is ad_text."""
    return "_".join(re.findall(r"\w+", name.lower()))


def _inner(row: Mapping[str, Any], before: str = "", depth: int = 3) -> Iterator[str]:
    """Give the dotted names of what lies in a row's objects."""
    for name, value in row.items():
        if isinstance(value, Mapping) and depth:
            yield from _inner(value, f"{before}{name}.", depth - 1)
        elif before:
            yield before + name


def _longest(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Give the column with the longest strings, when they look like sentences."""
    best: tuple[float, str] | None = None
    for n in names:
        cells = [_value(r, n) for r in rows]
        cells = [c[0] if isinstance(c, list) and c else c for c in cells]
        values = [c for c in cells if isinstance(c, str) and c.strip()]
        if values:
            words = sum(len(v.split()) for v in values) / len(values)
            if words >= 4 and (best is None or words > best[0]):
                best = (words, n)
    return best[1] if best else None


def records_of(row: Mapping[str, Any], columns: Columns, place: str, number: int) -> Iterator[Item]:
    """Give the records of one row: one, or with Meta's list columns one for each creative."""
    id_ = " ".join(v for c in columns.id if (v := _shown(_value(row, c)))) or str(number)
    about = {
        name: (_date if name == "date" else _shown)(_value(row, column)) if column else ""
        for name, column in (
            ("advertiser", columns.advertiser), ("date", columns.date), ("site", columns.site),
        )
    }  # fmt: skip
    if columns.meta_ads:
        texts = _creatives(row)
        for k, text in enumerate(texts):
            own = f"{id_}#{k + 1}" if len(texts) > 1 else id_
            yield _record(place, own, text, about)
        if not texts:
            yield Bad(place, id_, "holds no creative text")
        return
    parts = []
    for c in columns.text:
        value = _value(row, c)
        held = next((v for v in _listed(value) if isinstance(v, Mapping)), None)
        if held is not None:
            wanted = f"name what is wanted of it, such as {c}.{next(iter(held), '…')}"
            yield Bad(place, id_, f"column {c}: an object and no text; {wanted}")
            return
        parts += _texts(value)
    yield _record(place, id_, "\n".join(parts), about)


def _record(place: str, id_: str, text: str, about: Mapping[str, str]) -> Item:
    regions = None
    if looks_like_html(text):
        text, regions = read_page(text)
    if len(text) > LONGEST_TEXT:
        return Bad(place, id_, f"{len(text)} characters, the limit is {LONGEST_TEXT}")
    return Record(place, id_, text, about["advertiser"], about["date"], about["site"], regions)


def _value(row: Mapping[str, Any], column: str) -> Any:
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, list):  # of objects: that part of each
            value = [v.get(part) for v in value if isinstance(v, Mapping)]
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _shown(value: Any) -> str:
    if value is None or value != value:  # NaN, as tables of pandas have it
        return ""
    if isinstance(value, float) and value.is_integer():  # Excel knows no other numbers
        value = int(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip()


def _date(value: Any) -> str:
    """Give a date as it is written, but seconds or milliseconds since 1970 as a date."""
    shown = _shown(value)
    if re.fullmatch(r"1\d{9}(?:\d{3})?", shown):
        return datetime.fromtimestamp(int(shown[:10]), UTC).date().isoformat()
    return shown


def _texts(value: Any) -> list[str]:
    """Give the strings of a cell: a string, a list of them, or such a list written as a string."""
    if isinstance(value, str):
        if value.startswith("[") and value.endswith("]"):
            for read in (json.loads, ast.literal_eval):
                try:
                    inner = read(value)
                except (ValueError, SyntaxError, RecursionError, MemoryError):
                    continue
                if isinstance(inner, list) and all(isinstance(x, str) for x in inner):
                    return [x for x in inner if x.strip()]
        return [value] if value.strip() else []
    return [
        t for x in _listed(value) for t in ([x] if isinstance(x, str) else [_shown(x)]) if t.strip()
    ]


def _creatives(row: Mapping[str, Any]) -> list[str]:
    """Give the distinct creatives of an ad: title, body, description and caption of each."""
    if isinstance(row.get("snapshot"), Mapping):
        return _cards(row["snapshot"])
    row = {_plain(n): v for n, v in row.items()}
    columns = [next((_texts(row[n]) for n in names if row.get(n)), []) for names in _META_PARTS]
    out: dict[str, None] = {}
    for k in range(max(map(len, columns), default=0)):
        parts = dict.fromkeys(c[k] for c in columns if k < len(c))
        if parts:
            out["\n".join(parts)] = None
    return list(out)


def _cards(snapshot: Mapping[str, Any]) -> list[str]:
    """Give the creatives of an ad as the Ad Library's page holds it: itself, and its cards."""
    out: dict[str, None] = {}
    for card in (snapshot, *(snapshot.get("cards") or ())):
        values = [card.get(n) for n in ("title", "body", "link_description", "caption")]
        texts = [t for v in values for t in _texts(v.get("text") if isinstance(v, Mapping) else v)]
        if texts:
            out["\n".join(dict.fromkeys(texts))] = None
    return list(out)
