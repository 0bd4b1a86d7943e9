"""Finding and reading the files of a data set that the user already has, with errors that name the file."""

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["check_labels", "find_all", "open_maybe_gzip", "read_up_to", "root_folder"]

_CHUNK = 1 << 20


def root_folder(name: str, root: str | os.PathLike[str] | None, needs: str) -> Path:
    """`root` as a path; ValueError without one, FileNotFoundError or NotADirectoryError for no folder."""
    if root is None:
        raise ValueError(f"load: {name!r} needs root=, the folder that holds its files. {needs}")
    folder = Path(root).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"load: root={str(folder)!r} does not exist. {needs}")
    if not folder.is_dir():
        raise NotADirectoryError(
            f"load: root={str(folder)!r} is not a folder; give the folder that holds the files"
        )
    return folder


def find_all(folder: Path, spellings: Sequence[Sequence[str]], needs: str) -> list[Path]:
    """For each file the first of its names that is there; FileNotFoundError lists all that are missing."""
    found = [_find(folder, names) for names in spellings]
    missing = [names[0] for names, path in zip(spellings, found, strict=True) if path is None]
    if missing:
        raise FileNotFoundError(f"load: not found in {str(folder)!r}: {', '.join(missing)}. {needs}")
    return [path for path in found if path is not None]


def _find(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def open_maybe_gzip(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file for reading bytes, unpacked if its first bytes are gzip's, whatever its name is."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def read_up_to(stream: gzip.GzipFile | io.BufferedReader, size: int, path: Path) -> bytearray:
    """At most `size` bytes, as they come: `size` may be a damaged header's and is never allocated beforehand.

    Raises ValueError, naming the file, if it is a damaged gzip file.
    """
    data = bytearray()
    try:
        while len(data) < size:
            chunk = stream.read(min(_CHUNK, size - len(data)))
            if not chunk:
                break
            data += chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"load: {path} is damaged: it cannot be unpacked ({error}); get it again") from error
    return data


def check_labels(labels: npt.NDArray[np.uint8], classes: int, path: Path) -> None:
    """Raise ValueError, naming the file and the first bad label, unless all are from 0 to classes - 1."""
    bad = np.flatnonzero(labels >= classes)
    if bad.size:
        raise ValueError(
            f"load: {path} is damaged: label {labels[bad[0]]} of image {bad[0]} is not in "
            f"0..{classes - 1}; get it again"
        )
