"""The compiled core gives what its Python twins give, and HypeCheck runs without it."""

from __future__ import annotations

import dataclasses
import random
import re
import resource
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hypecheck import Checker, Report, artefact, corpus, match, model, native, screen
from hypecheck.conv import Steps
from hypecheck.joined import Joined
from hypecheck.match import Matcher
from hypecheck.model import Model, Request
from hypecheck.normalise import normalise
from hypecheck.ruleset import load
from hypecheck.screen import GATES, WHOLE, Screen
from hypecheck.segment import segment, segment_many
from hypecheck.types import Sentence

PRINTABLE = string.ascii_letters + string.digits + string.punctuation.replace("`", "") + " \t\n"
DATA = Path(__file__).parents[1] / "data"
compiled = pytest.mark.skipif(native.library() is None, reason="no compiled core here")
ODD = [
    "",
    " \n ",
    "x" * 3000,
    "guaranteed cure, " * 200,
    "1) Knees\n2) Backs\n\n- guaranteed results\n- act now!",
    "Results aren't guaranteed. We could not cure gout, but 9 of 10 could walk (Lee 2020).",
    "🔥 ACT NOW 🔥 сure for аrthritis, g u a r a n t e e d!\r\n\tOnly 3 spots left",
    '| cures all | 95% success |\n| safe | "It\'s a miracle", says Ann, 41 |',
]


def texts(n: int) -> list[str]:
    """Give every so many-th text of the corpus, and odd ones."""
    documents = corpus.read([DATA / "corpus"])
    return [d.text for d in documents[:: len(documents) // n]] + ODD


@pytest.fixture
def without_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Switch the core off for what is loaded meanwhile."""
    for module in (native, match):
        monkeypatch.setattr(module, "library", lambda: None)
    model.load.cache_clear()
    match.matcher.cache_clear()
    yield
    model.load.cache_clear()
    match.matcher.cache_clear()


def plain(report: Report) -> Report:
    """Round what a processor may round otherwise."""
    return dataclasses.replace(
        report,
        scores={c: round(p, 3) for c, p in report.scores.items()},
        findings=tuple(dataclasses.replace(f, score=0.0) for f in report.findings),
    )


@compiled
@pytest.mark.parametrize("sensitivity", ["balanced", "broad"])
def test_findings_are_those_of_the_twin(sensitivity: str, request: pytest.FixtureRequest) -> None:
    several = texts(260 if sensitivity == "balanced" else 60)
    fast = list(Checker(sensitivity, "fast").check_many(several))  # type: ignore[arg-type]
    request.getfixturevalue("without_core")
    slow = list(Checker(sensitivity, "fast").check_many(several))  # type: ignore[arg-type]
    assert sum(len(r.sentences) for r in fast) > 400
    assert sum(len(r.findings) for r in fast) > 50
    for a, b in zip(fast, slow, strict=True):
        for c in a.scores:
            assert a.scores[c] == pytest.approx(b.scores[c], abs=1e-3)
        for f, g in zip(a.findings, b.findings, strict=True):
            assert f.score == pytest.approx(g.score, abs=2e-4)
        assert plain(a).findings == plain(b).findings
        assert a.dismissed == b.dismissed
        assert a.checklist == b.checklist


@compiled
@pytest.mark.parametrize("name", ["fast", None])
def test_a_text_is_judged_alike_alone_and_among_others(name: str | None) -> None:
    several = texts(40)
    checker = Checker(model=name)
    together = list(checker.check_many((str(i), t) for i, t in enumerate(several)))
    alone = [checker.check(t, str(i)) for i, t in enumerate(several)]
    assert together == alone


@pytest.mark.usefixtures("without_core")
def test_runs_without_the_core() -> None:
    fast = model.load("fast")
    assert fast._core is None
    [finding] = Checker(model="fast").check("Our clinic guarantees a cure.").findings
    assert finding.category == "guaranteed_cure"


def test_is_switched_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPECHECK_NATIVE", "0")
    assert native.library.__wrapped__() is None


def test_a_library_of_another_machine_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "_core.so").write_bytes(b"not a library")
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "_core.so")
    assert native.library.__wrapped__() is None


def _requests(checker: Checker) -> list[Request]:
    reads, _ = checker._read([("", t) for t in texts(60)])
    return [
        Request(
            r.plain.text, r.sentences, r.found.live, [v.guard if v else None for v in r.verdicts]
        )
        for r in reads
        if r.sentences
    ]


def _joined(requests: Sequence[Request]) -> Joined:
    return Joined.of([r.text for r in requests], [r.sentences for r in requests])


@compiled
def test_margins_are_those_of_the_twin(request: pytest.FixtureRequest) -> None:
    requests = _requests(Checker(model=None))
    joined = _joined(requests)
    fast = model.load("fast")._margins(requests, joined)
    request.getfixturevalue("without_core")
    slow = model.load("fast")._margins(requests, joined)
    assert [m.shape for m in fast] == [m.shape for m in slow]
    np.testing.assert_allclose(fast[0], slow[0], atol=1e-5)
    np.testing.assert_array_equal(fast[1], slow[1])  # whole numbers all along


@compiled
@pytest.mark.parametrize("kernel", [0, 1])
def test_margins_do_not_depend_on_the_processor(fast_model: Model, kernel: int) -> None:
    requests = _requests(Checker(model=None))[:20]
    joined = _joined(requests)
    lib = native.library()
    assert lib is not None
    core = fast_model._core
    best = fast_model._margins(requests, joined)
    try:
        if lib.hype_kernel(kernel) != kernel:
            pytest.skip("this processor cannot")
        fast_model._core = fast_model._compiled(_data())  # without products that were made before
        other = fast_model._margins(requests, joined)
    finally:
        fast_model._core = core
        lib.hype_kernel(2)
    np.testing.assert_array_equal(best[1], other[1])


def _data() -> Mapping[str, Any]:
    folder = artefact.find(artefact.DEFAULT_MODEL)
    data: Mapping[str, Any] = joblib.load(folder / "model.joblib")
    return data


@given(seed=st.integers(0, 2**32 - 1), blow=st.floats(1e-3, 1e3))
def test_no_product_is_larger_than_its_steps_allow(seed: int, blow: float) -> None:
    rng = np.random.default_rng(seed)
    data = {
        "embedding": rng.integers(-127, 128, (20, 8)).astype(np.int8),
        "embedding_scale": rng.random((20, 1)).astype(np.float32) * blow,
        "kernel": rng.integers(-127, 128, (5, 8, 6)).astype(np.int8),
        "kernel_scale": rng.random((1, 1, 6)).astype(np.float32) + 1e-6,
        "bias": rng.normal(size=6).astype(np.float32) * blow,
    }
    data["embedding"][0] = data["kernel"][2, :, 1]  # as large as it gets
    steps = Steps(data)
    embedding = data["embedding"] * data["embedding_scale"]
    most = sum(np.abs(np.rint(embedding @ k * steps.inverse)).max(axis=0) for k in data["kernel"])
    assert (most + np.abs(steps.offset) <= np.iinfo(np.int16).max).all()


@pytest.fixture(scope="module")
def fast_model() -> Model:
    return model.load("fast")


@compiled
@given(sentence=st.text(PRINTABLE, max_size=80))
@example("unbelievablyunbelievablyunbelievablyunbelievablyunbelievablyunb 1")
@example("don't-stop: $5,000.50 (50%) ^^ O'Neil_x")
@example("word " * 120)
def test_word_pieces_are_those_of_the_twin(fast_model: Model, sentence: str) -> None:
    core = fast_model._core
    assert core is not None
    [pieces] = fast_model._pieces.cut([sentence])
    text = f"Before. {sentence} After.".encode()
    [got] = core.cut(text, [(8, 8 + len(sentence))])
    assert (got.ids, got.offsets) == (list(pieces.ids), list(pieces.offsets))


@compiled
def test_a_text_is_judged_alike_whatever_came_before(
    fast_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More pieces than the core keeps: their places are used in turn.
    monkeypatch.setattr(native, "KEEP", 64)
    model.load.cache_clear()
    small = model.load("fast")
    model.load.cache_clear()
    words = sorted(
        {w for t in texts(300) for w in t.lower().split() if w.isalpha() and w.isascii()}
    )
    rng = random.Random(0)
    assert len(words) > 2000
    for _ in range(300):
        text = " ".join(rng.choice(words) for _ in range(80))
        request = [Request(text, (Sentence(0, len(text), 0),), (), ())]
        one, other = small.score(request), fast_model.score(request)
        assert one == other
        np.testing.assert_array_equal(one[0].labels, other[0].labels)


@compiled
@pytest.mark.parametrize("bar", [0.0, 0.6])  # 0: every sentence, every category
def test_flagged_phrases_are_those_of_the_twin(fast_model: Model, bar: float) -> None:
    requests = _requests(Checker(model=None))
    scored = fast_model.score(requests, bars=[bar] * 3)
    fast = [s.flags for s in scored]
    core = fast_model._core
    slow: list[list[model.Flag]] = [[] for _ in requests]
    try:
        fast_model._core = None
        p = np.concatenate([s.labels for s in scored])
        fast_model._flag(requests, _joined(requests), p, [bar] * 3, [{} for _ in requests], slow)
    finally:
        fast_model._core = core
    assert sum(map(len, fast)) > (
        3 * sum(len(r.sentences) for r in requests) - 1 if bar == 0 else 50
    )
    assert fast == slow


# Sentences

WORDS = """
    knees. the Dr No no. vs. etc. approx. We treat a.m. $5 4.5 90% 2021 I Q: Q. e.g. (see (a) [1]
    (iv) (PRP) (abc) ) ] ( " "quoted" it's knees' 'x' ^ * - + o > # 1. 2) (3) site.com U.S. St. Sat.
    ... ! ?! .) ." .^ & / : Yes. No. Yahoo! Why? x{y} <b> | of a non-surgical. don't. 12,000. $499.
    99%. word.Next Then months. London. Jan. fig. x. ` `` `x ~ ~x \\ _ = @ @x ; , : % # + 'x `x`
""".split()  # noqa: SIM905 (read more easily so)
GAPS = [" ", " ", " ", "", "\n", "\n\n", "\t"]


@compiled
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)),
            max_size=25,
        ),
        max_size=4,
    )
)
@example([[("We ask Dr.", " "), ("No.", " "), ("He knows. " * 300, "")]])
def test_sentences_are_those_of_the_twin(parts: list[list[tuple[str, str]]]) -> None:
    several = ["".join(a + b for a, b in words) for words in parts]
    for _ in range(2):  # the second time, the words before stops are known
        sentences, joined = segment_many(several)
        assert sentences == [segment(t) for t in several]
        other = Joined.of(several, sentences)
        assert (joined.starts, joined.ends, joined.edges, joined.first, joined.text) == (
            other.starts, other.ends, other.edges, other.first, other.text,
        )  # fmt: skip


@compiled
def test_sentences_of_the_corpus_are_those_of_the_twin() -> None:
    several = [normalise(t).text for t in texts(2000)]
    assert segment_many(several)[0] == [segment(t) for t in several]
    assert segment_many(several)[0] == [segment(t) for t in several]


# The screen

PATTERNS = [["\\bcures? (?:gout|pain)\\b"], ["act now|hurry"], [".*"], ["[0-9]+% safe"]]


def new_screen(patterns: Sequence[Sequence[str]] = PATTERNS, **more: Any) -> Screen:
    lib = native.library()
    assert lib is not None
    return Screen(lib, patterns, [False] * len(patterns), **more)


@compiled
def test_screen_names_patterns_by_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    several = ["It cures gout. It obscures gouty pain.", "Hurry! 99% safe. Act now.", "cures"]
    s = new_screen()
    assert s.always == [2]
    found = s.find(Joined.of(several, [segment(t) for t in several]))
    assert found.jobs == [0, 0, -1, 2, 1, -1, 3, 3, -1, 4, 1, -1]
    assert found.last == [3, 12, 12]


@compiled
def test_screen_names_the_places_where_a_pattern_may_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    patterns = [r"\b(?:cures?|heals)(?:,? \w+)* gout\b", r"\b(?:\w+ ){1,2}cures\b", "act now"]
    s = new_screen([[p] for p in patterns], placed=3)
    text = "1. Heals a cure, cures gout. Act now"
    jobs = s.find(Joined.of([text], [segment(text)])).jobs
    heals, cure, cures, act = (text.index(w) for w in ("Heals", "cure,", "cures", "Act"))
    places: dict[tuple[int, int], list[int] | None] = {}
    while jobs:
        k, pattern, n = jobs[:3]
        places[k, pattern] = None if n < 0 else jobs[3 : 3 + n]
        del jobs[: 3 + max(n, 0)]
    assert places == {(0, 0): [heals, cure, cures], (0, 1): None, (1, 2): [act]}


@compiled
def test_screen_knows_some_gates_for_sure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    gates = [[r"\b(?:pain|inject\w*|dr\.?)\b"], [r"\b(?:pa\S+n|ouch)\b"]]
    s = new_screen([["x"]], gates=gates)
    several = ["No painful injectable.", "Dr. Pain", "Panes.", "Ouch", "A parson."]
    seen = s.find(Joined.of(several, [segment(t) for t in several]))
    assert [g & 1 for g in seen.gates] == [1, 1, 0, 0, 0]
    assert not any(g >> GATES & 1 for g in seen.gates)  # it need not be asked
    assert [g >> GATES + 1 & 1 for g in seen.gates][3:] == [1, 1]  # what may match is let through
    assert not any(g >> 1 & 1 for g in seen.gates)


@compiled
def test_screen_looks_at_the_whole_text_where_a_match_may_begin_between_sentences(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lib = native.library()
    assert lib is not None
    s = Screen(lib, [["[^a-z]*cure"], ["cure"]], [None, None])
    assert s.find(Joined.of(["A cure."], [()])).jobs == [WHOLE, 0, -1]


@compiled
@given(
    bodies=st.lists(st.text("abc ", min_size=1, max_size=7), min_size=1, max_size=12, unique=True),
    text=st.text("abcd .", max_size=60),
)
def test_screen_finds_every_literal_there_is(bodies: list[str], text: str) -> None:
    # The automaton against Python's "in": literals that begin, end and lie in one another.
    lib = native.library()
    assert lib is not None
    bodies = [b for b in bodies if b.strip()]
    tables = screen._make([[re.escape(b)] for b in bodies], [True] * len(bodies), ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "_tables", lambda *_: tables)
        s = Screen(lib, [[re.escape(b)] for b in bodies], [True] * len(bodies))
    found = s.find(Joined.of([text], [[Sentence(0, len(text), 0)] if text else []]))
    assert {p for p in found.jobs[1::3] if p not in s.always} == {
        i for i, b in enumerate(bodies) if b in text and i not in s.always
    }


@compiled
@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^?zorb cures?", "We are here. Our zorb cure helps.", "zorb cure"),
        (r"(?P<hit>zorb)[\s-]cure", "Our zorb\tcure helps.", "zorb"),
        ("foo[^]a]bar", "The foobbar helps.", "foobbar"),
        (r"(?:our )?(?:zorb )*cure", "1. Take our zorb zorb cure.", "our zorb zorb cure"),
        (r"\b(?-i:US) zorb", "Join us zorbing. US zorb", "US zorb"),
        (r"\bzorb\w*(?:, \w+)*$", "A zorb, a fee. Zorbs, cures", "Zorbs, cures"),
    ],
)
def test_odd_patterns_find_what_the_twin_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pattern: str, text: str, found: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rule = dataclasses.replace(load().rules[0], pattern=pattern)
    matcher, sentences = Matcher([rule]), segment(text)
    slow, _ = matcher.find(text.encode(), sentences)
    [fast] = matcher.find_many([text], [sentences])
    assert fast.live == slow
    assert [text[c.start : c.end] for c in slow] == [found]


def test_no_cue_pattern_is_sought_everywhere() -> None:
    # Which sentences may hold a cue is asked of the screen; it must know.
    checker = Checker(model=None)
    checker.check("A cure.")
    screen_ = checker._matcher._screen
    assert screen_ is None or screen_.always == []


@compiled
def test_giant_text_is_screened_in_little_memory() -> None:
    rules = load().rules
    matcher = Matcher(rules)
    line = "It cures gout. No 1 of 95% 12 20 30 is on 3 of 4, act now! "
    small = matcher.find_many([line], [segment(line)])[0].live
    assert small
    for text in ("7" * 1_000_000, line * 8_000):
        before = resident()
        [found] = matcher.find_many([text], [segment(text)])
        assert resident() - before < 400  # MB; the hits themselves included
        assert len(found.live) == (len(small) * 8_000 if " " in text else 0)


def resident() -> float:
    """Give the highest memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@compiled
def test_damaged_cache_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    new_screen()
    [file] = (tmp_path / "hypecheck").iterdir()
    good = file.read_bytes()
    for bad in (b"", good[:50], good[:-1] + bytes([good[-1] ^ 1]), good[40:]):
        file.write_bytes(bad)
        assert new_screen().always == [2]
        assert file.read_bytes() == good


@compiled
def test_cache_that_cannot_be_written_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert new_screen().always == [2]


def test_every_shipped_rule_is_screened() -> None:
    rules = load().rules
    tables = screen._make([[r.pattern] for r in rules], ["<hit>" in r.pattern for r in rules], ())
    assert list(tables["always"]) == []


@compiled
@given(
    text=st.lists(
        st.sampled_from(
            ["Yes", ". ", "! ", '"', "\n", " cure", " it", " and We", "1) ", " gout", "|"]
        ),
        max_size=24,
    ).map("".join)
)
@example("Yes.\nYes! cure it and We cure and We cure\n\n")
@example("Yes. gout._cure")
def test_rules_that_may_begin_in_a_gap_hit_alike_with_and_without_the_core(text: str) -> None:
    one = load().rules[0]
    rules = [
        dataclasses.replace(one, id=f"{one.kind}/{n}", pattern=p)
        for n, p in enumerate([r'"?[^"|]{0,30}\bcure', "[^x]{0,12}?cure", r"[\W\d]*\bgout"])
    ]
    matcher = Matcher(rules)
    sentences = segment(text)
    [found] = matcher.find_many([text], [sentences])
    assert found.live == matcher.find(text.encode(), sentences)[0]
