"""Time one text at a time in a warm process, each way beside the others in one run.

    python benchmarks/latency.py

Prints medians and 99th percentiles in milliseconds, and ratios to the naive pipeline: spaCy's
sentencizer, then every rule's pattern by Python's ``re`` on every sentence.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import spacy

from hypecheck import Checker
from hypecheck.ruleset import load

EXAMPLES = Path(__file__).parent.parent / "data" / "examples"
AD = (
    "Knee pain? Our stem cells rebuild cartilage, guaranteed. 95% of patients are pain-free in two"
    " weeks. Only 6 places left: book before Friday and save $500! Dr. Lee, 12 Harrow Lane."
)
SOBER = "The clinic is open from nine to five on weekdays. Please bring your insurance card along."
PAGE = "\n\n".join(p.read_text("utf-8") for p in sorted(EXAMPLES.glob("*.txt"))) * 4
ROUNDS = {"advert": 200, "sober note": 200, "page": 8}


def naive() -> Callable[[str], object]:
    """Give the naive pipeline."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    patterns = [re.compile(r.pattern.replace("(?-i:", "(?:"), re.I) for r in load().rules]

    def run(text: str) -> list[tuple[int, int]]:
        sentences = [s.text for s in nlp(text).sents]
        return [m.span() for s in sentences for p in patterns for m in p.finditer(s)]

    return run


def main() -> None:
    """Print the table."""
    ways: dict[str, Callable[[str], object]] = {
        "naive": naive(),
        "rules only": Checker(model=None).check,
        "fast": Checker(model="fast").check,
        "default": Checker().check,
    }
    texts = {"advert": AD, "sober note": SOBER, "page": PAGE}
    print("| text | words | way | median ms | p99 ms | naive / it |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for title, text in texts.items():
        times: dict[str, list[float]] = {name: [] for name in ways}
        for n in range(ROUNDS[title]):
            for name, run in ways.items():  # interleaved: what slows the machine slows all
                if name == "naive" and n % 10:
                    continue
                start = time.perf_counter()
                run(text)
                times[name].append((time.perf_counter() - start) * 1e3)
        base = statistics.median(times["naive"])
        for name, values in times.items():
            middle = statistics.median(values)
            top = sorted(values)[int(0.99 * len(values))]
            print(
                f"| {title} | {len(text.split()):,} | {name} | {middle:.2f} | {top:.2f}"
                f" | {base / middle:.1f} |"
            )


if __name__ == "__main__":
    main()
