"""Minimal pairs: what the shipped model must tell apart (the card has the exact rates)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypecheck import Checker
from hypecheck.errors import CorpusError
from hypecheck.training.behaviour import Capability, read, run

PAIRS = read(Path(__file__).parent.parent / "data" / "behaviour.toml")


@pytest.mark.parametrize("capability", PAIRS, ids=lambda c: c.name)
def test_capability_holds_in_three_of_four_pairs(capability: Capability) -> None:
    (outcome,) = run([capability], Checker())
    n = len(capability.pairs)
    assert outcome.passed >= 0.75 * n, outcome.failed
    if capability.expect != "stays_silent":
        assert outcome.hype_flagged >= 0.75 * n


@pytest.mark.parametrize(
    "text",
    [
        "[[capability]]\nname = 'x'",
        "[[capability",
        "[[capability]]\nname='x'\nwhat=''\nexpect='y'\npairs=[]",
    ],
    ids=["no pairs", "not TOML", "unknown expectation"],
)
def test_broken_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(CorpusError, match=r"pairs\.toml"):
        read(path)
