"""Measure `hypecheck scan` on made ads: speed, memory and its growth, one and two workers.

    python benchmarks/scan.py --ads 100000 --ads 1000000 --workers 1 --workers 2
    python benchmarks/scan.py --pages 3000 --workers 2

Every run is the command itself in processes of its own. Memory is what the processes hold for
themselves (anonymous pages), sampled all along: of the one that leads, of the largest worker, of
all together. All runs must end in the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import ads as generator
import click
import psutil


@dataclass
class Measured:
    """What one run took."""

    what: str
    workers: int
    documents: int
    size: int  # bytes of the input as it lies on disk
    seconds: float = 0.0
    leader: int = 0
    worker: int = 0
    together: int = 0
    digest: str = ""
    said: str = ""

    def line(self) -> str:
        """Give a row of the table."""
        mb = 1 << 20
        return (
            f"| {self.what} | {self.workers} | {self.seconds:,.0f} | "
            f"{self.documents / self.seconds:,.0f} | {self.size / self.seconds / 1e6:.2f} | "
            f"{self.leader // mb:,} | {self.worker // mb:,} | {self.together // mb:,} |"
        )


def _anonymous(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def measure(source: Path, out: Path, what: str, count: int, workers: int, model: str) -> Measured:
    """Run one scan and look at it from outside four times a second."""
    result = Measured(what, workers, count, source.stat().st_size)
    command = [sys.executable, "-m", "hypecheck.cli", "scan", str(source), "--out", str(out)]
    command += ["--workers", str(workers), "--model", model, "--fresh", "--quiet"]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    leader = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            children = leader.children(recursive=True)
        except psutil.NoSuchProcess:
            break
        held = [_anonymous(leader), *map(_anonymous, children)]
        result.leader = max(result.leader, held[0])
        result.worker = max(result.worker, *held[1:], 0)
        result.together = max(result.together, sum(held))
        time.sleep(0.25)
    result.said, wrong = process.communicate()
    result.seconds = time.monotonic() - start
    if process.returncode:
        raise SystemExit(f"the scan failed: {wrong}")
    digest = hashlib.sha256()
    for path in sorted(out.iterdir()):
        digest.update(path.read_bytes())
    result.digest = digest.hexdigest()
    return result


@click.command()
@click.option("--ads", type=int, multiple=True, help="How many ads; repeatable.")
@click.option("--pages", type=int, multiple=True, help="How many web pages in a WARC; repeatable.")
@click.option("--workers", type=int, multiple=True, help="Worker counts; repeatable.")
@click.option("--model", default="fast", help="Tier.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; else a new folder.")
def main(
    ads: tuple[int, ...],
    pages: tuple[int, ...],
    workers: tuple[int, ...],
    model: str,
    folder: Path | None,
) -> None:
    """Print the table as it is measured."""
    print("| input | workers | seconds | documents/s | MB/s | leader MB | worker MB | all MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as where:
        for kind, counts in (("ads", ads), ("pages", pages)):
            for count in counts:
                name = "ads.jsonl" if kind == "ads" else "pages.warc.gz"
                source = Path(where) / f"{count}-{name}"
                generator.write(source, count)
                seen: dict[str, Measured] = {}
                for n in workers or [1, 2]:
                    out = Path(where) / f"{kind}-{count}-{n}"
                    done = measure(source, out, f"{count:,} {kind}", count, n, model)
                    print(done.line(), flush=True)
                    seen[done.digest] = done
                    if len(seen) > 1:
                        raise SystemExit("the results differ between numbers of workers")
                print(f"\n{done.said}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
