"""What is kept between runs: found again as it was made, never stale, never in the way."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import numpy as np
import pytest

from hypecheck import store

MADE = {
    "text": "naïve\n",
    "list": [1, 2.5, None, True, {"deep": ["x"]}],
    "empty": {},
    "ints": array("i", [3, -1, 2]),
    "none": array("q"),
    "half": np.arange(6, dtype=np.float16).reshape(2, 3),
    "bytes": np.array([-1, 1], np.int8),
}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "hypecheck" / "thing"


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


def unmade() -> object:
    raise AssertionError("it was kept")


@pytest.mark.usefixtures("place")
def test_what_was_made_comes_back() -> None:
    assert store.kept("thing", lambda: MADE) is MADE
    again = store.kept("thing", unmade)
    assert again.keys() == MADE.keys()
    for name, value in MADE.items():
        assert same(value, again[name]), name


def test_damage_is_made_anew(place: Path) -> None:
    store.kept("thing", lambda: MADE)
    good = place.read_bytes()
    for bad in (b"", good[:50], good[:-1] + bytes([good[-1] ^ 1]), good[40:], good + b"\0"):
        place.write_bytes(bad)
        assert store.kept("thing", lambda: MADE) is MADE
        assert place.read_bytes() == good


def test_what_older_sources_left_is_cleared_after_a_while(place: Path) -> None:
    for name in ("model-1", "model-2", "rules-1"):
        store.kept(name, lambda: MADE)
        if name != "model-2":
            os.utime(place.with_name(name), (0, 0))
    store.kept("model-3", lambda: MADE)
    assert sorted(p.name for p in place.parent.iterdir()) == ["model-2", "model-3", "rules-1"]


def test_nowhere_to_write_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert store.kept("thing", lambda: MADE) is MADE
    assert store.kept("thing", lambda: MADE) is MADE
