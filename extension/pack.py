"""Pack the extension for the stores: one zip for Chrome, one for Firefox, the same bytes each time.

    python extension/pack.py [FOLDER]      (default: dist)

``manifest.json`` serves both browsers when it is loaded unpacked; a store's copy holds that
browser's keys only.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = ("_locales", "content", "icons", "options", "popup", "shared", "background.js")
LICENSES = ("LICENSE",)
BROWSERS = ("chrome", "firefox")


def manifest(browser: str) -> dict[str, Any]:
    """Give the manifest for "chrome" or "firefox"."""
    content: dict[str, Any] = json.loads((HERE / "manifest.json").read_text("utf-8"))
    if browser == "chrome":
        del content["browser_specific_settings"]
        del content["background"]["scripts"]
    else:
        del content["minimum_chrome_version"]
        del content["background"]["service_worker"]
    return content


def files() -> dict[str, bytes]:
    """Give all files but the manifest, by their place in the zip."""
    out = {}
    for part in PARTS:
        path = HERE / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.name.startswith("."):
                out[file.relative_to(HERE).as_posix()] = file.read_bytes()
    for name in LICENSES:
        out[name] = (HERE.parent / name).read_bytes()
    return out


def pack(browser: str, folder: Path) -> Path:
    """Write one zip; give its path."""
    content = manifest(browser)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"hypecheck-{browser}-{content['version']}.zip"
    written = json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in {"manifest.json": written, **files()}.items():
            entry = zipfile.ZipInfo(name)  # dated 1980: the zip depends on the files alone
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, raw)
    return path


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("dist")
    for name in BROWSERS:
        sys.stdout.write(f"{pack(name, target)}\n")
