"""What follows from shapes and settings alone is worked out once: a network asks for the same in every step."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["remembered"]

P = ParamSpec("P")
T = TypeVar("T")


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """The function with its last 1024 results kept; arguments that cannot be looked up, such as lists, are allowed.

    Arguments that are equal but of different types (1, 1.0 and True) count as different, inside of a tuple they do not;
    errors are not kept. `cache_clear` forgets them all, as that of `lru_cache` does.

    >>> @remembered
    ... def total(shape):
    ...     print("worked out")
    ...     return sum(shape)
    >>> total((2, 3)), total((2, 3)), total([2, 3])
    worked out
    worked out
    (5, 5, 5)
    """
    kept: Any = lru_cache(maxsize=1024, typed=True)(function)

    def look_up(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return kept(*args, **kwargs)
        except TypeError:  # of the look-up; or of the function, which raises it again below, with nothing behind it
            pass
        return function(*args, **kwargs)

    found: Any = wraps(function)(look_up)
    found.cache_clear = kept.cache_clear
    return found
