"""Parts of a package that are loaded when they are first used, so that importing the package is quick.

Checking and drawing are a third of the code, and a program that trains calls none of it; training and files need zip
archives, JSON and paths, which take a fifth of the time that importing the rest does. PEP 562 lets a module answer for
names that it does not have yet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["loader"]


def loader(package: str, homes: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package.

    homes  for each name the module that holds it, or is it where both are called alike

    >>> get, names = loader("autograd", {"draw": "show", "show": "show"})
    >>> get("draw").__name__, get("show").__name__
    ('draw', 'autograd.show')
    >>> "draw" in names(), "Tensor" in names()
    (True, True)
    >>> get("drow")
    Traceback (most recent call last):
    AttributeError: module 'autograd' has no attribute 'drow'
    """
    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{homes[name]}")
        found = module if name == homes[name] else getattr(module, name)
        setattr(sys.modules[package], name, found)  # so it is asked for once
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
