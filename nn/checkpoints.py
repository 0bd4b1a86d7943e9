"""Checkpoints: all that `nn.fit` needs to go on exactly, in one file that is written whole or not at all.

The file is a NumPy archive (`np.load` reads it) without pickles: "model/<name>" are the model's parameters and
buffers, "optimizer/<place>/<name>" the optimizer's arrays, and "notes" is JSON with everything else.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autograd._atomic import replace_file

from .history import History
from .module import Module
from .optim import Optimizer
from .schedules import Schedule

__all__ = ["check_writable", "restore_checkpoint", "write_checkpoint"]


def check_writable(path: Path) -> None:
    """OSError unless a checkpoint can be written to `path`; what is there already stays."""
    if path.is_dir():
        raise IsADirectoryError(f"fit: the checkpoint {path} is a directory; give the name of a file in it")
    trial = path.with_name(f".{path.name}.trial")
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise type(error)(f"fit: cannot write the checkpoint {path}: {error.strerror}; give a file in a directory that "
                          "exists and can be written to") from error


def write_checkpoint(path: Path, model: Module, optimizer: Optimizer, schedule: Schedule | None, history: History,
                     loader: Any) -> None:
    """Writes the state of training to `path`, which holds the former checkpoint until this one is complete."""
    optimizer_state = optimizer.state_dict()
    arrays = {f"model/{name}": array for name, array in model.state_dict().items()}
    counts: list[dict[str, Any]] = []
    for place, state in enumerate(optimizer_state["state"]):
        arrays.update({f"optimizer/{place}/{k}": v for k, v in state.items() if isinstance(v, np.ndarray)})
        counts.append({k: v for k, v in state.items() if not isinstance(v, np.ndarray)})
    notes = {
        "optimizer": {**optimizer_state, "state": counts},
        "schedule": schedule.state_dict() if schedule is not None else None,
        "history": history.to_dict(),
        "loader_epoch": getattr(loader, "epoch", None),
        "generators": {name: _generator_state(generator) for name, generator in _generators(model)},
    }
    arrays["notes"] = np.array(json.dumps(notes))
    replace_file(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def restore_checkpoint(path: Path, model: Module, optimizer: Optimizer, schedule: Schedule | None,
                       loader: Any) -> History:
    """Brings everything to the state that `path` holds; returns the history.

    Raises ValueError where the file is damaged or of another model, optimizer or schedule.
    """
    arrays, notes = _read(path)
    saved = "no schedule" if notes["schedule"] is None else notes["schedule"]["schedule"]
    given = "no schedule" if schedule is None else type(schedule).__name__
    if saved != given:
        raise ValueError(f"fit: the checkpoint {path} was written with {saved}, not {given}; give fit the same one")
    optimizer_state = notes["optimizer"]
    for place, state in enumerate(optimizer_state["state"]):
        state.update(_below(arrays, f"optimizer/{place}/"))
    model.load_state_dict(_below(arrays, "model/"))
    optimizer.load_state_dict(optimizer_state)
    if schedule is not None:
        schedule.load_state_dict(notes["schedule"])
    for name, generator in _generators(model):
        if name in notes["generators"]:
            generator.bit_generator.state = notes["generators"][name]
    if notes["loader_epoch"] is not None and hasattr(loader, "epoch"):
        loader.epoch = notes["loader_epoch"]
    return History.from_dict(notes["history"])


def _below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _generators(model: Module) -> Iterator[tuple[str, np.random.Generator]]:
    """(path, generator) of the random generators that modules hold (Dropout's), each once."""
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, np.random.Generator) and id(value) not in seen:
                seen.add(id(value))
                yield f"{module_name}.{name}", value


def _generator_state(generator: np.random.Generator) -> Any:
    """The state in JSON's types; some generators keep arrays in it."""
    return json.loads(json.dumps(generator.bit_generator.state, default=np.ndarray.tolist))


# ---------------------------------------------------------------------- the file


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return arrays, json.loads(arrays.pop("notes").item())
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"fit: {path} is no checkpoint that fit wrote, or it is damaged ({error}); give another path, "
                         "or resume=False to start anew and overwrite it") from error
