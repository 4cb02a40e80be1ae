"""Spans are those that RE2's own methods give."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from hypecheck import regexp
from hypecheck.regexp import NONE, Regexp, options

PATTERNS = [r"\b(?:no|not|never)\b", r"a+b?", r"(\d+)|(x)y", r"^ab", r"b$", r"(?P<hit>a)b+", r"b*"]
TEXTS = st.text(alphabet="abxy 12no.\nAB", max_size=30).map(str.encode)


@pytest.fixture(params=[False, True], ids=["direct", "by-match"])
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the short way into the library, and the way round where a build of it has none."""
    if request.param:

        class Without:
            def __init__(self, pattern: bytes, opts: re2.Options) -> None:
                inner = re2.compile(pattern, opts)
                self.search, self.match, self.sub = inner.search, inner.match, inner.sub
                self.groupindex, self.groups = inner.groupindex, inner.groups

        other = SimpleNamespace(compile=Without, Options=re2.Options)
        monkeypatch.setattr(regexp, "re2", other)


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_spans_are_those_of_re2(pattern: str) -> None:
    ours = Regexp(pattern)
    theirs = re2.compile(pattern.encode(), options())

    @given(TEXTS, st.integers(0, 30), st.integers(0, 30))
    def same(text: bytes, a: int, b: int) -> None:
        pos, end = min(a, len(text)), min(b, len(text))
        m = theirs.search(text, pos, end)
        assert ours.span(text, pos, end) == (m.span() if m else None)
        groups = [m.span(k) for k in range(theirs.groups + 1)] if m else None
        assert ours.groups(text, pos, end) == groups
        assert list(ours.spans(text, pos, end)) == [
            m.span() for m in theirs.finditer(text, pos, end)
        ]
        m = theirs.match(text, pos, end)
        assert ours.starts(text, pos, end) == (m.span() if m else None)
        assert ours.without(text) == theirs.sub(b"", text)

    same()


def test_group_that_took_no_part_and_group_of_the_hit() -> None:
    assert Regexp(r"(\d+)|(x)").groups(b"-x", 0, 2) == [(1, 2), NONE, (1, 2)]
    assert Regexp(r"a(?P<hit>b)").hit == 1
    assert Regexp(r"a(b)").hit == 0


def test_broken_pattern_is_refused() -> None:
    with pytest.raises(re2.error):
        Regexp("(").compile()
