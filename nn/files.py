"""Models as safetensors files: https://github.com/huggingface/safetensors names the format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from autograd._atomic import replace_file
from autograd._extras import require
from autograd.tensor import value_of

from .module import Module

__all__ = ["load", "read_state", "save"]

_DTYPES = ("float16", "float32", "float64", "complex64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16",
           "uint32", "uint64")

_M = TypeVar("_M", bound=Module)


def save(model: Module | Mapping[str, Any], path: str | os.PathLike[str],
         metadata: Mapping[str, str] | None = None) -> None:
    """Writes a model's parameters and buffers (or a mapping from names to arrays or Tensors) as safetensors.

    path      of the file; a file that is there is replaced at once when the new one is complete, so an error or
              a crash loses nothing
    metadata  strings by name, kept in the file; `read_state` gives them back

    Raises ImportError without the package safetensors, TypeError for values that the format cannot hold,
    FileNotFoundError where the folder does not exist, and other OSErrors where it cannot be written.

    >>> import nn, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     nn.save(nn.Dense(3, 2, rng=0), path, metadata={"classes": "cat dog"})
    ...     model = nn.load(nn.Dense(3, 2), path)
    """
    safetensors = require("safetensors.numpy", extra="train", what="nn.save")
    state = model.state_dict() if isinstance(model, Module) else model
    if not isinstance(state, Mapping):
        raise TypeError(f"nn.save: expected a Module or a mapping from names to arrays, got {type(model).__name__}")
    arrays = {_name(name): _writable(name, value) for name, value in state.items()}
    target = Path(os.path.realpath(path))  # through a link to the file itself
    if not target.parent.is_dir():
        raise FileNotFoundError(f"nn.save: the folder {target.parent} does not exist; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"nn.save: {target} is a folder; give the name of a file in it")
    contents = safetensors.save(arrays, _checked_metadata(metadata))
    replace_file(target, lambda file: file.write(contents))


def load(model: _M, path: str | os.PathLike[str]) -> _M:
    """Fills a model with the parameters and buffers of a file that `nn.save` wrote, and returns the model.

    Raises FileNotFoundError, ValueError where the file is damaged or does not fit the model (all wrong keys are
    listed, and nothing is changed), ImportError without the package safetensors.

    >>> import nn, os, tempfile
    >>> first, second = nn.Dense(3, 2, rng=0), nn.Dense(3, 2, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     nn.save(first, path)
    ...     _ = nn.load(second, path)
    >>> bool((first.weight.data == second.weight.data).all())
    True
    """
    if not isinstance(model, Module):
        raise TypeError(f"nn.load: expected a Module to fill, got {type(model).__name__}; nn.read_state(path) gives "
                        "the arrays without a model")
    state, _ = _read("nn.load", path)
    try:
        model.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"nn.load: {os.fspath(path)}: {error}") from error
    return model


def read_state(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays by name, metadata) of a safetensors file. Raises as `load` does.

    >>> import nn, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "state.safetensors")
    ...     nn.save({"weight": np.zeros(3)}, path, metadata={"epoch": "7"})
    ...     nn.read_state(path)
    ({'weight': array([0., 0., 0.])}, {'epoch': '7'})
    """
    return _read("nn.read_state", path)


def _read(what: str, path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    safetensors = require("safetensors", extra="train", what=what)
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{what}: {path} does not exist")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{what}: {path} is a folder; give the name of the file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            # copies: the file may be replaced while the arrays live on
            return {name: np.array(file.get_tensor(name)) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(f"{what}: {path} is no safetensors file, is damaged, or holds numbers that NumPy does not "
                         f"have ({error})") from error


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"nn.save: names must be strings, got {name!r}")
    return name


def _writable(name: str, value: Any) -> np.ndarray:
    """The array, contiguous: of strided ones safetensors writes wrong bytes, without an error."""
    array = np.asarray(value_of(value))
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"nn.save: {name} is {array.dtype}, which safetensors cannot hold; it holds "
                        f"{', '.join(_DTYPES)}")
    return np.asarray(array, order="C")  # ascontiguousarray would give an axis to a number without any


def _checked_metadata(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    if metadata is None:
        return None
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"nn.save: metadata must be strings by name, got {name!r}: {value!r}")
    return dict(metadata)
