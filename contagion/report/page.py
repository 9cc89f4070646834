"""One self-contained HTML page: question, findings, figures, tables, method, provenance, how to repeat it."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from numbers import Number
from string import Template
from typing import TYPE_CHECKING

import pandas as pd

from contagion.report.embed import embedded
from contagion.report.style import THEMES
from contagion.terminal import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SHORT_FILE = 60  # lines up to which a file is shown, and printed, without being asked for


@dataclass(frozen=True)
class Drawing:
    """A figure of a page: a name, how to read it, and a function that draws it in a theme."""

    name: str
    words: str
    draw: Callable[..., Figure]


@dataclass(frozen=True)
class Section:
    """A table of a page. Columns with units in brackets are formatted by them: [USD], [%], [1], [count]."""

    title: str
    words: str
    table: pd.DataFrame
    folded: bool = False  # shown when asked for


@dataclass(frozen=True)
class Page:
    """What a report says, in the order in which it is read."""

    title: str
    kind: str
    question: str
    numbers: list[tuple[str, str]]  # the few that matter: value, words
    findings: list[str]
    drawings: list[Drawing]
    sections: list[Section]
    method: list[str]
    repeat: list[str]  # commands
    provenance: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)
    setting: list[Section] = field(default_factory=list)  # what was run or compared, before the figures
    files: list[tuple[str, str]] = field(default_factory=list)  # name and text of files that the commands read
    glossary: list[tuple[str, str]] = field(default_factory=list)


def rendered(page: Page) -> str:
    """The page as HTML text; the same page gives the same text."""
    assets = files("contagion.report") / "assets"
    parts = {
        "title": html.escape(page.title), "kind": html.escape(page.kind), "question": html.escape(page.question),
        "numbers": "".join(f"<div><b>{html.escape(value)}</b><span>{html.escape(words)}</span></div>"
                           for value, words in page.numbers),
        "findings": _list(page.findings), "notes": _notes(page.notes),
        "figures": "".join(_figure(drawing) for drawing in page.drawings),
        "tables": "".join(_section(section) for section in page.sections),
        "method": "".join(f"<p>{html.escape(text)}</p>" for text in page.method),
        "setting": "".join(_section(section) for section in page.setting),
        "files": "".join(_file(name, text) for name, text in page.files),
        "glossary": _glossary(page.glossary),
        "repeat": html.escape("\n".join(page.repeat)),
        "provenance": "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
                              for name, value in page.provenance),
        "style": _colours() + (assets / "page.css").read_text(encoding="utf-8"),
        "script": (assets / "page.js").read_text(encoding="utf-8"),
    }  # fmt: skip
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(parts)


def _colours() -> str:
    light, dark = ("".join(f"--{role}:{hue};" for role, hue in THEMES[theme].items()) for theme in ("light", "dark"))
    return (
        f":root{{{light}}}\n:root[data-theme=dark]{{{dark}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media print{{:root,:root[data-theme=dark],:root:not([data-theme=light]){{{light}}}}}\n"
    )


def _list(items: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def _notes(notes: list[str]) -> str:
    return f"<aside><h3>To bear in mind</h3>{_list(notes)}</aside>" if notes else ""


def _file(name: str, text: str) -> str:
    head = f"<summary><h3>{html.escape(name)}</h3></summary><button type=button class=copy>copy</button>"
    shown = " open" if text.count("\n") <= SHORT_FILE else ""
    return f"<details class=file{shown}>{head}<pre>{html.escape(text)}</pre></details>"


def _glossary(terms: list[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{html.escape(term)}</dt><dd>{html.escape(meaning)}</dd>" for term, meaning in terms)
    return f"<h2>Glossary</h2><dl>{rows}</dl>" if terms else ""


def _figure(drawing: Drawing) -> str:
    drawn = embedded(drawing.draw, drawing.name, drawing.words)
    words = html.escape(drawing.words)
    return f'<figure id="{html.escape(drawing.name)}">{drawn}<figcaption>{words}</figcaption></figure>'


def _section(section: Section) -> str:
    table = section.table
    heads = "".join(
        f"<th{'' if _is_text(table[name]) else ' class=n'}><button>{html.escape(str(name))}</button></th>"
        for name in table
    )
    rows = "".join(
        "<tr>" + "".join(_cell(name, value) for name, value in zip(table, row, strict=True)) + "</tr>"
        for row in table.itertuples(index=False)
    )
    words = f"<p>{html.escape(section.words)}</p>" if section.words else ""
    table = f"<table class=sortable><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    body = f"{words}<div class=wide>{table}</div>"
    title = html.escape(section.title)
    if section.folded:
        return f"<details><summary><h3>{title}</h3></summary>{body}</details>"
    return f"<section><h3>{title}</h3>{body}</section>"


def _is_text(column: pd.Series) -> bool:
    return not any(isinstance(value, Number) for value in column)


def _cell(name: str, value: object) -> str:
    if isinstance(value, Number) and not isinstance(value, bool):
        number = float(value)
        key = "" if math.isnan(number) else f' data-v="{number:.12g}"'
        return f"<td class=n{key}>{html.escape(written(number, str(name)))}</td>"
    return f"<td>{html.escape(str(value))}</td>"


def written(number: float, name: str = "") -> str:
    """A number as its column's unit asks: [USD] with four digits, [%] as a share, [count] whole."""
    if math.isnan(number):
        return "–"
    if "[USD]" in name:
        return amount(number if abs(number) >= 0.005 else 0.0)
    if "[%]" in name:
        return f"{100.0 * number:.1f}%"
    if number == round(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:,.4g}" if abs(number) < 1e4 else f"{number:,.0f}"
