"""One house style: a palette safe for colour-blind readers in a light and a dark theme, sheets of column width, axes.

Hues follow Okabe and Ito (2008) with lightness fitted to each paper. A colour has one role in all figures, so a reader
learns it once: blue is price, orange forced selling, red a loss that its owner cannot bear, purple what others bear of
it, green money set aside.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from contagion.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _between(low: str, middle: str, high: str, count: int) -> list[str]:
    """Shades from low over middle to high, evenly spaced."""
    ends = [[int(hue[place : place + 2], 16) for place in (1, 3, 5)] for hue in (low, middle, high)]
    shades = []
    for number in range(count):
        at = 2.0 * number / (count - 1)
        first = min(int(at), 1)
        parts = [a + (b - a) * (at - first) for a, b in zip(ends[first], ends[first + 1], strict=True)]
        shades.append("#" + "".join(f"{round(part):02x}" for part in parts))
    return shades


Theme = Literal["light", "dark"]
Width = Literal["page", "column"]

WIDTHS = {"page": 7.0, "column": 3.4}  # inches: both columns of a paper, or one
ROLES = ("paper", "ink", "muted", "grid", "blue", "orange", "red", "green", "purple", "sky", "grey")
THEMES: dict[str, dict[str, str]] = {
    "light": dict(zip(ROLES, (
        "#fffffe", "#1b2430", "#5a6675", "#dde2e8", "#0068a8", "#d98a00", "#c8431a", "#00805c", "#a8508f", "#4aa3d8",
        "#98a2ae",
    ), strict=True)),
    "dark": dict(zip(ROLES, (
        "#14181e", "#e8ebef", "#a3adba", "#323b46", "#58aee8", "#f2b24a", "#ff805c", "#3cc79c", "#dc9bc8", "#9ad2f5",
        "#717d8b",
    ), strict=True)),
}  # fmt: skip
STEPS = tuple(f"step{number}" for number in range(9))
"""Roles of nine shades, from next to nothing to the largest: paler to deeper on paper, darker to brighter on black."""
_RAMPS = {"light": ("#e9eef4", "#3b8fc4", "#08203a"), "dark": ("#222b36", "#2f7db4", "#dff3ff")}
for _theme, (_low, _middle, _high) in _RAMPS.items():
    THEMES[_theme] |= dict(zip(STEPS, _between(_low, _middle, _high, len(STEPS)), strict=True))
SERIES = ("blue", "orange", "green", "purple", "sky", "red", "grey")
_SIZE = 8.0


def palette(theme: Theme) -> dict[str, str]:
    """Colours of a theme by role."""
    if theme not in THEMES:
        raise InputError("theme", theme, "'light' or 'dark'")
    return THEMES[theme]


@contextmanager
def sheet(theme: Theme, width: Width, height: float) -> Iterator[tuple[Figure, dict[str, str]]]:
    """An empty figure in the house style, and the colours to draw with. No global state is left behind.

    Parameters
    ----------
    theme : {"light", "dark"}
    width : {"page", "column"}
        Both columns of a paper (7.0 inches), or one (3.4 inches).
    height : float
        [inches]
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colour = palette(theme)
    if width not in WIDTHS:
        raise InputError("width", width, "'page' or 'column'")
    settings = {
        "font.size": _SIZE,
        "axes.titlesize": _SIZE,
        "axes.labelsize": _SIZE - 0.5,
        "xtick.labelsize": _SIZE - 1.0,
        "ytick.labelsize": _SIZE - 1.0,
        "legend.fontsize": _SIZE - 1.0,
        "figure.facecolor": colour["paper"],
        "axes.facecolor": "none",
        "savefig.facecolor": colour["paper"],
        "text.color": colour["ink"],
        "axes.labelcolor": colour["muted"],
        "axes.titlecolor": colour["ink"],
        "axes.titlelocation": "left",
        "axes.titleweight": "regular",
        "axes.edgecolor": colour["grid"],
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": colour["grid"],
        "grid.linewidth": 0.6,
        "xtick.color": colour["grid"],
        "ytick.color": colour["grid"],
        "xtick.labelcolor": colour["muted"],
        "ytick.labelcolor": colour["muted"],
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "patch.linewidth": 0.0,
        "hatch.linewidth": 0.6,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTHS[width], height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.05, h_pad=0.04, hspace=0.05, wspace=0.04)
        yield figure, colour
        for axes in figure.axes:  # ticks are made when they are drawn, outside this context
            axes.tick_params(which="both", color=colour["grid"], labelcolor=colour["muted"], labelsize=_SIZE - 1.0)


def sign(figure: Figure, title: str, source: str, colour: dict[str, str]) -> None:
    """The head of a figure and its foot: what is shown; of which scenario, seeds and number of runs, in which unit."""
    width = figure.get_figwidth()
    figure.suptitle(
        "\n".join(textwrap.wrap(title, int(width * 11.5))),
        x=0.012,
        ha="left",
        fontsize=_SIZE + 1.5,
        weight="bold",
        color=colour["ink"],
    )
    figure.supxlabel(
        "\n".join(textwrap.wrap(source, int(width * 21))), x=0.012, ha="left", fontsize=_SIZE - 1.8,
        color=colour["muted"],
    )  # fmt: skip


def shade(share: float) -> tuple[str, str]:
    """Roles of a cell's colour, and of the words on it, for a share of the largest cell. [1]"""
    step = min(int(share * len(STEPS)), len(STEPS) - 1) if share > 0.0 else 0
    return STEPS[step], "ink" if step < 4 else "paper"


def short(value: float, _position: object = None) -> str:
    """A number on an axis: 1.5 k, 20 m, 3 bn."""
    for unit, size in (("bn", 1e9), ("m", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}" if math.isfinite(value) else str(value)


def money(axis, *, most: int = 5) -> None:
    """Round amounts on an axis, few enough to read."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(short))


def percent(axis, *, most: int = 5) -> None:
    """Shares on an axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:.3g}%"))


def bare(axes: Axes, *, keep: str = "") -> None:
    """No frame, ticks or grid; `keep` may name an axis, "x" or "y", that stays."""
    axes.grid(False)
    for name, spines in (("x", ("bottom", "top")), ("y", ("left", "right"))):
        for spine in spines:
            axes.spines[spine].set_visible(False)
        if name != keep:
            getattr(axes, f"set_{name}ticks")([])
        else:
            axes.grid(True, axis=name)
            axes.tick_params(axis=name, length=0)


def message(axes: Axes, text: str, colour: dict[str, str]) -> None:
    """A sentence in place of a plot that would have nothing to show."""
    bare(axes)
    width = 60 if axes.figure.get_figwidth() > 5 else 34
    axes.text(
        0.5, 0.5, "\n".join(textwrap.wrap(text, width)), ha="center", va="center", transform=axes.transAxes,
        color=colour["muted"], fontsize=_SIZE + 1.0,
    )  # fmt: skip


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PDF, SVG or PNG (300 dots an inch), by the ending of the path; the same bytes every time."""
    import matplotlib as mpl

    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".pdf", ".svg", ".png"):
        raise InputError("path", str(path), "a name that ends in .pdf, .svg or .png")
    metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(ending)
    with mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": path.stem}):
        figure.savefig(path, metadata=metadata, dpi=300)
    return path
