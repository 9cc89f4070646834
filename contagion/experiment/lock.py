"""One sweep at a time in a folder: a lock that the system takes back from a process that died."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from contagion.errors import ContagionError, InputError

NAME = "lock"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder.

    Raises
    ------
    ContagionError
        Another process holds it; says which one, where, and since when.
    InputError
        It cannot be written.
    """
    try:
        opened = (folder / NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError("out", str(folder), f"a folder that can be written ({error.strerror or error})") from None
    # The file stays: removing it would let two processes lock two files of the same name.
    with opened as file:
        if not _lock(file.fileno()):
            raise ContagionError(f"{folder} is in use by {_holder(file)}; wait for it, or choose another folder")
        file.seek(0)
        file.truncate()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"process": os.getpid(), "machine": platform.node(), "since": started}))
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _holder(file) -> str:
    try:
        file.seek(0)
        holder = json.load(file)
        return f"process {holder['process']} on {holder['machine']} since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "another sweep"


def _lock(descriptor: int) -> bool:
    """Whether this process now holds the lock, which ends with the process however it ends."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond the text, which others may read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
