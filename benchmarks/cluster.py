"""The same ads on one machine, on Daft, and on a Ray cluster whose second node is killed midway.

    python benchmarks/cluster.py 20000 [fast]

The cluster is local: a head without cores and two nodes of one core each. Prints seconds each way;
fails unless all results are the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ads as generator

MODEL = sys.argv[2] if len(sys.argv) > 2 else "fast"


def scan(source: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start a scan."""
    command = [sys.executable, "-m", "hypecheck.cli", "scan", str(source), "--out", str(out)]
    command += ["--model", MODEL]
    with out.with_suffix(".log").open("wb") as log:
        return subprocess.Popen([*command, *more], stdout=log, stderr=log)


def result(process: subprocess.Popen[bytes], out: Path) -> dict[str, bytes]:
    """Wait for a scan; give its files."""
    if process.wait():
        raise SystemExit(out.with_suffix(".log").read_text())
    return {p.name: p.read_bytes() for p in sorted(out.iterdir())}


def main(count: int) -> None:
    """Compare the three ways."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        source = folder / "ads.jsonl"
        generator.write(source, count)
        start = time.monotonic()
        one = result(scan(source, folder / "local"), folder / "local")
        print(f"local          {time.monotonic() - start:7.1f} s", flush=True)

        start = time.monotonic()
        two = result(scan(source, folder / "daft", "--engine", "daft"), folder / "daft")
        print(
            f"Daft           {time.monotonic() - start:7.1f} s  same bytes: {two == one}",
            flush=True,
        )

        settings = {"include_dashboard": False, "object_store_memory": 300_000_000}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **settings})
        try:
            nodes = [cluster.add_node(num_cpus=1, object_store_memory=3 * 10**8) for _ in range(2)]
            start = time.monotonic()
            out = folder / "ray"
            process = scan(source, out, "--engine", "daft", "--address", cluster.address)
            parts = folder / ".ray.parts"
            whole = -(-count // 512)
            while process.poll() is None and len(list(parts.glob("*.arrow"))) < whole // 3:
                time.sleep(0.1)
            done = len(list(parts.glob("*.arrow")))
            killed = process.poll() is None
            cluster.remove_node(nodes[1], allow_graceful=False)
            three = result(process, out)
            again = out.with_suffix(".log").read_text().count("does it again")
            print(
                f"Daft on Ray    {time.monotonic() - start:7.1f} s  same bytes: {three == one}  "
                f"(node killed: {killed}, at {done} of {whole} parts; "
                f"asked again: {again} times)"
            )
        finally:
            cluster.shutdown()
        if not one == two == three:
            raise SystemExit("the results differ")


if __name__ == "__main__":
    main(int(sys.argv[1]))
