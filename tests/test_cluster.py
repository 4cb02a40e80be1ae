"""The same scan on Daft and on a Ray cluster that loses a node: the same bytes."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hypecheck.errors import HypeCheckError

pytest.importorskip("daft")
pytest.importorskip("ray")

AD = "Only 3 spots left! Book before Friday and get 50% off."


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two large files that are cut into slices, a folder of small ones, a broken one."""
    folder = tmp_path_factory.mktemp("in")
    rng = random.Random(5)
    words = ["Open at nine.", "Our pills cure gout.", "9 in 10 improve.", "Ask us.", "Call now!"]

    def row(i: int) -> str:
        text = " ".join([AD, *rng.sample(words, 2), f"Offer {i}."][i % 2 :])
        return json.dumps({"id": f"ad {i}", "page_name": f"Clinic {i % 7}", "text": text})

    count = 6_000
    rows = [row(i) for i in range(count)]
    rows[50] = "torn"
    # A long column that nobody reads makes the file large enough for several tasks.
    wide = [json.dumps({**json.loads(row(i)), "html": "x" * 6_000}) for i in range(count // 2)]
    (folder / "b.jsonl").write_text("\n".join(rows))
    (folder / "a.jsonl").write_text("\n".join(wide))
    (folder / "c").mkdir()
    for i in range(5):
        (folder / "c" / f"{i}.txt").write_text(f"{AD} Leaflet {i}.")
    (folder / "d.csv").write_bytes(b"")
    return folder


def start(ads: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hypecheck.cli", "scan", str(ads), "--out", str(out)]
    command += ["--model", "none", *more]
    # Not this process's streams: what Ray leaves running would hold them open.
    log = out.with_suffix(".log").open("w")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True)


def finished(process: subprocess.Popen[str], out: Path) -> dict[str, bytes]:
    code = process.wait(timeout=400)
    assert code == 0, out.with_suffix(".log").read_text()
    return {p.name: p.read_bytes() for p in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def local(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("local") / "results"
    return finished(start(ads, out), out)


def test_daft_on_one_machine_gives_the_same_bytes(
    ads: Path, local: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "results"
    assert finished(start(ads, out, "--engine", "daft"), out) == local
    summary = json.loads(local["summary.json"])
    assert summary["statuses"]["error"] == 2
    assert summary["records"] > 3000


STORE = {"object_store_memory": 150_000_000, "include_dashboard": False}
HEAD = {
    "num_cpus": 0,
    **STORE,
    "_system_config": {
        "health_check_initial_delay_ms": 1_000,
        "health_check_period_ms": 1_000,
        "health_check_timeout_ms": 2_000,
        "health_check_failure_threshold": 3,
    },
}


def in_the_end(make: Callable[[], Any]) -> Any:
    """Ray gives a node half a minute to start, which a busy machine may not keep."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return make()
    return make()


@pytest.fixture
def cluster() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        made = in_the_end(lambda: Cluster(initialize_head=True, head_node_args=HEAD))
        try:
            yield made
        finally:
            made.shutdown()


def test_ray_cluster_that_loses_a_node_gives_the_same_bytes(
    ads: Path, local: dict[str, bytes], tmp_path: Path, cluster: Any
) -> None:
    nodes = [in_the_end(lambda: cluster.add_node(num_cpus=1, **STORE)) for _ in range(2)]
    out = tmp_path / "results"
    parts = tmp_path / ".results.parts"
    process = start(ads, out, "--engine", "daft", "--address", cluster.address)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if list(parts.glob("*.arrow")):
            break
        time.sleep(0.05)
    assert process.poll() is None, out.with_suffix(".log").read_text()
    cluster.remove_node(nodes[1], allow_graceful=False)  # as a machine that loses its power
    left = len(list(parts.glob("*.arrow")))
    assert finished(process, out) == local
    assert left < -(-3_000 // 512) + -(-6_000 // 512) + 1  # midway it was


def test_lost_answers_are_asked_again(
    ads: Path, local: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hypecheck.batch import cluster
    from hypecheck.batch.scan import Plan, scan

    asked: list[int] = []

    def answers(slices: Mapping[int, Any], run: Any) -> Iterator[tuple[int, Any]]:
        asked.append(len(slices))
        for n, s in list(slices.items())[:2]:
            yield n, cluster._scan(run.plan, s, 1)
        raise cluster.LostError("a node died")

    monkeypatch.setattr(cluster, "_connect", lambda _: 1)
    monkeypatch.setattr(cluster, "_answers", answers)
    said: list[str] = []
    out = tmp_path / "results"
    scan(Plan((str(ads),), model="none"), out, engine="daft", tell=said.append)
    assert asked == list(range(asked[0], 0, -2))
    assert len(asked) > 1
    assert sum("a node died" in m for m in said) == len(asked)
    assert {p.name: p.read_bytes() for p in sorted(out.iterdir())} == local

    monkeypatch.setattr(cluster, "_answers", lambda *_: answers({}, None))
    with pytest.raises(HypeCheckError, match="gave up: a node died; what is done is kept"):
        scan(Plan((str(ads),), model="none"), tmp_path / "never", engine="daft")


def test_unreachable_cluster_is_said(ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    process = start(ads, out, "--engine", "daft", "--address", "127.0.0.1:19399")
    assert process.wait(timeout=120) == 2
    assert "no Ray cluster at 127.0.0.1:19399" in out.with_suffix(".log").read_text()
