"""Writing a file all at once or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

__all__ = ["replace_file"]


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes beside `path`, then moves: whoever looks sees the old file or the whole new one.

    Raises OSError where that cannot be done; the old file is then as it was.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(draft, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut can leave the new name with no contents
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
