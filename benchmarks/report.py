"""How long a report takes, and its memory and size, as results grow.

Scans made-up advertisements once (``tests/advertisements.py``), repeats the results under other
numbers and hashes to each size, and has each reported on by a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
SEED = 10_000  # texts that are really scanned


def repeat(folder: Path, target: Path, times: int) -> None:
    """Write the results in ``folder`` again, ``times`` times, as so many other texts."""
    target.mkdir()
    for name in ("documents", "findings"):
        table = pq.read_table(folder / f"{name}.parquet")
        with pq.ParquetWriter(target / f"{name}.parquet", table.schema, compression="zstd") as out:
            for k in range(times):
                own = table
                for column in ("number", "cluster"):
                    i = own.schema.get_field_index(column)
                    moved = pc.add(own.column(column), k * SEED)
                    own = own.set_column(i, own.schema.field(column), moved)
                for column, words in (("advertiser", f" {k % 37}"), ("text_hash", f"{k:04x}")):
                    i = own.schema.get_field_index(column)
                    parts = [own.column(column), pa.scalar(words)]
                    if column == "text_hash":
                        parts.reverse()
                    joined = pc.binary_join_element_wise(*parts, "")
                    own = own.set_column(i, own.schema.field(column), joined)
                out.write_table(own)


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    sizes = parser.parse_args().sizes
    sys.path.insert(0, str(ROOT / "tests"))
    from advertisements import write

    command = [sys.executable, "-m", "hypecheck.cli"]
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        ads, first = write(base / "ads.jsonl", SEED), base / "first"
        scan = [*command, "scan", str(ads), "--out", str(first), "--quiet"]
        subprocess.run(scan, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print("|     texts | findings | seconds | peak MB | page MB |")
        print("| --------: | -------: | ------: | ------: | ------: |")
        for size in sizes:
            folder, page = base / str(size), base / f"{size}.html"
            repeat(first, folder, max(1, size // SEED))
            findings = pq.ParquetFile(folder / "findings.parquet").metadata.num_rows
            start = time.perf_counter()
            more = ["--out", str(page), "--sample", str(base / "sample.csv")]
            report = [*command, "report", str(folder), *more]
            process = subprocess.Popen(report, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.perf_counter() - start
            if process.returncode:
                raise SystemExit(f"the report on {size} texts failed")
            peak = usage.ru_maxrss / 1024
            print(
                f"| {size:9,} | {findings:8,} | {seconds:7.1f} | {peak:7.0f} |"
                f" {page.stat().st_size / 1e6:7.2f} |"
            )


if __name__ == "__main__":
    main()
