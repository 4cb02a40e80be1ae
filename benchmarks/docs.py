"""Write the measured parts of README.md and data/README.md from what was measured.

python benchmarks/docs.py            rewrite them
python benchmarks/docs.py --check    exit with 1 if they are not up to date
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path

from click.testing import CliRunner

from hypecheck.artefact import DEFAULT_MODEL
from hypecheck.cli import app
from hypecheck.types import CATEGORIES

ROOT = Path(__file__).parent.parent


def kinds() -> str:
    """Give the table of kinds."""
    return CliRunner().invoke(app, ["rules", "list", "--format", "md"]).output.strip()


def metrics() -> str:
    """Give the test table from the model's manifest."""
    manifest = json.loads((ROOT / "models" / DEFAULT_MODEL / "manifest.json").read_text("utf-8"))
    lines = [
        "| model | category | precision | recall | F1 |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    sentences = []
    for tier in ("default", "fast"):
        m = manifest["metrics"][tier]["test"]
        for c in CATEGORIES:
            r = m["categories"][c]
            lines.append(
                f"| {tier} | {c} | {r['precision']:.2f} | {r['recall']:.2f} | {r['f1']:.2f} |"
            )
        sentences.append(
            f"*{tier}*: macro F1 {m['macro_f1']:.2f}; {m['clean_documents_flagged']} of"
            f" {m['clean_documents']} wholly sober texts got a flag; the marked phrase overlaps the"
            f" labelled one by half or more in {m['span_iou_at_least_half']:.0%} of right flags."
        )
    size = manifest["metrics"]["default"]["test"]
    head = f"{size['sentences']:,} sentences in {size['documents']:,} texts."
    return "\n".join([head, "", *lines, "", *sentences])


def corpus_table() -> str:
    """Give what ``benchmarks/corpus_table.py`` prints."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import corpus_table as script

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        script.main()
    return out.getvalue().strip()


BLOCKS = {
    ("README.md", "kinds: hypecheck rules list --format md"): kinds,
    ("README.md", "metrics"): metrics,
    ("data/README.md", "corpus table"): corpus_table,
}


def main(check: bool) -> int:
    """Rewrite or compare every block; give the exit code."""
    stale = 0
    for (name, mark), make in BLOCKS.items():
        path = ROOT / name
        text = path.read_text("utf-8")
        pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.S)
        new = pattern.sub(lambda m, make=make: f"{m[1]}{make()}\n{m[2]}", text)
        if new != text:
            stale += 1
            print(f"{name}: block {mark!r} is not up to date")
            if not check:
                path.write_text(new, "utf-8")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
