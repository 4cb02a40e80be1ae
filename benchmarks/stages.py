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
from hypecheck.normalise import normalise, normalise_many
from hypecheck.segment import segment_many

CHUNK = 512
ROUNDS = 5


def chunks(items: list[Any]) -> list[list[Any]]:
    """Cut a list as ``check_many`` does."""
    return [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]


def stages(checker: Checker, ads: list[str]) -> dict[str, Callable[[], object]]:
    """Give each stage as a function that does it for all ads, on what the stages before gave."""
    evasions = checker.ruleset.evasions
    matcher = checker._matcher
    batches = chunks(ads)
    plains = [normalise_many(part, evasions) for part in batches]
    texts = [[n.text for n in part] for part in plains]
    cut = [segment_many(part) for part in texts]
    rules = [(t, s, frozenset[str](), j) for t, (s, j) in zip(texts, cut, strict=True)]
    for arguments in rules:
        matcher.find_many(*arguments)
    reads = [checker._read([("", a) for a in part]) for part in batches]
    scores = [checker._score(r, joined=j) for r, j in reads]
    judged = [
        (r.plain.text, r.sentences, r.found.live, [checker._rules[c.rule or ""].unless
         for c in r.found.live], (), r.known)
        for part, _ in reads
        for r in part
        if r.found.live
    ]  # fmt: skip
    items = [
        (
            [(r.plain, r.text, r.sentences) for r in part],
            [r.found.others for r in part],
            [r.found.gates for r in part],
        )
        for part, _ in reads
    ]
    lists = [checker.checklist.check_many(*i) for i in items]
    reports = [
        x
        for (part, _), s, i in zip(reads, scores, lists, strict=True)
        for x in zip(part, s, i, strict=True)
    ]
    return {
        "normalise": lambda: [normalise_many(part, evasions) for part in batches],
        "segment": lambda: [segment_many(part) for part in texts],
        "rules": lambda: [matcher.find_many(*arguments) for arguments in rules],
        "guards": lambda: [guards.judge(*arguments) for arguments in judged],
        "model": lambda: [checker._score(r, joined=j) for r, j in reads],
        "checklist": lambda: [checker.checklist.check_many(*i) for i in items],
        "report": lambda: [checker._report(*x) for x in reports],
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
        batches = [segment_many(t)[1] for t in chunks(texts)]
        out["literals of all rules"] = lambda: [screen.find(j) for j in batches]
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
