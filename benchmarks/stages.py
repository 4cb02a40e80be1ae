"""Time an advert by stage, and the floors below which no stage can go.

    python benchmarks/stages.py [--ads 2000] [--profile]

CPU time of one core in microseconds an advert, the fastest of some rounds; stages and floors are
interleaved, round by round. ``whole`` is what a user waits for; what the stages leave of it is the
pipeline between them.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import re
import time
from collections.abc import Callable
from typing import Any

from texts import Texts

from hypecheck import Checker, guards, native
from hypecheck.normalise import normalise
from hypecheck.segment import segment

CHUNK = 512
ROUNDS = 5


def chunks(items: list[Any]) -> list[list[Any]]:
    """Cut a list as ``check_many`` does."""
    return [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]


def stages(checker: Checker, ads: list[str]) -> dict[str, Callable[[], object]]:
    """Give each stage as a function that does it for all ads, on what the stages before gave."""
    evasions = checker.ruleset.evasions
    plains = [normalise(a, evasions) for a in ads]
    texts = [p.text for p in plains]
    sentences = [segment(t) for t in texts]
    matcher = checker._matcher
    batches = list(zip(chunks(texts), chunks(sentences), strict=True))
    for t, s in batches:
        matcher.find_many(t, s)
    found = [f.live for t, s in batches for f in matcher.find_many(t, s)]
    unless = [[checker._rules[c.rule or ""].unless for c in f] for f in found]
    reads = [r for chunk in chunks([("", a) for a in ads]) for r in checker._read(chunk)]
    read_chunks = chunks(reads)
    scored = [s for chunk in read_chunks for s in checker._score(chunk)]
    items = [(r.plain, r.text, r.sentences) for r in reads]
    item_chunks = chunks(items)
    may_chunks = chunks([r.may for r in reads])
    pairs = list(zip(item_chunks, may_chunks, strict=True))
    lists = [i for chunk, may in pairs for i in checker.checklist.check_many(chunk, may)]
    return {
        "normalise": lambda: [normalise(a, evasions) for a in ads],
        "segment": lambda: [segment(t) for t in texts],
        "rules": lambda: [matcher.find_many(t, s) for t, s in batches],
        "guards": lambda: [
            guards.judge(t, s, f, u)
            for t, s, f, u in zip(texts, sentences, found, unless, strict=True)
        ],
        "model": lambda: [checker._score(chunk) for chunk in read_chunks],
        "checklist": lambda: [checker.checklist.check_many(chunk, may) for chunk, may in pairs],
        "report": lambda: [
            checker._report(r, s, i) for r, s, i in zip(reads, scored, lists, strict=True)
        ],
        "whole": lambda: list(checker.check_many(ads)),
    }


def floors(checker: Checker, ads: list[str]) -> dict[str, Callable[[], object]]:
    """Give what cannot be left out, done in the barest way."""
    texts = [normalise(a).text for a in ads]
    raw = [t.encode() for t in texts]
    word = re.compile(rb"[a-z0-9']+")
    out: dict[str, Callable[[], object]] = {
        "one pass over the bytes": lambda: [r.lower() for r in raw],
        "words by one regular expression": lambda: [word.findall(r) for r in raw],
    }
    screen = checker._matcher._screen
    if screen is not None:
        batches = [(t, [segment(x) for x in t]) for t in chunks(texts)]
        out["literals of all rules"] = lambda: [screen.find(t, s) for t, s in batches]
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ads", type=int, default=2000)
    parser.add_argument("--profile", action="store_true", help="then profile the whole")
    arguments = parser.parse_args()
    ads = Texts().ads(arguments.ads)
    checker = Checker(model="fast")
    list(checker.check_many(ads))  # caches, lazily built tables
    gc.freeze()  # as the workers of `hypecheck scan` do
    ways = {**stages(checker, ads), **floors(checker, ads)}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, run in ways.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    core = "with" if native.library() else "without"
    size = sum(map(len, ads)) / len(ads)
    print(f"{len(ads):,} adverts of {size:.0f} characters, {core} the compiled core\n")
    print("| stage | µs an advert | share |\n| --- | ---: | ---: |")
    for name, seconds in best.items():
        print(f"| {name} | {seconds / len(ads) * 1e6:.1f} | {seconds / best['whole']:.2f} |")
    print(f"\n{len(ads) / best['whole']:,.0f} adverts/s")
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(lambda: list(checker.check_many(ads)))
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
