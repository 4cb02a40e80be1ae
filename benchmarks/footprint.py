"""What HypeCheck costs besides reading: a process of the command line, and memory.

    python benchmarks/footprint.py [--runs 10]

Seconds are those of a whole process of ``hypecheck check`` on a short text, the first run, which
fills the cache, left out. Memory is what a process holds (resident) after it has read so many
different adverts; the adverts themselves are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from texts import Texts

TEXTS = {
    "no cue": "Act now! Our clinic guarantees a cure.",
    "a cue beside a phrase": "No clinic can honestly guarantee a cure for arthritis. Act now!",
}
MODELS = ("none", "fast", "default")
COUNTS = (0, 100, 500, 6_000)
READER = """
import json, sys
from pathlib import Path
from hypecheck import Checker
def resident():
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x]
    return int(line.split()[1]) / 1000
checker = Checker(model=None if sys.argv[1] == "none" else sys.argv[1])
checker.check("x")
loaded = resident()
ads = json.loads(Path(sys.argv[2]).read_text())
theirs = resident() - loaded
done = 0
for count in map(int, sys.argv[3:]):
    for _ in checker.check_many(ads[done:count]):
        pass
    done = count
    print(round(resident() - theirs))
"""


def seconds(text: str, model: str, runs: int) -> list[float]:
    """Give the seconds of some processes, after one that is not counted."""
    command = [sys.executable, "-m", "hypecheck.cli", "check", "--model", model]
    # An installed package has its modules compiled.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    out = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(
            command, env=env, input=text.encode(), stdout=subprocess.DEVNULL, check=False
        )
        out.append(time.perf_counter() - start)
    return out[1:]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    print("| `hypecheck check`, text with | model | median s | fastest s |")
    print("| --- | --- | ---: | ---: |")
    for title, text in TEXTS.items():
        for model in MODELS:
            found = seconds(text, model, runs)
            print(f"| {title} | {model} | {statistics.median(found):.2f} | {min(found):.2f} |")
    print("\n| memory, MB, model | " + " | ".join(f"{n:,} adverts" for n in COUNTS) + " |")
    print("| --- |" + " ---: |" * len(COUNTS))
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        ads = Path(folder) / "ads.json"
        ads.write_text(json.dumps(Texts().ads(max(COUNTS))))
        for model in MODELS:
            command = [sys.executable, "-c", READER, model, str(ads), *map(str, COUNTS)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            print(f"| {model} | " + " | ".join(done.stdout.split()) + " |")


if __name__ == "__main__":
    main()
