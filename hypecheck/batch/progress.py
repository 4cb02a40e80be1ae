"""How far a scan is, on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypecheck.batch.scan import Progress

EVERY = 10.0  # seconds between lines


class Rate:
    """What is done in how long; parts found done from before do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._before = Progress()
        self._parts = 0

    def see(self, p: Progress) -> None:
        """Look at progress before it is described."""
        if p.resumed > self._parts:  # still going over what is done
            self._parts = p.resumed
            self._start = self._clock()
            self._before = Progress(records=p.records, characters=p.characters, read=p.read)

    def left(self, p: Progress) -> float | None:
        """Give the seconds that are left, by the bytes read; None where that cannot be told."""
        done = p.read - self._before.read
        if not p.size or done <= 0:
            return None
        return max(0.0, (p.size - p.read) / done * (self._clock() - self._start))

    def describe(self, p: Progress) -> str:
        """Say it in words."""
        seconds = max(self._clock() - self._start, 0.1)
        records = (p.records - self._before.records) / seconds
        characters = (p.characters - self._before.characters) / seconds
        out = f"{p.records:,} records"
        if p.resumed:
            out += f" ({p.resumed:,} parts from before)"
        out += f", {records:,.0f}/s, {characters / 1e6:.2f} MB/s"
        if p.errors:
            out += f", {p.errors:,} errors"
        left = self.left(p)
        return out if left is None else f"{out}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


@contextmanager
def shown(quiet: bool) -> Iterator[tuple[Callable[[str], None], Callable[[Progress], None]]]:
    """Give a function for messages and one for progress; ``quiet`` leaves progress out."""
    rate = Rate()
    if quiet or not sys.stderr.isatty():
        last = time.monotonic()

        def line(p: Progress) -> None:
            nonlocal last
            rate.see(p)
            if not quiet and time.monotonic() - last >= EVERY:
                last = time.monotonic()
                percent = f"{100 * p.read / p.size:.0f}%, " if p.size else ""
                print(percent + rate.describe(p), file=sys.stderr, flush=True)  # noqa: T201

        yield lambda m: print(m, file=sys.stderr, flush=True), line  # noqa: T201
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True)
    words = TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1))
    columns = (BarColumn(bar_width=16), TaskProgressColumn(), words)
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("reading", total=None)

        def update(p: Progress) -> None:
            rate.see(p)
            bar.update(task, total=p.size or None, completed=p.read, description=rate.describe(p))

        yield lambda m: console.print(m, markup=False, highlight=False), update
