"""Write ``openapi.json`` anew from the code; the test compares the two."""

from __future__ import annotations

import json
from pathlib import Path

from hypecheck.service.app import api
from hypecheck.service.engine import Engine
from hypecheck.service.settings import Settings

settings = Settings(model="none")
described = api(settings, Engine(settings)).openapi()
text = json.dumps(described, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
Path(__file__).with_suffix(".json").write_text(text, "utf-8")
