"""How documents are cut for the transformer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hypecheck.windows import BUDGET, near, windows
from hypecheck.wordpiece import LONGEST

LENGTHS = st.lists(st.integers(1, LONGEST), max_size=60)


@given(LENGTHS)
def test_every_sentence_is_scored_once_and_in_order(lengths: list[int]) -> None:
    scored = [i for w in windows(lengths) for i in w.scored]
    assert scored == list(range(len(lengths)))


@given(LENGTHS)
def test_no_window_is_over_budget(lengths: list[int]) -> None:
    for w in windows(lengths):
        assert 1 + sum(lengths[i] + 1 for i in w.sentences) <= BUDGET


@given(LENGTHS)
def test_context_is_the_opening_and_the_sentence_before(lengths: list[int]) -> None:
    for w in windows(lengths)[1:]:
        assert w.context in ((), (0,), (0, w.scored[0] - 1))


def test_a_short_text_is_one_window() -> None:
    assert [w.sentences for w in windows([10, 20, 30])] == [(0, 1, 2)]


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_what_is_read_is_what_is_wanted_its_neighbours_and_the_opening(wanted: list[bool]) -> None:
    read = near(wanted)
    assert read == sorted(set(read))
    asked = {i for i, w in enumerate(wanted) if w}
    beside = {i + d for i in asked for d in (-2, -1, 0, 1)} & set(range(len(wanted)))
    assert set(read) == beside | {0}
