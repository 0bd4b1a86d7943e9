"""Optional packages: imported where they are used, named when they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["require"]


def require(module: str, extra: str, what: str) -> Any:
    """The optional package `module`, which `what` needs; ImportError says how to install it.

    >>> require("no_such_package", extra="plot", what="ag.draw")
    Traceback (most recent call last):
    ImportError: ag.draw needs the package no_such_package: pip install 'im2grad[plot]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = module.split(".")[0]
        if error.name != name:
            raise
        raise ImportError(f"{what} needs the package {name}: pip install 'im2grad[{extra}]'") from error
