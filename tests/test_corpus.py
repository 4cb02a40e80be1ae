"""The guide's markup and JSON Lines, and the corpus that ships in ``data/``."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from hypecheck import corpus
from hypecheck.corpus import Flag, LabelledDocument, parse_sentence, read, read_jsonl, read_markup
from hypecheck.errors import CorpusError
from hypecheck.training.splits import group_of, split_of, units
from hypecheck.types import CATEGORY_OF

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
TWO = """# id: a-1 | field: knees, hips | form: web page | site: www.knee.example
🔥 [[Act now|urgency]], we [[cure gout|cure_claim+permanent_or_instant]]!
? We might.

# id: a-2 | field: skin
The clinic opens at nine.
"""


# One line of markup


PARSED: dict[str, tuple[str, str, tuple[Flag, ...]]] = {
    "plain": ("We open.", "We open.", ()),
    "one": ("We [[cure|cure_claim]] it.", "We cure it.", (Flag(3, 7, ("cure_claim",)),)),
    "two kinds": ("[[Now|urgency+scarcity]]", "Now", (Flag(0, 3, ("urgency", "scarcity")),)),
    "a kind twice": ("[[Now|urgency+urgency]]", "Now", (Flag(0, 3, ("urgency",)),)),
    "two spans": (
        "[[A|urgency]] b [[c|miracle]]",
        "A b c",
        (Flag(0, 1, ("urgency",)), Flag(4, 5, ("miracle",))),
    ),
    "behind an emoji": ("🔥 [[now|urgency]]", "🔥 now", (Flag(2, 5, ("urgency",)),)),
    "brackets and bars": ("[1] a | b (c)", "[1] a | b (c)", ()),
    "a bar inside": ("[[a | b|urgency]]", "a | b", (Flag(0, 5, ("urgency",)),)),
}


@pytest.mark.parametrize(("line", "text", "flags"), PARSED.values(), ids=PARSED)
def test_line_becomes_text_and_flags(line: str, text: str, flags: tuple[Flag, ...]) -> None:
    sentence = parse_sentence(line, "here")
    assert (sentence.text, sentence.flags, sentence.unsure) == (text, flags, False)
    unsure = parse_sentence(f"? {line}", "here")
    assert (unsure.text, unsure.flags, unsure.unsure) == (text, flags, True)


BROKEN = {
    "unknown kind": ("[[Now|hurry]]", "unknown kind 'hurry'"),
    "no kind": ("[[Now]]", "broken [[span|kind]] markup"),
    "open": ("[[Now|urgency", "broken"),
    "closed only": ("Now]] then", "broken"),
    "empty span": ("[[|urgency]]", "broken"),
    "nothing": ("?  ", "empty sentence"),
}


@pytest.mark.parametrize(("line", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_line_is_named(line: str, message: str) -> None:
    with pytest.raises(CorpusError) as caught:
        parse_sentence(line, "ads, line 7")
    assert str(caught.value).startswith("ads, line 7: ")
    assert message in str(caught.value)


# Files


def test_documents_keep_header_sentences_and_places() -> None:
    first, second = read_markup(TWO, "ads")
    assert (first.id, first.source) == ("a-1", "ads")
    assert first.meta == {"field": "knees, hips", "form": "web page", "site": "www.knee.example"}
    assert first.text == "🔥 Act now, we cure gout!\nWe might."
    assert [first.text[a:b] for a, b in first.spans] == [s.text for s in first.sentences]
    assert first.sentences[0].kinds == {"urgency", "cure_claim", "permanent_or_instant"}
    assert first.sentences[0].categories == {"pressure_sales", "guaranteed_cure"}
    assert [s.unsure for s in first.sentences] == [False, True]
    assert second.sentences[0].kinds == frozenset()


def test_line_ends_and_blank_lines_do_not_matter() -> None:
    wanted = list(read_markup(TWO, "ads"))
    assert list(read_markup(TWO.replace("\n", "\r\n"), "ads")) == wanted
    assert list(read_markup(f"\n\n{TWO}".replace("\n\n", "\n\n\n"), "ads")) == wanted
    assert list(read_markup("", "ads")) == []


def test_text_without_a_header_is_named() -> None:
    with pytest.raises(CorpusError, match="ads, line 1: expected a header '# id:"):
        list(read_markup("Act now!\n", "ads"))


def jsonl(sentences: object = (), **flag: object) -> str:
    mark = {"start": 3, "end": 7, "kinds": ["cure_claim"], **flag}
    given = sentences or [{"text": "We cure it.", "flags": [mark]}]
    return json.dumps({"id": "a", "field": "knees", "sentences": given})


def test_json_lines_say_the_same() -> None:
    (document,) = read_jsonl(f"\n{jsonl()}\n", "ads")
    assert document.meta == {"field": "knees"}
    assert document.sentences == (parse_sentence("We [[cure|cure_claim]] it.", ""),)
    (unsure,) = read_jsonl(jsonl(sentences=[{"text": "We might.", "unsure": True}]), "ads")
    assert unsure.sentences == (parse_sentence("? We might.", ""),)


BROKEN_JSON = {
    "no JSON": ("{", "not JSON"),
    "no object": ("[1]", "missing or mistyped key"),
    "no id": (jsonl().replace('"id"', '"ID"'), "missing or mistyped key: 'id'"),
    "no sentences": (jsonl(sentences=5), "missing or mistyped key"),
    "text is a number": (jsonl(sentences=[{"text": 5}]), "text"),
    "unknown kind": (jsonl(kinds=["hurry"]), "unknown kind 'hurry'"),
    "outside": (jsonl(end=99), "flag 3-99 lies outside its text"),
    "empty span": (jsonl(end=3), "flag 3-3 lies outside"),
    "offset is a word": (jsonl(start="x"), "mistyped"),
}


@pytest.mark.parametrize(("line", "message"), BROKEN_JSON.values(), ids=BROKEN_JSON)
def test_broken_json_line_is_named(line: str, message: str) -> None:
    with pytest.raises(CorpusError) as caught:
        list(read_jsonl(f"{jsonl()}\n{line}", "ads"))
    assert str(caught.value).startswith("ads, line 2: ")
    assert message in str(caught.value)


def test_folder_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text(TWO, "utf-8")
    (tmp_path / "a.jsonl").write_text(jsonl(), "utf-8")
    (tmp_path / "README.md").write_text("no corpus", "utf-8")
    assert [d.id for d in read([tmp_path])] == ["a", "a-1", "a-2"]
    assert [d.id for d in read([tmp_path / "b.txt", tmp_path / "a.jsonl"])] == ["a-1", "a-2", "a"]


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no\.txt: no such file or folder"):
        read([tmp_path / "no.txt"])
    (tmp_path / "latin.txt").write_bytes(b"# id: caf\xe9\n")
    with pytest.raises(CorpusError, match=r"latin\.txt: cannot be read"):
        read([tmp_path / "latin.txt"])


def test_same_id_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(TWO, "utf-8")
    with pytest.raises(CorpusError, match=r"b\.txt: document id 'a-1' stands in a\.txt too"):
        read([tmp_path])


# Splits


def document(id_: str, **meta: str) -> LabelledDocument:
    sentences = (parse_sentence("One.", ""), parse_sentence("Two.", ""))
    return LabelledDocument(id_, sentences, "ads", meta)


def test_site_keeps_its_documents_together() -> None:
    assert group_of(document("a", site="www.knee.example")) == "knee.example"
    assert group_of(document("b", site="knee.example")) == "knee.example"
    assert group_of(document("c", site="none")) == group_of(document("c")) == "c"
    sites = [document(str(i), site="knee.example") for i in range(50)]
    assert len({split_of(d) for d in sites}) == 1


def test_contrast_lines_stand_alone() -> None:
    assert [d.id for d in units([document("a"), document("b", form="contrast")])] == [
        "a",
        "b/0",
        "b/1",
    ]


# data/corpus


@pytest.fixture(scope="module")
def shipped() -> list[LabelledDocument]:
    return corpus.read([CORPUS])


def test_corpus_holds_every_kind_and_many_clean_documents(
    shipped: list[LabelledDocument],
) -> None:
    assert {k for d in shipped for s in d.sentences for k in s.kinds} == set(CATEGORY_OF)
    clean = sum(not any(s.kinds for s in d.sentences) for d in shipped)
    assert 0.2 < clean / len(shipped) < 0.8


def test_corpus_spans_begin_and_end_with_words(shipped: list[LabelledDocument]) -> None:
    odd = [
        f"{d.id}: {s.text[f.start : f.end]!r}"
        for d in shipped
        for s in d.sentences
        for f in s.flags
        if s.text[f.start : f.end] != s.text[f.start : f.end].strip()
    ]
    assert odd == []


def test_corpus_headers_say_field_and_form(shipped: list[LabelledDocument]) -> None:
    assert [d.id for d in shipped if not {"field", "form"} <= d.meta.keys()] == []


# The disclaimer of 21 CFR 101.93(c).
PRESCRIBED = ("these", "statements", "have", "not", "been", "evaluated")


def words_of(text: str) -> tuple[str, ...]:
    """Give the words, numbers all alike, apostrophes and marks left out."""
    plain = re.sub(r"['’]", "", text.lower())
    return tuple("0" if w.isdigit() else w for w in re.findall(r"[a-z]+|\d+", plain))


def test_no_sentence_of_eight_words_stands_in_two_splits(
    shipped: list[LabelledDocument],
) -> None:
    seen: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for d in shipped:
        for s in d.sentences:
            words = words_of(s.text)
            if len(words) >= 8 and words[:6] != PRESCRIBED:
                seen[words].setdefault(split_of(d), f"{d.id}: {s.text}")
    assert [list(found.values()) for found in seen.values() if len(found) > 1] == []
