"""The artefact: what is checked before it is opened, and what an opened one gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hypecheck import artefact, model
from hypecheck.artefact import DEFAULT_MODEL, FORMAT, TIERS
from hypecheck.errors import ModelError
from hypecheck.model import Request
from hypecheck.segment import segment
from hypecheck.types import CATEGORIES, KINDS, LABELS, SENSITIVITIES

SHIPPED = artefact.find(DEFAULT_MODEL)
WEIGHTS = "model.joblib"
Manifest = dict[str, Any]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a folder with the shipped artefact: its manifest copied, its files linked."""
    folder = tmp_path / "artefact"
    folder.mkdir()
    for path in SHIPPED.iterdir():
        if path.name == "manifest.json":
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            (folder / path.name).symlink_to(path.resolve())
    return folder


def edit(folder: Path, change: Callable[[Manifest], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def replace(folder: Path, raw: bytes, *, signed: bool = False) -> None:
    """Put ``raw`` in the place of the weights; ``signed`` puts its hash into the manifest."""
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).write_bytes(raw)
    if signed:
        entry = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
        edit(folder, lambda m: m["files"].update({WEIGHTS: entry}))


def refusal(name: object) -> str:
    with pytest.raises(ModelError) as caught:
        model.load(str(name))
    message = str(caught.value)
    assert "\n" not in message
    return message


def flipped(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


# Tampering


def test_untouched_copy_is_read(copy: Path) -> None:
    assert model.load(str(copy)).version == model.load().version


def test_flipped_byte_is_refused(copy: Path) -> None:
    replace(copy, flipped((copy / WEIGHTS).read_bytes()))
    assert f"{copy / WEIGHTS}: SHA-256 does not match the manifest; refused" in refusal(copy)


def test_cut_file_is_refused_by_its_size(copy: Path) -> None:
    replace(copy, (copy / WEIGHTS).read_bytes()[:-1])
    assert "bytes, the manifest says" in refusal(copy)


def test_missing_file_is_named(copy: Path) -> None:
    (copy / WEIGHTS).unlink()
    assert f"{copy / WEIGHTS}: No such file or directory" in refusal(copy)


def test_missing_manifest_is_refused(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    assert "the folder holds no manifest.json" in refusal(copy)
    with pytest.raises(ModelError, match="a model without its manifest is refused"):
        artefact.read_manifest(copy)


def test_missing_model_is_refused(tmp_path: Path) -> None:
    assert "'1999.1': not found" in refusal("1999.1")
    assert "not found" in refusal(tmp_path / "nothing")


def test_file_that_the_manifest_does_not_name_is_refused(copy: Path) -> None:
    edit(copy, lambda m: m["files"].pop(WEIGHTS))
    assert f"{copy / WEIGHTS}: not named in manifest.json; refused" in refusal(copy)


def test_extra_file_is_never_opened(copy: Path) -> None:
    (copy / "extra.joblib").mkdir()  # to open it would fail
    assert model.load(str(copy)).version
    with pytest.raises(ModelError, match="not named in manifest"):
        artefact.read_verified(copy, artefact.read_manifest(copy), "extra.joblib")


@pytest.mark.parametrize("tamper", [flipped, lambda raw: raw + b"x"], ids=["flipped", "longer"])
def test_nothing_is_unpickled_before_its_hash_is_right(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[bytes], bytes]
) -> None:
    opened: list[object] = []
    monkeypatch.setattr("joblib.load", opened.append)
    replace(copy, tamper((copy / WEIGHTS).read_bytes()))
    refusal(copy)
    assert opened == []


MANIFESTS: dict[str, tuple[Callable[[Manifest], object], str]] = {
    "old format": (lambda m: m.update(format=FORMAT - 1), f"format {FORMAT - 1}, this version"),
    "new format": (lambda m: m.update(format=FORMAT + 1), f"this version reads {FORMAT}"),
    "no format": (lambda m: m.pop("format"), "format None"),
    "other labels": (lambda m: m["labels"].reverse(), "labels do not fit"),
    "no labels": (lambda m: m.pop("labels"), "incomplete: 'labels'"),
    "no thresholds": (lambda m: m.pop("thresholds"), "incomplete: 'thresholds'"),
    "no files": (lambda m: m.pop("files"), "incomplete: 'files'"),
    "files as a list": (lambda m: m.update(files=[WEIGHTS]), "manifest.json"),
    "no hash": (lambda m: m["files"][WEIGHTS].pop("sha256"), "sha256"),
    "no size": (lambda m: m["files"][WEIGHTS].pop("bytes"), "bytes"),
    "no tier": (lambda m: m["thresholds"].pop("default"), "default"),
    "other probe": (lambda m: _shift(m["probe"]), "self-check failed"),
}


def _shift(probe: list[dict[str, Any]]) -> None:
    for tier in TIERS:
        probe[0][tier]["guaranteed_cure"] += (
            0.5 if probe[0][tier]["guaranteed_cure"] < 0.5 else -0.5
        )


@pytest.mark.parametrize(("change", "message"), MANIFESTS.values(), ids=MANIFESTS)
def test_mismatching_manifest_is_refused(
    copy: Path, change: Callable[[Manifest], object], message: str
) -> None:
    edit(copy, change)
    said = refusal(copy)
    assert message in said
    assert "hypecheck train" in said  # what to do


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b"3", b"null"])
def test_manifest_that_is_no_object_is_refused(copy: Path, raw: bytes) -> None:
    (copy / "manifest.json").write_bytes(raw)
    assert str(copy / "manifest.json") in refusal(copy)


@pytest.mark.parametrize(
    "raw", [b"", b"no joblib file", b"\x80\x04N."], ids=["empty", "text", "None"]
)
def test_signed_but_senseless_file_is_refused(copy: Path, raw: bytes) -> None:
    replace(copy, raw, signed=True)
    assert "cannot be read" in refusal(copy)


# What a good one gives


def requests(*texts: str) -> list[Request]:
    return [Request(t, segment(t), (), ()) for t in texts]


TEXTS = ("Act now! We cure gout.", "We open at nine.", "No risk, no side effects.\nBook today.")


@pytest.mark.parametrize("tier", TIERS)
def test_probabilities_are_probabilities_for_every_label(tier: str) -> None:
    for scored, request in zip(
        model.load(tier).score(requests(*TEXTS)), requests(*TEXTS), strict=True
    ):
        assert len(scored.categories) == len(scored.kinds) == len(request.sentences)
        for categories, kinds in zip(scored.categories, scored.kinds, strict=True):
            assert tuple(categories) == CATEGORIES
            assert tuple(kinds) == tuple(k for c in CATEGORIES for k in KINDS[c])
            assert all(0 <= p <= 1 for p in (*categories.values(), *kinds.values()))
        assert all(0 <= scored.document[c] <= 1 for c in CATEGORIES)


@pytest.mark.parametrize("tier", TIERS)
def test_texts_together_get_what_each_gets_alone(tier: str) -> None:
    together = model.load(tier).score(requests(*TEXTS))
    alone = [model.load(tier).score([r])[0] for r in requests(*TEXTS)]
    for a, b in zip(together, alone, strict=True):
        assert [dict(p) for p in a.categories] == [dict(p) for p in b.categories]
        assert dict(a.document) == dict(b.document)


@pytest.mark.parametrize("tier", TIERS)
def test_text_without_sentences_scores_nothing(tier: str) -> None:
    (scored,) = model.load(tier).score(requests(""))
    assert list(scored.categories) == []
    assert dict(scored.document) == dict.fromkeys(CATEGORIES, 0.0)


def test_hype_scores_above_a_sober_sentence() -> None:
    hype, sober = model.load().score(requests("Our clinic guarantees a cure.", "We open at nine."))
    assert hype.categories[0]["guaranteed_cure"] > 10 * sober.categories[0]["guaranteed_cure"]


def test_model_is_loaded_once_and_names_its_tier() -> None:
    assert model.load("default") is model.load("default")
    assert model.load(DEFAULT_MODEL).version == model.load("default").version == DEFAULT_MODEL
    assert model.load("fast").version == model.load(f"{DEFAULT_MODEL}/fast").version
    assert model.load("fast").version == f"{DEFAULT_MODEL}/fast"


@pytest.mark.parametrize("tier", TIERS)
def test_stricter_thresholds_are_higher(tier: str) -> None:
    thresholds = model.load(tier).thresholds
    assert set(thresholds) == set(SENSITIVITIES)
    for c in CATEGORIES:
        strict, balanced, broad = (thresholds[s][c] for s in SENSITIVITIES)
        assert 1 >= strict >= balanced >= broad > 0


def test_manifest_says_what_made_it() -> None:
    raw = artefact.read_manifest(SHIPPED).raw
    assert tuple(raw["labels"]) == LABELS
    assert len(raw["probe"]) >= 5
    assert len(raw["data"]["sha256"]) == 64
    assert set(raw["made_with"]) >= {"hypecheck", "python", "scikit-learn", "numpy"}
    assert set(raw["metrics"]) <= set(TIERS)
    for tier in raw["metrics"].values():
        assert {"dev", "test"} <= set(tier)
