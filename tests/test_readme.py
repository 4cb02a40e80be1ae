"""The README's code runs, its commands exist, and its figures are the measured ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hypecheck.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.S)
    assert block
    exec(compile(block[1], "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "cure_claim" in out
    assert len(out.splitlines()) >= 2


def test_measured_blocks_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_example_rule_holds(tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", README, re.S)
    assert block
    path = tmp_path / "cure_claim.toml"
    path.write_text(block[1], "utf-8")
    result = CliRunner().invoke(app, ["rules", "test", str(path)])
    assert result.exit_code == 0, result.output


def test_first_command_shows_all_three_categories_with_why_and_advice() -> None:
    path = ROOT / "data" / "examples" / "knee-clinic.txt"
    result = CliRunner().invoke(app, ["check", str(path), "--format", "json"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    reports = report if isinstance(report, list) else [report]
    found = [f for r in reports for f in r["findings"]]
    assert {f["category"] for f in found} == {"guaranteed_cure", "pressure_sales", "missing_data"}
    assert all(f["why"] and f["advice"] and f["references"] for f in found)


@pytest.mark.parametrize("name", ["patient-education.txt", "honest-clinic.txt"])
def test_sober_examples_carry_no_flag(name: str) -> None:
    result = CliRunner().invoke(app, ["check", str(ROOT / "data" / "examples" / name)])
    assert result.exit_code == 0, result.output


def test_warnings_of_the_education_text_name_their_cue() -> None:
    path = ROOT / "data" / "examples" / "patient-education.txt"
    result = CliRunner().invoke(app, ["check", str(path), "--explain"])
    assert "guaranteed cures" in result.output
    assert "because of “clinics that advertise" in result.output
