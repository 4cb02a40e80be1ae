"""Compile ``core.c`` where a C compiler is there; without one the package is pure Python.

Run by hatchling as a wheel is built, or by hand in a checkout: ``python -m hypecheck.build_core``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand, hatchling need not be there
    BuildHookInterface = object

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "_core.so"
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-s")


def compile_core() -> str | None:
    """Compile the core in place; give the compiler's complaint where that fails."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if sys.platform == "win32" or compiler is None:
        return "no C compiler found"
    beside = LIBRARY.with_suffix(".new")
    done = subprocess.run(
        [*compiler.split(), *FLAGS, "-o", str(beside), str(FOLDER / "core.c"), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        beside.unlink(missing_ok=True)
        return done.stderr or f"{compiler} failed"
    beside.replace(LIBRARY)
    return None


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Adds the library to a wheel, whose tag then names the platform; any Python may load it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile, unless ``HYPECHECK_PURE`` asks for a wheel for every platform."""
        if self.target_name != "wheel" or os.environ.get("HYPECHECK_PURE"):
            return
        if problem := compile_core():
            self.app.display_warning(f"hypecheck is built without its compiled core: {problem}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append("hypecheck/_core.so")


if __name__ == "__main__":
    sys.exit(compile_core())
