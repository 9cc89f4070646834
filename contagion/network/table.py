"""CSV tables as columns of cells, and cells as typed values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contagion.errors import InputError

_MISSING = ("", "None", "null", "NULL")
# Leading zeros and the like are identifiers, not numbers.
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?|-?inf|nan")


def read_table(path: Path) -> dict[str, list[str | None]]:
    """Columns of a CSV file with a header; missing cells are None.

    Raises
    ------
    InputError
        Unreadable file, repeated column, or a row with too many or too few cells.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # bytes: line ends inside cells stay as they are
    except OSError as error:
        raise InputError("table", str(path), f"a readable file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError("table", str(path), "CSV in UTF-8") from None
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise InputError("table", str(path), f"CSV ({error})") from None
    if not rows:
        raise InputError("table", str(path), "CSV with a header line")
    header = rows[0]
    if len(set(header)) < len(header):
        raise InputError(f"{path.name}, columns", header, "each column once")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(f"{path.name} row {number}", row, f"{len(header)} cells, as in the header")
    return {
        column: [None if row[place] in _MISSING else row[place] for row in rows[1:]]
        for place, column in enumerate(header)
    }


def decoded(cells: Sequence[str | None]) -> list[Any]:
    """Whole numbers, numbers or truth values where every cell of a column is one, else text."""
    present = [cell for cell in cells if cell is not None]
    if all(_WHOLE.fullmatch(cell) for cell in present):
        convert: Any = int
    elif all(_NUMBER.fullmatch(cell) for cell in present):
        convert = float
    elif all(cell in ("True", "False") for cell in present):
        convert = "True".__eq__
    else:
        return list(cells)
    return [None if cell is None else convert(cell) for cell in cells]


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> None:
    """CSV with the columns ``first`` and then the others in order of appearance; absent values are empty cells."""
    columns = list(dict.fromkeys([*first, *(column for row in rows for column in row)]))
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    path.write_bytes(lines.getvalue().encode())
