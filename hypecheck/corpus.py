"""Labelled texts: the guide's markup (one sentence a line) and JSON Lines, to documents and back.

Lives beside the product because ``hypecheck evaluate`` reads a user's own labelled files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hypecheck.errors import CorpusError
from hypecheck.types import CATEGORY_OF

_HEADER = re.compile(r"#\s*id:\s*(?P<id>\S+)(?P<rest>.*)\Z")
_SPAN = re.compile(r"\[\[(?P<text>.+?)\|(?P<kinds>[a-z_+]+)\]\]")


@dataclass(frozen=True, slots=True)
class Flag:
    """A labelled span ``[start, end)`` of a sentence, with its kinds."""

    start: int
    end: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence without its marks; ``unsure`` ones are left out of scoring."""

    text: str
    flags: tuple[Flag, ...]
    unsure: bool

    @property
    def kinds(self) -> frozenset[str]:
        """Give the kinds that are flagged in it."""
        return frozenset(k for f in self.flags for k in f.kinds)

    @property
    def categories(self) -> frozenset[str]:
        """Give the categories that are flagged in it."""
        return frozenset(CATEGORY_OF[k] for k in self.kinds)


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A labelled text: its sentences in order, and where it came from."""

    id: str
    sentences: tuple[LabelledSentence, ...]
    source: str  # file stem: one author or field a file
    meta: dict[str, str] = field(default_factory=dict)  # field, form, site

    @property
    def text(self) -> str:
        """Give the whole text, one sentence a line."""
        return "\n".join(s.text for s in self.sentences)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Give where each sentence stands in :attr:`text`, in code points."""
        out = []
        pos = 0
        for s in self.sentences:
            out.append((pos, pos + len(s.text)))
            pos += len(s.text) + 1
        return tuple(out)


def parse_sentence(line: str, where: str) -> LabelledSentence:
    """Read one line of markup; ``where`` names it in errors.

    Raises:
        CorpusError: broken brackets, an unknown kind, or an empty sentence.
    """
    unsure = line.startswith("? ")
    body = line[2:] if unsure else line
    out: list[str] = []
    flags: list[Flag] = []
    last = size = 0
    for m in _SPAN.finditer(body):
        out += [body[last : m.start()], m["text"]]
        size += m.start() - last
        kinds = tuple(dict.fromkeys(m["kinds"].split("+")))
        for kind in kinds:
            if kind not in CATEGORY_OF:
                raise CorpusError(f"{where}: unknown kind {kind!r}")
        flags.append(Flag(size, size + len(m["text"]), kinds))
        size += len(m["text"])
        last = m.end()
    out.append(body[last:])
    text = "".join(out)
    if "[[" in text or "]]" in text:
        raise CorpusError(f"{where}: broken [[span|kind]] markup")
    if not text.strip():
        raise CorpusError(f"{where}: empty sentence")
    return LabelledSentence(text, tuple(flags), unsure)


def read_markup(text: str, source: str) -> Iterator[LabelledDocument]:
    """Read documents in the guide's markup: header, one sentence a line, blank line between."""
    header: tuple[str, dict[str, str]] | None = None
    sentences: list[LabelledSentence] = []
    for n, line in enumerate([*text.split("\n"), ""], 1):
        line = line.rstrip()
        if not line:
            if header and sentences:
                yield LabelledDocument(header[0], tuple(sentences), source, header[1])
            header, sentences = None, []
        elif header is None:
            m = _HEADER.match(line)
            if not m:
                raise CorpusError(f"{source}, line {n}: expected a header '# id: … | field: …'")
            pairs = (p.split(":", 1) for p in m["rest"].split("|") if ":" in p)
            header = (m["id"], {k.strip(): v.strip() for k, v in pairs})
        else:
            sentences.append(parse_sentence(line, f"{source}, line {n}"))


def read_jsonl(text: str, source: str) -> Iterator[LabelledDocument]:
    """Read one JSON object a line: ``{"id", "sentences": [{"text", "flags", "unsure"?}]}``.

    A flag is ``{"start", "end", "kinds": […]}``, code points into its sentence.
    """
    for n, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{source}, line {n}"
        try:
            entry = json.loads(line)
            sentences = []
            for s in entry["sentences"]:
                if not isinstance(s["text"], str):
                    raise TypeError("text must be a string")
                flags = tuple(
                    Flag(int(f["start"]), int(f["end"]), tuple(f["kinds"]))
                    for f in s.get("flags", ())
                )
                for f in flags:
                    if not 0 <= f.start < f.end <= len(s["text"]):
                        raise CorpusError(f"{where}: flag {f.start}-{f.end} lies outside its text")
                    for kind in f.kinds:
                        if kind not in CATEGORY_OF:
                            raise CorpusError(f"{where}: unknown kind {kind!r}")
                sentences.append(LabelledSentence(s["text"], flags, bool(s.get("unsure", False))))
            meta = {k: str(v) for k, v in entry.items() if k not in ("id", "sentences")}
            yield LabelledDocument(str(entry["id"]), tuple(sentences), source, meta)
        except json.JSONDecodeError as e:
            raise CorpusError(f"{where}: not JSON: {e.msg} at column {e.colno}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise CorpusError(f"{where}: missing or mistyped key: {e}") from None


def read(paths: Iterable[Path]) -> list[LabelledDocument]:
    """Read labelled files (``.txt`` markup, ``.jsonl``) or folders of them, in sorted order.

    Raises:
        CorpusError: unreadable or malformed file, or the same document id twice.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix in (".txt", ".jsonl"))
        elif path.exists():
            files.append(path)
        else:
            raise CorpusError(f"{path}: no such file or folder")
    documents: list[LabelledDocument] = []
    seen: dict[str, str] = {}
    for path in files:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise CorpusError(f"{path}: cannot be read: {e}") from None
        reader = read_jsonl if path.suffix == ".jsonl" else read_markup
        for document in reader(text, path.stem):
            if document.id in seen:
                raise CorpusError(
                    f"{path}: document id {document.id!r} stands in {seen[document.id]} too"
                )
            seen[document.id] = path.name
            documents.append(document)
    return documents
