"""HypeCheck inside a spaCy pipeline."""

from __future__ import annotations

import spacy
from spacy.tokens import Doc

import hypecheck

AD = "🌿 Our clinic guarantees a cure. Only 3 spots left! The clinic opens at nine."


def test_component_gives_the_same_findings_as_the_library() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("hypecheck")
    doc = nlp(AD)
    report = hypecheck.check(AD)
    assert report.findings
    assert [s.label_ for s in doc.spans["hypecheck"]] == [f.kind for f in report.findings]
    for span, f in zip(doc.spans["hypecheck"], report.findings, strict=True):
        assert f.text in span.text
    assert doc.user_data["hypecheck"] == report


def test_pipe_gives_what_single_calls_give() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("hypecheck", config={"sensitivity": "broad", "spans_key": "hype"})
    texts = [AD, "The clinic is closed on Sundays.", "Act now!"]
    one, many = [nlp(t) for t in texts], list(nlp.pipe(texts))
    assert [spans(d) for d in one] == [spans(d) for d in many]


def spans(doc: Doc) -> list[tuple[int, str]]:
    return [(s.start_char, s.label_) for s in doc.spans["hype"]]
