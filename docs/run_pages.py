"""Run what README.md and docs/ show, and renew the outputs: ``python docs/run_pages.py [PAGE ...]``; a test holds them.

A page runs from top to bottom in one empty folder:

- ``python`` is executed; its names stay for the blocks below. A ``text`` block right after it is what it prints.
- ``python`` or ``yaml`` whose first line is a comment with a file's name is that file.
- ``console`` has commands after ``$``; the lines below a command are what it prints.

A line ``...`` stands for any output that is left out; spaces count as one. Other blocks are not run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*$", re.MULTILINE)
NAMED = re.compile(r"# ([\w.-]+\.\w+)\n")


class Block(NamedTuple):
    """A fenced block; `start` and `end` are where its text lies in the page."""

    language: str
    text: str
    start: int
    end: int


def pages() -> list[Path]:
    """README.md and every page of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """Fenced blocks of a page, in order."""
    return [Block(found[1], found[2], found.start(2), found.end(2)) for found in FENCED.finditer(text)]


def outputs(text: str) -> Iterator[tuple[Block, str]]:
    """Run a page in the current folder: every block that shows an output, as it should be."""
    names: dict[str, Any] = {"__name__": "__main__"}
    said = None
    for block in blocks(text):
        named = NAMED.match(block.text)
        if named and block.language in ("python", "yaml"):
            Path(named[1]).write_text(block.text, encoding="utf-8")
            said = None
        elif block.language == "python":
            said = _printed(lambda code=block.text: exec(compile(code, "the page", "exec"), names))
        elif block.language == "console":
            yield block, "".join(_session(block.text))
            said = None
        elif block.language == "text" and said is not None:
            yield block, said
            said = None


def agrees(shown: str, real: str) -> bool:
    """Whether an output is as shown, but for lines that are left out and for spaces."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in re.split(r"^\s*\.\.\.$", shown, flags=re.MULTILINE)]
    return re.fullmatch(r"(.*\s)?".join(f"\\s*{part}\\s*" for part in parts), real, re.DOTALL) is not None


def renewed(text: str) -> str:
    """The page with outputs that do not agree replaced by what it gives now."""
    for block, real in reversed(list(outputs(text))):
        if not agrees(block.text, real):
            text = text[: block.start] + real.rstrip("\n") + "\n" + text[block.end :]
    return text


def _session(text: str) -> Iterator[str]:
    from contagion.cli import main

    for command in COMMAND.findall(text):
        name, *arguments = shlex.split(command[2:].replace("\\\n", " "), comments=True)
        if name != "contagion":
            raise ValueError(f"{command!r}: a console block runs contagion; show other commands as sh")
        yield f"{command}\n{_printed(lambda given=arguments: main(given))}"


def _printed(action: Any) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        action()
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "80")
    for page in [Path(name).resolve() for name in sys.argv[1:]] or pages():
        before = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            sys.path.insert(0, folder)
            after = renewed(before)
            sys.path.remove(folder)
        page.write_text(after, encoding="utf-8")
        print(f"{page}: {'renewed' if after != before else 'as it was'}")
