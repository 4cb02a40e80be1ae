"""What a check imports: the light path stays light."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hypecheck

ROOT = Path(hypecheck.__file__).parents[1]
TRAINING = ["sklearn", "transformers", "hypecheck.training"]
SERVICE = ["fastapi", "starlette", "uvicorn", "hypecheck.service"]
MODEL = ["numpy", "joblib", "onnxruntime", "tokenizers"]


def imported(code: str) -> set[str]:
    """Give the modules that a fresh interpreter imports to run ``code``."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.M))


def unwanted(modules: set[str], names: list[str]) -> list[str]:
    return sorted(m for m in modules for n in names if m == n or m.startswith(f"{n}."))


def test_check_imports_neither_training_nor_service() -> None:
    code = "import hypecheck; hypecheck.check('Act now! Our balm does not cure gout.')"
    modules = imported(code)
    assert {"hypecheck.model", "numpy", "spacy"} <= modules  # the listing itself works
    assert unwanted(modules, TRAINING + SERVICE) == []


def test_command_imports_neither_training_nor_service() -> None:
    code = (
        "import sys, io; from hypecheck import cli;"
        " sys.stdin = io.TextIOWrapper(io.BytesIO(b'Act now!'));"
        "\ntry: cli.run(['check', '-'])\nexcept SystemExit: pass"
    )
    modules = imported(code)
    assert "hypecheck.formats.text" in modules
    assert unwanted(modules, TRAINING + SERVICE) == []


@pytest.mark.parametrize("text", ["🔥 Act now! Only 3 spots left, 95% s u c c e s s rate.", ""])
def test_rules_alone_need_no_model_libraries_where_no_cue_stands(text: str) -> None:
    code = f"import hypecheck; hypecheck.Checker(model=None).check({text!r})"
    assert unwanted(imported(code), MODEL + TRAINING + SERVICE + ["spacy"]) == []


def test_import_alone_is_light() -> None:
    heavy = [*MODEL, *TRAINING, *SERVICE, "spacy", "rich", "click", "selectolax"]
    assert unwanted(imported("import hypecheck"), heavy) == []
