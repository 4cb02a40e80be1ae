"""The plots of a report, by matplotlib, as SVG that stands inside a page under a strict policy.

No plot needs a style attribute: colours are classes that the page's style sheet gives a meaning,
so that a plot follows light, dark and print. What a plot shows is in the page as a table too.
"""

from __future__ import annotations

import calendar
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

_SVG = "http://www.w3.org/2000/svg"
# Stand-ins that matplotlib draws with, and the class of the page that each becomes.
_COLOURS = {
    "guaranteed_cure": "#010101",
    "pressure_sales": "#020202",
    "missing_data": "#030303",
    "ink": "#040404",
    "soft": "#050505",
    "line": "#060606",
    "panel": "#070707",
}
_CLASSES = {colour: name for name, colour in _COLOURS.items()}
_STYLES = {
    "guaranteed_cure": ("-", "o"),
    "pressure_sales": ("--", "s"),
    "missing_data": (":", "^"),
}


def months(
    names: Sequence[str],
    shares: dict[str, Sequence[float]],
    texts: Sequence[int],
    titles: dict[str, str],
    unit: str,
) -> str:
    """Draw, month by month, the share of texts that each category is found in, and how many texts.

    Args:
        names: the months, "2026-02".
        shares: of each category, (months,), in [0, 1].
        texts: (months,).
        titles: of the categories.
        unit: what the shares are of.
    """
    with _figure(9.6, 4.0, "months") as (figure, out):
        above, below = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1], "hspace": 0.14}
        )
        x = np.arange(len(names))
        for category, values in shares.items():
            line, sign = _STYLES[category]
            above.plot(
                x, 100 * np.asarray(values), color=_COLOURS[category], linestyle=line, marker=sign,
                linewidth=2, markersize=5, label=titles[category], clip_on=False,
            )  # fmt: skip
        above.set_ylim(0, max(10.0, 105 * max((max(v) for v in shares.values()), default=0.1)))
        above.set_ylabel(f"% of {unit}")
        above.grid(axis="y", color=_COLOURS["line"], linewidth=0.8)
        above.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0,
            labelcolor=_COLOURS["ink"], handlelength=3,
        )  # fmt: skip
        below.bar(x, texts, color=_COLOURS["soft"], width=0.62)
        below.set_ylabel("texts")
        below.yaxis.set_major_locator(_locator(2))
        step = max(1, len(names) // 13 + 1)
        below.set_xticks(x[::step], [_month(n, i == 0) for i, n in enumerate(names[::step])])
        for axes in (above, below):
            _plain(axes)
        below.set_xlim(-0.6, len(names) - 0.4)
    return out[0]


def heat(
    rows: Sequence[tuple[str, str]],
    columns: Sequence[str],
    shares: NDArray[np.float64],
    *,
    name: str,
    blank: NDArray[np.bool_] | None = None,
) -> str:
    """Draw a heat map: each cell in its row's colour, as strong as its share.

    Args:
        rows: (title, category) of each row.
        columns: titles.
        shares: (rows, columns), in [0, 1].
        name: makes the ids of this plot its own.
        blank: (rows, columns), cells that are left out.
    """
    longest = max(map(len, columns), default=1)
    height = 0.3 * len(rows) + 0.085 * min(longest, 26) + 0.4
    with _figure(10.4, height, name) as (figure, out):
        axes = figure.subplots()
        strongest = float(shares.max()) or 1.0
        from matplotlib.patches import Rectangle

        for i, (_, category) in enumerate(rows):
            for j in range(len(columns)):
                if blank is not None and blank[i, j]:
                    continue
                share = float(shares[i, j])
                axes.add_patch(
                    Rectangle(
                        (j + 0.03, i + 0.05),
                        0.94,
                        0.9,
                        linewidth=0,
                        facecolor=_COLOURS[category],
                        alpha=round(0.06 + 0.8 * share / strongest, 3),
                    )
                )
                if share >= 0.005:
                    strong = share / strongest > 0.62
                    axes.text(
                        j + 0.5, i + 0.52, f"{100 * share:.0f}", ha="center", va="center",
                        fontsize=8.5, color=_COLOURS["panel" if strong else "ink"],
                    )  # fmt: skip
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=38, ha="left", fontsize=9)
        axes.xaxis.tick_top()
        axes.set_yticks(np.arange(len(rows)) + 0.5, [title for title, _ in rows], fontsize=9)
        axes.tick_params(length=0, colors=_COLOURS["ink"])
        for spine in axes.spines.values():
            spine.set_visible(False)
    return out[0]


def _month(name: str, first: bool) -> str:
    year, _, number = name.partition("-")
    word = calendar.month_abbr[int(number)]
    return f"{word}\n{year}" if first or number == "01" else word


def _locator(n: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(n, integer=True)


def _plain(axes: Any) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_COLOURS["line"])
    axes.tick_params(length=0, colors=_COLOURS["soft"])
    axes.yaxis.label.set_color(_COLOURS["soft"])
    axes.set_axisbelow(True)


@contextmanager
def _figure(width: float, height: float, name: str) -> Iterator[tuple[Any, list[str]]]:
    """Give a figure, in inches, and a list that holds its SVG afterwards."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9.5, "text.parse_math": False,
        "text.color": _COLOURS["ink"], "axes.facecolor": "none", "figure.facecolor": "none",
    }  # fmt: skip
    out: list[str] = []
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A name in letters that the measuring font lacks is shown by the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        yield figure, out
        raw = io.BytesIO()
        figure.savefig(raw, format="svg", bbox_inches="tight", metadata={"Date": None})
    out.append(_inline(raw.getvalue(), name))


def _inline(raw: bytes, name: str) -> str:
    """Turn matplotlib's SVG into one that needs no style attribute and shares no id."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(raw)
    for parent in list(root.iter()):
        for child in list(parent):
            local = child.tag.rpartition("}")[2]
            if local in ("metadata", "style"):
                parent.remove(child)
    defined = {e.get("id") for d in root.iter(f"{{{_SVG}}}defs") for e in d.iter() if e.get("id")}
    for e in root.iter():
        if e.get("id") in defined:
            e.set("id", f"{name}-{e.get('id')}")
        elif "id" in e.attrib:
            del e.attrib["id"]
        for key, value in list(e.attrib.items()):
            if key.endswith("href") and value.startswith("#"):
                del e.attrib[key]  # from XLink, which HTML needs no more
                e.set("href", f"#{name}-{value[1:]}")
            elif value.startswith("url(#"):
                e.set(key, f"url(#{name}-{value[5:]}")
        if "style" in e.attrib:
            _unstyle(e, e.attrib.pop("style"))
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.set("stroke-linejoin", "round")
    root.set("aria-hidden", "true")  # the figure has a name, and its numbers stand in a table
    root.set("focusable", "false")
    text = ElementTree.tostring(root, "unicode")
    return re.sub(r"\n\s*", "\n", text)


def _unstyle(e: ElementTree.Element, style: str) -> None:
    classes = []
    for part in style.split(";"):
        key, _, value = (x.strip() for x in part.partition(":"))
        if not key:
            continue
        if key in ("fill", "stroke") and value.lower() in _CLASSES:
            classes.append(f"{key}-{_CLASSES[value.lower()]}")
        elif key == "font":  # "10px 'DejaVu Sans', …": the page's own font in that size
            if m := re.search(r"([\d.]+)px", value):
                e.set("font-size", m[1])
        elif key != "font-family":
            e.set(key, value)
    if e.tag.endswith("text") and not any(c.startswith("fill-") for c in classes):
        classes.append("fill-ink")
    if classes:
        e.set("class", " ".join(classes))
