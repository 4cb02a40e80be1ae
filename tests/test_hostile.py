"""Texts made to hurt: each gets a report, and its cost grows in step with its length.

No test asserts a time. Processor time at two sizes is compared, with a ratio three times as
generous as linear growth needs; quadratic growth is far beyond it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from string import ascii_lowercase

import pytest

from hypecheck import Checker

RULES = Checker("broad", model=None)
DEFAULT = Checker("broad")
SMALL, TIMES = 2_500, 8
GENEROUS = 3 * TIMES
TOO_LITTLE = 0.08  # seconds for the large text: what takes less is noise


def repeat(piece: str) -> Callable[[int], str]:
    return lambda n: piece * (n // len(piece) + 1)


def leet(n: int) -> str:
    """Give words that all look disguised and differ, more of them than a pattern cache holds."""
    return " ".join(f"{c}4{b}3{a}" for a, b, c in product(ascii_lowercase, repeat=3))[: 2 * n]


SHAPES: dict[str, Callable[[int], str]] = {
    "no space": repeat("x"),
    "digits": repeat("1"),
    "opening brackets": repeat("("),
    "square brackets": repeat("[1]"),
    "quotes": repeat('"'),
    "spaces": repeat(" "),
    "tabs": repeat("\t"),
    "new lines": repeat("\n"),
    "one-letter lines": repeat("a\n"),
    "stops": repeat("."),
    "dotted letters": repeat("a."),
    "exclamation marks": repeat("!"),
    "stars": repeat("*"),
    "hashes": repeat("#"),
    "hyphens": repeat("a-"),
    "bars": repeat("|"),
    "bars in disguise": lambda n: "é" + "|" * n,
    "pluses in disguise": lambda n: "é" + "+" * n,
    "dollars in disguise": lambda n: "é" + "$" * n,
    "bars and a tab": lambda n: "|a" * (n // 2) + "\tb",
    "bars and blanks": repeat("| "),
    "cells": repeat("a\t"),
    "mail address": lambda n: "a" * n + "@",
    "broken words": lambda n: "aa." * (n // 3) + "@",
    "disguised words": leet,
    "one disguised word": repeat("c*re "),
    "spaced letters": repeat("c u r e "),
    "emoji": repeat("🔥"),
    "combining accents": lambda n: "a" + "\u0301" * n,
    "zero-width spaces": repeat("c\u200bu"),
    "right to left": repeat("שלום "),
    "look-alikes": repeat("сure "),
    "lone surrogates": repeat("\ud800"),
    "NUL": repeat("\x00"),
    "abbreviations": repeat("Dr. "),
    "mornings": repeat("9 a.m. "),
    "quoted stops": repeat('." '),
    "percentages": repeat("99% "),
    "prices": repeat("$1,5"),
    "claims": repeat("We cure arthritis. "),
    "claims in one sentence": repeat("we cure arthritis and "),
    "denied claims": repeat("It does not cure arthritis. "),
    "asked claims": repeat("Does it cure arthritis? "),
    "reported claims": repeat("The advert said it cures arthritis. "),
    "list of claims": lambda n: "Be wary of:\n" + "- cures arthritis\n" * (n // 18),
    "lead-ins": repeat("Beware:\n"),
    "cited claims": lambda n: "95% of patients improved [1].\n" * (n // 7),
    "claim and new lines": lambda n: "95% of patients improved [1]." + "\n" * n,
    "claims and data": repeat("It works for 95%. See 71 of 100 patients at 12 months. "),
    "warnings without an end": repeat("beware of "),
}


def cost(text: str) -> float:
    """Give the processor seconds of one check, the least of three unless they are long."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        RULES.check(text)
        best = min(best, time.process_time() - start)
        if best > 0.5:
            break
    return best


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Compile the patterns that the shapes need, and load spaCy, before anything is compared."""
    for make in SHAPES.values():
        RULES.check(make(200))


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_work_grows_in_step_with_the_text(make: Callable[[int], str]) -> None:
    large = cost(make(SMALL * TIMES))
    assert large < TOO_LITTLE or large < GENEROUS * cost(make(SMALL))


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_report_is_given_with_the_model_too(make: Callable[[int], str]) -> None:
    text = make(1_000)
    report = DEFAULT.check(text)
    assert report.text == text
    assert all(text[f.start : f.end] == f.text for f in report.findings)


@pytest.mark.parametrize("checker", [RULES, DEFAULT], ids=["rules", "model"])
@pytest.mark.parametrize("text", ["x" * 1_000_000, "(" * 10_000], ids=["1 MB", "10,000 brackets"])
def test_text_without_a_space_gets_a_report(text: str, checker: Checker) -> None:
    report = checker.check(text)
    assert report.findings == ()
    assert report.sentences[0].start == 0
    assert report.sentences[-1].end == len(text)


def test_needle_is_found_in_a_large_haystack() -> None:
    hay = "The clinic opens at nine and closes at five. " * 10_000
    (finding,) = RULES.check(f"{hay}Our clinic guarantees a cure. {hay}").findings
    assert (finding.text, finding.start) == ("guarantees a cure", len(hay) + len("Our clinic "))
