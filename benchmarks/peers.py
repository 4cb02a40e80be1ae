"""Texts a second through HypeCheck and through its neighbours: the same texts, one core, one run.

    pip install textstat negspacy proselint presidio-analyzer      # what is missing is left out
    npm install write-good alex                                    # in FOLDER
    python -m venv OTHER && OTHER/bin/pip install medspacy         # it wants an older spaCy
    python benchmarks/peers.py [--node FOLDER] [--medspacy OTHER/bin/python] [--plot FILE.svg]

None of the neighbours looks for what HypeCheck looks for; they are what one would build it from, or
what reads prose for other faults. ``naive`` is the obvious pipeline: spaCy's sentencizer, every
rule by Python's ``re`` on every sentence, and a scikit-learn model once a text.

CPU time on one core. Every way gets its turn in every round, so that what slows the machine slows
all; what counts is the median over the rounds, and the ratios more than the numbers.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from texts import CORPUS, Texts

from hypecheck import Checker, corpus
from hypecheck.ruleset import load

Way = Callable[[list[str]], float]  # texts -> seconds of CPU time
# Texts of a round: as many as take a slow way about a second.
ADS = {"naive": 24, "medspaCy": 48, "alex": 96, "proselint": 96, "presidio": 96, "write-good": 192}
DEFAULT_ADS, PAGES = 768, {"naive": 1, "hypecheck default": 2}
DEFAULT_PAGES = 4
MEDSPACY = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import medspacy
nlp = medspacy.load()
print("ready", flush=True)
for line in sys.stdin:
    start = time.process_time()
    for t in json.loads(line):
        nlp(t)
    print(time.process_time() - start, flush=True)
"""
NODE = """
const rl = require('readline').createInterface({input: process.stdin});
const way = process.argv[1];
(async () => {
  const f = way === 'alex' ? (await import('alex')).text : require('write-good');
  console.log('ready');
  rl.on('line', line => {
    const texts = JSON.parse(line);
    const start = process.cpuUsage();
    for (const t of texts) f(t);
    const used = process.cpuUsage(start);
    console.log(JSON.stringify((used.user + used.system) / 1e6));
  });
})();
"""


def timed(run: Callable[[str], object]) -> Way:
    """Give a way that calls ``run`` for each text."""

    def way(texts: list[str]) -> float:
        start = time.process_time()
        for t in texts:
            run(t)
        return time.process_time() - start

    return way


def hypecheck(model: str | None) -> Way:
    """Give HypeCheck, texts in one call."""
    checker = Checker(model=model)

    def way(texts: list[str]) -> float:
        start = time.process_time()
        for _ in checker.check_many(texts):
            pass
        return time.process_time() - start

    return way


def naive() -> Way:
    """Give the obvious pipeline, with a model of a few thousand sentences."""
    import spacy
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    patterns = [re.compile(r.pattern.replace("(?-i:", "(?:"), re.I) for r in load().rules]
    some = [s for d in corpus.read([CORPUS])[::40] for s in d.sentences]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    model.fit([s.text for s in some], [bool(s.flags) for s in some])

    def run(text: str) -> object:
        sentences = [s.text for s in nlp(text).sents]
        spans = [m.span() for s in sentences for p in patterns for m in p.finditer(s)]
        return spans, model.predict_proba(sentences)

    return timed(run)


def textstat() -> Way:
    """Give textstat: one readability score, of those that need no dictionary."""
    import textstat as library

    return timed(library.automated_readability_index)


def negspacy() -> Way:
    """Give negspacy over a blank spaCy pipeline with some entities."""
    import negspacy.negation  # noqa: F401  # registers the pipe
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler")
    terms = ["pain", "arthritis", "cartilage", "stem cells", "risk", "side effects", "cure"]
    ruler.add_patterns([{"label": "TERM", "pattern": t} for t in terms])
    nlp.add_pipe("negex")
    return timed(nlp)


def proselint() -> Way:
    """Give proselint with all its checks."""
    try:
        from proselint.checks import __register__
        from proselint.registry import CheckRegistry
        from proselint.tools import LintFile

        CheckRegistry().register_many(__register__)
        return timed(lambda t: LintFile(source="text", content=t).lint())
    except ImportError:
        from proselint.tools import lint

        return timed(lint)


def presidio() -> Way:
    """Give Presidio's pattern recognisers, with a blank spaCy pipeline for words."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    for r in list(registry.recognizers):
        if "Spacy" in type(r).__name__:
            registry.remove_recognizer(r.name)
    engine = AnalyzerEngine(
        registry=registry,
        nlp_engine=Blank(),
        supported_languages=["en"],
        log_decision_process=False,
    )
    return timed(lambda t: engine.analyze(text=t, language="en"))


def child(command: list[str], folder: Path | None = None) -> Way:
    """Give what runs in a process of its own, which counts its own CPU time.

    Args:
        command: it says "ready", then answers every line, a JSON list of texts, with its seconds.
        folder: where it runs.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise ImportError(" ".join(command[:1]))

    def way(texts: list[str]) -> float:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(texts) + "\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    return way


def ways(folder: Path | None, python: Path | None) -> dict[str, Way]:
    """Give all that can be imported; say what cannot."""
    makers: dict[str, Callable[[], Way]] = {
        "naive": naive,
        "hypecheck fast": lambda: hypecheck("fast"),
        "hypecheck default": lambda: hypecheck("default"),
        "hypecheck rules": lambda: hypecheck(None),
        "textstat": textstat,
        "negspacy": negspacy,
        "proselint": proselint,
        "presidio": presidio,
    }
    if python is not None:
        makers["medspaCy"] = lambda: child([str(python), "-c", MEDSPACY])
    if folder is not None:
        makers["write-good"] = lambda: child(["node", "-e", NODE, "write-good"], folder)
        makers["alex"] = lambda: child(["node", "-e", NODE, "alex"], folder)
    out: dict[str, Way] = {}
    for name, make in makers.items():
        try:
            way = make()
            way(["Our clinic cures arthritis. Book today."])
            out[name] = way
        except Exception as e:  # a neighbour that does not start is left out
            print(f"left out: {name} ({type(e).__name__}: {str(e).splitlines()[0]:.90})")
    return out


def rates(all_ways: dict[str, Way], texts: list[str], sizes: dict[str, int], default: int,
          rounds: int) -> dict[str, list[float]]:  # fmt: skip
    """Give texts a second of each way, round by round."""
    out: dict[str, list[float]] = {name: [] for name in all_ways}
    for name, way in all_ways.items():  # caches, compilers
        way(texts[: sizes.get(name, default)])
    gc.collect()
    gc.freeze()
    for n in range(rounds):
        for name, way in all_ways.items():
            size = sizes.get(name, default)
            part = (texts * 2)[n * size % len(texts) :][:size]
            out[name].append(len(part) / way(part))
    return out


def table(title: str, values: dict[str, list[float]]) -> None:
    """Print rates and ratios."""
    middle = {name: statistics.median(v) for name, v in values.items()}
    fast = middle["hypecheck fast"]
    base = middle.get("naive")
    print(f"\n| {title} | texts/s | / naive | HypeCheck fast / it |\n| --- | ---: | ---: | ---: |")
    for name, rate in sorted(middle.items(), key=lambda x: -x[1]):
        ratio = f"{rate / base:.1f}" if base else ""
        print(f"| {name} | {rate:,.0f} | {ratio} | {fast / rate:.1f} |" if rate >= 10 else
              f"| {name} | {rate:.1f} | {ratio} | {fast / rate:.1f} |")  # fmt: skip


def plot(values: dict[str, list[float]], path: Path) -> None:
    """Draw the rates as bars, on a scale of powers of ten, without a library."""
    import math

    middle = sorted(((statistics.median(v), k) for k, v in values.items()), reverse=True)
    top = math.ceil(math.log10(middle[0][0]))
    rows = []
    for i, (rate, name) in enumerate(middle):
        width = max(2.0, 400 * math.log10(max(rate, 1)) / top)
        y, colour = 20 + 26 * i, "#0b6e4f" if name.startswith("hypecheck") else "#9aa5b1"
        rows.append(
            f'<text x="150" y="{y + 14}" text-anchor="end">{name}</text><rect x="160" y="{y}" '
            f'width="{width:.0f}" height="18" fill="{colour}"/><text x="{165 + width:.0f}" '
            f'y="{y + 14}">{rate:,.0f}</text>'
        )
    height = 30 + 26 * len(middle)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="660" height="{height}" '
        f'font-family="sans-serif" font-size="13">{"".join(rows)}</svg>\n',
        "utf-8",
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--node", type=Path, help="the folder with node_modules")
    parser.add_argument("--medspacy", type=Path, help="a Python that has medspaCy")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    all_ways = ways(arguments.node, arguments.medspacy)
    texts = Texts()
    ads = texts.ads(DEFAULT_ADS * 2)
    adverts = rates(all_ways, ads, ADS, DEFAULT_ADS, arguments.rounds)
    table(f"adverts of {sum(len(a.split()) for a in ads) / len(ads):.0f} words", adverts)
    if arguments.plot:
        plot(adverts, arguments.plot)
    pages = texts.pages(DEFAULT_PAGES * 2)
    slow = {**dict.fromkeys(ADS, 1), **PAGES}
    table(
        f"pages of {sum(len(p.split()) for p in pages) / len(pages):,.0f} words",
        rates(all_ways, pages, slow, DEFAULT_PAGES, max(3, arguments.rounds // 2)),
    )


if __name__ == "__main__":
    main()
