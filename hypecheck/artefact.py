"""Find and verify a model artefact: a folder with ``manifest.json`` and the files that it names.

Every file's size and SHA-256 are checked before it is opened. A hash shows integrity; trust comes
from the wheel or the commit that the artefact was shipped in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypecheck.errors import ModelError
from hypecheck.types import LABELS, Category, Sensitivity

DEFAULT_MODEL = "2026.4"
FORMAT = 4
TIERS = ("fast", "default")
RETRAIN = "reinstall HypeCheck, or rebuild it with `hypecheck train`"


def find(name: str) -> Path:
    """Give the folder of a shipped model by its version, or the path given.

    Raises:
        ModelError: no such model.
    """
    here = Path(__file__).parent
    places = [here / "_models" / name, here.parent / "models" / name, Path(name)]
    for place in places:
        if (place / "manifest.json").is_file():
            return place
    if any(p.is_dir() for p in places):
        raise ModelError(f"model {name!r}: the folder holds no manifest.json; {RETRAIN}")
    raise ModelError(f"model {name!r}: not found; {RETRAIN}")


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says."""

    version: str
    files: Mapping[str, Mapping[str, Any]]  # name -> {"sha256", "bytes"}
    ruleset: str
    thresholds: Mapping[str, Mapping[Sensitivity, Mapping[Category, float]]]  # by tier
    probe: Sequence[Mapping[str, Any]]  # {"text", tier: {category: probability}}
    raw: Mapping[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        ModelError: missing, not JSON, of an unknown format, or incomplete.
    """
    path = folder / "manifest.json"
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: missing; a model without its manifest is refused") from None
    except (OSError, ValueError) as e:
        raise ModelError(f"{path}: unreadable ({e}); {RETRAIN}") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else None
        raise ModelError(f"{path}: format {found!r}, this version reads {FORMAT}; {RETRAIN}")
    try:
        if tuple(raw["labels"]) != LABELS:
            raise ModelError(f"{path}: its labels do not fit this version's kinds; {RETRAIN}")
        for name, entry in raw["files"].items():
            if not isinstance(entry["sha256"], str) or not isinstance(entry["bytes"], int):
                raise TypeError(f"files: {name}: sha256 and bytes")
        return Manifest(
            version=raw["version"],
            files=raw["files"],
            ruleset=raw["ruleset"],
            thresholds=raw["thresholds"],
            probe=raw["probe"],
            raw=raw,
        )
    except (KeyError, TypeError, AttributeError) as e:
        raise ModelError(f"{path}: incomplete: {e}; {RETRAIN}") from None


def read_verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Give the bytes of one artefact file after its size and SHA-256 were found right."""
    path = folder / name
    entry = manifest.files.get(name)
    if entry is None:
        raise ModelError(f"{path}: not named in manifest.json; refused")
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise ModelError(f"{path}: {e.strerror}; {RETRAIN}") from None
    if len(raw) != entry["bytes"]:
        raise ModelError(
            f"{path}: {len(raw)} bytes, the manifest says {entry['bytes']}; refused; {RETRAIN}"
        )
    if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
        raise ModelError(f"{path}: SHA-256 does not match the manifest; refused; {RETRAIN}")
    return raw
