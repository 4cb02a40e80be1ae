"""The checklist: its examples, when it applies, where its evidence stands, how long it takes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from hypecheck.checklist import MAX_EVIDENCE, SHIPPED, Checklist, Entry
from hypecheck.errors import RulesetError
from hypecheck.normalise import Normalised, normalise
from hypecheck.ruleset import RULES, unmark
from hypecheck.segment import segment
from hypecheck.types import ChecklistItem, Sentence

CHECKLIST = Checklist()
IDS = (
    "trial_or_authorisation",
    "gmp_certificate",
    "dose_and_number",
    "rehabilitation",
    "follow_up",
    "alternatives",
    "risks",
    "outcome_data",
    "contraindications",
    "total_price",
)
# An offer that every item applies to and that states none of them.
OFFER = "Our clinic offers stem cell injections for knee pain.\n"

GOOD = """Cell injections for knee osteoarthritis
We offer this treatment only within a registered trial (NCT05512345).
The cells are made under GMP certificate no. UK MIA 20345.
Each knee receives one injection of 50 million cells.
Physiotherapy starts at two weeks and is included.
Follow-up is at 1, 3, 6 and 12 months.
Alternatives include physiotherapy, hyaluronic acid, PRP, bracing and surgery.
Side effects include swelling, pain at the injection site and, rarely, infection.
In the last trial 71 of 100 patients improved at 12 months, against 48 of 98 on placebo.
It is not suitable if you are pregnant or have an active infection.
The fee for one knee is €4,800.
"""
GLOSSY = """STEM CELLS: THE MIRACLE YOUR KNEES HAVE BEEN WAITING FOR
Say goodbye to pain in one visit! Our FDA-registered clinic has healed over 10,000 patients.
95% success rate. No surgery, no drugs, no downtime, no side effects.
GMP-certified, clinically proven, totally safe for everyone, even in pregnancy.
Skip the knee replacement and the months of rehab.
Save $500 if you book today. Only 3 spots left!
Why suffer? Studies show it works. Financing available.
"""


def check(text: str) -> dict[str, ChecklistItem]:
    normalised = normalise(text)
    items = CHECKLIST.check(normalised, text, segment(normalised.text))
    return {item.id: item for item in items}


def statuses(text: str) -> set[str]:
    return {item.status for item in check(text).values()}


def examples(key: str) -> list[ParameterSet]:
    return [
        pytest.param(entry, example, id=f"{entry.id}-{n}")
        for entry in CHECKLIST.entries
        for n, example in enumerate(getattr(entry, key))
    ]


@pytest.mark.parametrize(("entry", "example"), examples("states"))
def test_states_gives_exactly_the_marked_evidence(entry: Entry, example: str) -> None:
    plain, spans = unmark(example)
    item = check(OFFER + plain)[entry.id]
    assert item.status == "stated"
    assert [(c.start - len(OFFER), c.end - len(OFFER)) for c in item.evidence] == list(spans)


@pytest.mark.parametrize(("entry", "example"), examples("silent"))
def test_silent_is_not_stated(entry: Entry, example: str) -> None:
    item = check(OFFER + example)[entry.id]
    assert item.status == "not_stated", item.evidence


def test_items_stand_in_the_order_of_the_file_and_are_complete() -> None:
    assert tuple(check(OFFER)) == IDS
    assert statuses(OFFER) == {"not_stated"}
    for entry in CHECKLIST.entries:
        assert len(entry.states) >= 8
        assert len(entry.silent) >= 8
        assert entry.question.count("?") >= 1


def test_good_page_states_every_item() -> None:
    assert {i.id for i in check(GOOD).values() if i.status == "stated"} == set(IDS)


def test_glossy_ad_states_none() -> None:
    assert [(i.id, i.evidence) for i in check(GLOSSY).values() if i.status == "stated"] == []
    assert statuses(GLOSSY) == {"not_stated"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\n ",
        "Only today: 50% off all sofas! Call us now.",
        "We are open Monday to Friday, 9 to 5. Our new number is 020 7946 0000.",
        "Our plumbers fix every leak. Fees from $90.",
        "Osteoarthritis of the knee is common after fifty. Options include exercise and surgery.",
        "The regulator fined a stem cell firm $1.25 million. Infections have been reported.",
        "As we age, our joints wear. Stem cells are studied in trials such as NCT01234567.",
    ],
    ids=["empty", "blank", "sofas", "hours", "plumber", "encyclopaedia", "news", "explainer"],
)
def test_text_that_offers_no_treatment_is_not_applicable(text: str) -> None:
    items = check(text).values()
    assert {i.status for i in items} == {"not_applicable"}
    assert all(i.evidence == () for i in items)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Our IV vitamin drips: book now.", {"rehabilitation"}),
        (
            "Our chiropractors adjust your neck. Book now.",
            {"trial_or_authorisation", "gmp_certificate"},
        ),
        ("Teeth whitening at our clinic, $99.", {"rehabilitation", "gmp_certificate"}),
        ("Our hearing aids: call us for a fitting.", {"rehabilitation", "dose_and_number"}),
    ],
    ids=["drip", "chiropractor", "whitening", "hearing"],
)
def test_items_that_make_no_sense_are_not_applicable(text: str, missing: set[str]) -> None:
    na = {i.id for i in check(text).values() if i.status == "not_applicable"}
    assert missing <= na
    assert "risks" not in na


def test_what_is_stated_is_stated_even_where_it_would_not_apply() -> None:
    item = check("Our IV vitamin drips. You will receive a rehabilitation plan.")["rehabilitation"]
    assert item.status == "stated"


@pytest.mark.parametrize(
    "text",
    [
        "💉✨ Our PRP 🦵\nSide effects include bruising and swelling.",
        "Оur сliniс offers РRР.\nSide effects include bruіsіng and swelling.",
        "Our ｃｌｉｎｉｃ offers PRP…\r\n\r\n“Side effects include bruising and swelling.”",
        "Our clinic offers PRP.\nSide effects include b\u200bruising and swelling.",
    ],
    ids=["emoji", "homoglyphs", "full width", "zero width"],
)
def test_evidence_slices_the_original_text(text: str) -> None:
    items = check(text)
    cues = [c for i in items.values() for c in i.evidence]
    assert all(text[c.start : c.end] == c.text for c in cues)
    (cue,) = items["risks"].evidence
    assert cue.text.startswith("Side effects include b")
    assert cue.text.endswith("swelling")


def test_evidence_lies_in_one_sentence_and_is_limited() -> None:
    text = OFFER + "The fee is $400.\n" * 9 + "Side effects include\nbruising and swelling"
    items = check(text)
    assert len(items["total_price"].evidence) == MAX_EVIDENCE
    assert items["risks"].status == "not_stated"


@pytest.mark.parametrize(
    ("sentence", "item"),
    [
        ("We do not offer a follow-up at six weeks.", "follow_up"),
        ("Never any bruising or swelling for days afterwards is normal.", "risks"),
        ("There is no rehabilitation plan.", "rehabilitation"),
        ("Are you reviewed at six weeks?", "follow_up"),
    ],
)
def test_denied_and_asked_is_not_stated(sentence: str, item: str) -> None:
    assert check(OFFER + sentence)[item].status == "not_stated"


def test_no_in_another_clause_does_not_deny() -> None:
    text = OFFER + "We do not promise results, but side effects include bruising."
    assert check(text)["risks"].status == "stated"


def test_check_is_deterministic() -> None:
    assert check(GOOD) == check(GOOD)
    normalised = normalise(GOOD)
    again = Checklist().check(normalised, GOOD, segment(normalised.text))
    assert again == tuple(check(GOOD).values())


@pytest.mark.parametrize(
    "line",
    [
        "There is no bruising, no swelling and no infection; $50 off our fee, ask any clinic.",
        "our surgery or exercise and risks such as the a may cause infection not pregnant at six",
        "We see you after one two three four, 1, 2, 3, 6, 12 and more and more weeks or not.",
    ],
    ids=["denied", "near", "numbers"],
)
def test_takes_linear_time(line: str) -> None:
    size = len(line) + 1
    text = (line + "\n") * (1_000_000 // size)
    # Made by hand: cutting and normalising 1 MB is not what is timed here.
    normalised = Normalised(text, len(text))
    sentences = [Sentence(n, n + len(line), n // size) for n in range(0, len(text), size)]
    start = time.perf_counter()
    CHECKLIST.check(normalised, text, sentences)
    assert time.perf_counter() - start < 10  # measured under 1.5 s; a quadratic one takes hours


HEAD = (RULES / "checklist.toml").read_text("utf-8").split("[[item]]")[0]
ITEM = """
[[item]]
id = "risks"
title = "Risks"
question = "Which?"
patterns = ['bruising']
states = ["[bruising]"]
silent = ["nothing"]
"""


def test_shipped_file_passes_the_checks_that_any_other_gets(tmp_path: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_bytes(SHIPPED.read_bytes())
    assert Checklist(copy).entries == CHECKLIST.entries


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "holds no [[item]] table"),
        (HEAD + ITEM + ITEM, "item 'risks': key 'id': the name is taken"),
        (HEAD + ITEM + "colour = 1", "item 'risks': unknown key 'colour'"),
        (HEAD + ITEM.replace("'bruising'", "'('"), "item 'risks': key 'patterns': '('"),
        (HEAD + ITEM.replace("'bruising'", "'x*'"), "'x*' matches the empty text"),
        (HEAD + ITEM.replace("'bruising'", "'{nope}'"), "no word list named 'nope'"),
        (HEAD + ITEM.replace("[bruising]", "bruising"), "mark exactly one span"),
        (HEAD + ITEM.replace('"Which?"', '""'), "item 'risks': key 'question'"),
        (HEAD + ITEM.replace('"risks"', '"Risks!"'), "key 'id' must be"),
        (HEAD + ITEM.replace('["nothing"]', "[]"), "key 'silent' needs at least one"),
        (HEAD + ITEM + "negatable = 1", "key 'negatable' must be true or false"),
        (ITEM, "negation: key 'cue'"),
        ("words = 1\n" + ITEM, "key 'words' must be a table"),
        ("surplus = 1\n" + HEAD, "file: unknown key 'surplus'"),
        ("[[item", "not valid TOML"),
    ],
)
def test_broken_file_names_file_item_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(RulesetError) as error:
        Checklist(path)
    assert message in str(error.value)
    assert "mine.toml" in str(error.value)
