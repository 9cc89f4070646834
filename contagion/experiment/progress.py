"""Progress of a sweep on standard error: a bar at a terminal, a line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from contagion.terminal import stderr

LINE_EVERY = 60.0
"""Seconds between lines where there is no terminal."""


class SweepProgress:
    """How far a sweep is; silent by itself."""

    def __init__(self) -> None:
        self.total = self.done = self.failed = self.before = 0
        self._start = time.monotonic()

    def expect(self, more: int, already: int) -> None:
        """A batch begins: runs to make, and runs that were there already."""
        self.total += more
        self.before += already
        self.draw()

    def advance(self, finished: int, failed: int) -> None:
        """More runs are finished, `failed` of them with an error."""
        self.done += finished
        self.failed += failed
        self.draw()

    @property
    def rate(self) -> float:
        """Runs a second."""
        return self.done / max(time.monotonic() - self._start, 1e-9)

    def draw(self) -> None:
        """Show it."""


class _Bar(SweepProgress):
    def __init__(self, bar, label: str) -> None:
        super().__init__()
        self._bar, self._task = bar, bar.add_task(label, total=None, rate="", failures="")

    def draw(self) -> None:
        failures = f"[red]{self.failed:,} failed[/red]" if self.failed else ""
        self._bar.update(
            self._task, total=self.total, completed=self.done, rate=f"{self.rate:,.1f} runs/s", failures=failures
        )


class _Lines(SweepProgress):
    def __init__(self, console: Console, label: str) -> None:
        super().__init__()
        self._console, self._label, self._said = console, label, time.monotonic()

    def draw(self) -> None:
        if time.monotonic() - self._said < LINE_EVERY:
            return
        self._said = time.monotonic()
        left = (self.total - self.done) / max(self.rate, 1e-9)
        self._console.print(
            f"{self._label}: {self.done:,} of {self.total:,} runs, {self.rate:,.1f} runs/s, {left:,.0f} s left, "
            f"{self.failed:,} failed"
        )


@contextmanager
def sweep_bar(label: str, quiet: bool = False) -> Iterator[SweepProgress]:
    """Progress of a sweep with rate, remaining time and failures; silent if `quiet`."""
    console = stderr()
    if quiet:
        yield SweepProgress()
    elif not console.is_terminal:
        yield _Lines(console, label)
    else:
        from rich import progress

        columns = (
            progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"), progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[failures]}"),
        )  # fmt: skip
        with progress.Progress(*columns, console=console) as bar:
            yield _Bar(bar, label)
