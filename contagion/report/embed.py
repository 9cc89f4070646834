"""A figure inside a page: vector marks whose colours follow the page's theme, or a picture for each theme."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from contagion.report.style import THEMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROLE_OF = {hue: role for role, hue in THEMES["light"].items()}
_DOTS = 150  # an inch
_TOO_MANY = 3_000  # marks that would take longer to write, and to show, than a picture of them
_WORTH_A_PICTURE = 120_000  # bytes of marks below which a picture is not even tried


def embedded(draw: Callable[..., Figure], name: str, words: str) -> str:
    """HTML of a figure; it makes no request and needs no script.

    Parameters
    ----------
    draw : callable
        Takes ``theme`` and returns a figure.
    name : str
        Unique on the page; keeps the figures' inner names apart.
    words : str
        What the figure shows, for readers who cannot see it.
    """
    figure = draw(theme="light")
    if _marks(figure) > _TOO_MANY:
        return _pictures(figure, draw(theme="dark"), words)
    vector = _vector(figure, name, words)
    if len(vector) < _WORTH_A_PICTURE:
        return vector
    pictures = _pictures(figure, draw(theme="dark"), words)
    return min(vector, pictures, key=len)


def _marks(figure: Figure) -> int:
    return sum(
        max(len(collection.get_offsets()), len(collection.get_paths()))
        for axes in figure.axes
        for collection in axes.collections
    )


def _vector(figure: Figure, name: str, words: str) -> str:
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": None}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    # Its style sheet would hold for the whole page; the two properties in it are inherited as well from the root.
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| version="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    # Names that nothing points at would only clash with those of other figures.
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(
        r"#[0-9a-f]{6}", lambda found: f"var(--{_ROLE_OF[found[0]]})" if found[0] in _ROLE_OF else found[0], text
    )
    text = re.sub(r"font: ((?:\w+ )*)([\d.]+px) [^;\"]*", r"font: \1\2 var(--face)", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--face)", text)
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), re.sub(r">\s+<", "><", text))
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        r'<svg viewBox="\1" role="img" style="stroke-linejoin: round; stroke-linecap: butt">',
        text,
        count=1,
    )
    return text.replace(">", f"><title>{html.escape(words)}</title>", 1)


def _pictures(light: Figure, dark: Figure, words: str) -> str:
    images = []
    for theme, figure in (("light", light), ("dark", dark)):
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DOTS, metadata={"Software": None})
        code = base64.b64encode(file.getvalue()).decode()
        images.append(f'<img class="in-{theme}" alt="{html.escape(words)}" src="data:image/png;base64,{code}">')
    return "".join(images)
