"""How the cost grows with a text's length and the number of rules; what hostile texts cost.

    python benchmarks/growth.py [--plot FILE.svg]

CPU time, the fastest of three. Growth is linear when the cost of a kilobyte, or of a rule, stays
the same from row to row. A hostile text may cost 20 times what an ordinary one does by the byte.
"""

from __future__ import annotations

import argparse
import random
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from texts import Texts

from hypecheck import Checker
from hypecheck.ruleset import load

LENGTHS = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000)
RULES = (0, 250, 500, 1_000, 1_659)  # besides the shipped ones
HOSTILE = 30_000  # characters


def seconds(run: Callable[[], object], rounds: int = 3) -> float:
    """Give the CPU time of ``run``, the fastest of some rounds after one that warms up."""
    run()
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def lengths(checker: Checker, text: str) -> list[tuple[int, float]]:
    """Give the cost of the first so many characters of a text."""
    out = []
    print("\n| characters | ms | µs a kB |\n| ---: | ---: | ---: |")
    for n in LENGTHS:
        cost = seconds(lambda n=n: checker.check(text[:n]))  # type: ignore[misc]
        out.append((n, cost))
        print(f"| {n:,} | {cost * 1e3:,.1f} | {cost * 1e9 / n:,.0f} |", flush=True)
    return out


def rules(ads: list[str]) -> list[tuple[int, float]]:
    """Give the cost of an advert with more and more rules, made from the corpus's own words."""
    dice = random.Random(3)
    words = sorted({w.lower() for a in ads for w in a.split() if w.isalpha() and len(w) > 3})
    shipped = len(load().rules)
    out = []
    print("\n| rules | µs an advert |\n| ---: | ---: |")
    for extra in RULES:
        lines = []
        for k in range(extra):
            a, b, c, d = dice.sample(words, 4)
            pattern = rf"\b{a} (?:{b}|{c}) (?:[\w-]+ ){{0,2}}{d}s?"
            lines += ["[[rule]]", f'id = "r{k}"', f"pattern = '''{pattern}'''"]
            lines += [f'fires = ["[{a} {b} {d}]"]', "silent = []"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "urgency.toml"
            path.write_text("\n".join(lines), "utf-8")
            checker = Checker(model=None, rules=[path] if extra else ())
            cost = seconds(lambda: list(checker.check_many(ads))) / len(ads)  # noqa: B023
        out.append((shipped + extra, cost))
        print(f"| {shipped + extra:,} | {cost * 1e6:,.0f} |", flush=True)
    return out


def hostile() -> dict[str, str]:
    """Give texts that are made to be slow."""
    dice = random.Random(4)
    letters = string.ascii_lowercase

    def fill(piece: str) -> str:
        return (piece * (HOSTILE // len(piece) + 1))[:HOSTILE]

    return {
        "evasions, dense": fill("g-u-a-r-a-n-t-e-e-d c u r e! m1r4cle "),
        "evasions, almost": fill("g.u.a.r b-o-g-u-s 4ll @nd s0me x*y*z "),
        "look-alikes": fill("сurе guаrаntееd rеsults "),
        "no spaces": fill("guaranteedcure"),
        "one letter": fill("a"),
        "random letters": "".join(dice.choices(letters, k=HOSTILE)),
        "random words": "".join(dice.choices(letters + " ", k=HOSTILE)),
        "all candidates": fill("Guaranteed cure! Act now, 100% safe. "),
        "all candidates, one sentence": fill("guaranteed cure, act now, 100% safe, "),
        "all cues": fill("Nobody says it does not, may not or never cures. "),
        "digits": fill("1,234.5% "),
        "full stops": fill(". "),
        "short lines": fill("cure\n"),
        "emoji": fill("🔥💯✨ "),
    }


def plot(lengths: list[tuple[int, float]], rules: list[tuple[int, float]], path: Path) -> None:
    """Draw both curves, without a library."""

    def curve(points: list[tuple[int, float]], x: int, title: str, unit: str, scale: float) -> str:
        right, top = points[-1][0], max(c for _, c in points)
        dots = [(x + 300 * n / right, 200 - 160 * c / top) for n, c in points]
        line = " ".join(f"{a:.0f},{b:.0f}" for a, b in dots)
        circles = "".join(f'<circle cx="{a:.0f}" cy="{b:.0f}" r="3"/>' for a, b in dots)
        return (
            f'<text x="{x}" y="20">{title}</text><path d="M{x} 40V200H{x + 300}" fill="none" '
            f'stroke="#9aa5b1"/><polyline points="{line}" fill="none" stroke="#0b6e4f"/>{circles}'
            f'<text x="{x}" y="220">0</text><text x="{x + 300}" y="220" text-anchor="end">'
            f'{right:,}</text><text x="{x + 4}" y="52">{top * scale:,.0f} {unit}</text>'
        )

    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="700" height="230" font-family="sans-serif" '
        f'font-size="13">{curve(lengths, 20, "time by characters", "ms", 1e3)}'
        f"{curve(rules, 370, 'time by rules', 'µs', 1e6)}</svg>\n",
        "utf-8",
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    texts = Texts()
    checker = Checker(model="fast")
    long = texts.text(190_000)
    by_length = lengths(checker, long)
    by_rules = rules(texts.ads(400))
    ordinary = seconds(lambda: checker.check(long[:HOSTILE])) / HOSTILE
    print("\n| hostile text | µs a kB | / ordinary |\n| --- | ---: | ---: |")
    print(f"| (ordinary) | {ordinary * 1e9:,.0f} | 1.0 |")
    for name, text in hostile().items():
        cost = seconds(lambda t=text: checker.check(t), 1) / len(text)  # type: ignore[misc]
        print(f"| {name} | {cost * 1e9:,.0f} | {cost / ordinary:.1f} |", flush=True)
    if arguments.plot:
        plot(by_length, by_rules, arguments.plot)


if __name__ == "__main__":
    main()
