"""Train, development and test: by site, so that no page's voice stands on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal

from hypecheck.corpus import LabelledDocument

Split = Literal["train", "dev", "test"]


def group_of(document: LabelledDocument) -> str:
    """Give what must not be divided: the site that inspired a text, or else the text itself."""
    site = document.meta.get("site", "none").removeprefix("www.")
    return document.id if site in ("none", "") else site


def split_of(document: LabelledDocument) -> Split:
    """Assign a document by the hash of its group: 80 % train, 10 % dev, 10 % test."""
    bucket = int(hashlib.sha256(group_of(document).encode()).hexdigest(), 16) % 10
    return "test" if bucket == 9 else "dev" if bucket == 7 else "train"


def units(documents: Iterable[LabelledDocument]) -> Iterator[LabelledDocument]:
    """Give documents as the model reads them: in form ``contrast`` each line stands alone."""
    for d in documents:
        if d.meta.get("form") == "contrast":
            for i, s in enumerate(d.sentences):
                yield LabelledDocument(f"{d.id}/{i}", (s,), d.source, d.meta)
        else:
            yield d
