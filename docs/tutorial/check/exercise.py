"""How an exercise is judged: the learner's function is called, and its answer compared with an independent one.

A verdict is one of three: right, not right yet (what was given, what was expected, and a hint on the likely mistake),
or not solved yet. No verdict holds a solution, and whatever the learner's function does, no traceback comes out.
"""

from __future__ import annotations

import copy
import functools
import inspect
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import autograd as ag

__all__ = ["Exercise", "Unsolved", "Verdict", "Wrong", "ask", "compare"]


class Verdict(NamedTuple):
    """solved is True, False, or None for a blank; text is what the learner reads."""

    solved: bool | None
    text: str


class Unsolved(Exception):  # noqa: N818  (a state of the exercise and no error)
    """The answer is still blank; the text says how that was seen."""


class Wrong(Exception):  # noqa: N818
    """The answer is not right; the text says what was given and expected, and what the mistake may be."""


class Exercise:
    """A checker: called with the learner's answer it prints a verdict, `verdict(answer)` returns it.

    It is made of a function that examines the answer: that returns what is right about it, or raises Wrong or Unsolved.

    >>> @Exercise
    ... def doubling(double):
    ...     compare(ask(double, 3.0), 6.0, "double(3.0)")
    ...     return "3 becomes 6"
    >>> doubling(lambda x: 2 * x)
    doubling: right. 3 becomes 6.
    >>> doubling(...)
    doubling: not solved yet.
    >>> doubling(lambda x: -2 * x)
    doubling: not right yet.
      double(3.0)
        given     -6
        expected  6
      hint: yours is the negative of the right one
    """

    def __init__(self, examine: Callable[..., str]) -> None:
        functools.update_wrapper(self, examine)
        self.name = examine.__name__
        self.examine = examine

    def __call__(self, *answers: Any, **named: Any) -> None:
        print(self.verdict(*answers, **named).text)

    def verdict(self, *answers: Any, **named: Any) -> Verdict:
        """The judgement on an answer, for programs: `.solved` is True, False or None, `.text` what is printed."""
        try:
            return Verdict(True, f"{self.name}: right. {self.examine(*answers, **named)}.")
        except Unsolved as blank:
            return Verdict(None, f"{self.name}: not solved yet{blank}.")
        except Wrong as wrong:
            return Verdict(False, f"{self.name}: not right yet.\n{wrong}")
        except Exception as error:  # an answer of a kind that no checker foresees: numbers in lists in dicts, ...
            return Verdict(False, f"{self.name}: not right yet.\n  your answer cannot be read ({error})\n"
                                  f"  hint: help(check.{self.name}) says what it should be")


def ask(function: Any, *args: Any) -> Any:
    """What the learner's function answers; it gets copies, so that it cannot spoil the question."""
    if _is_blank(function):
        raise Unsolved
    if not callable(function):
        raise Wrong(f"  expected a function, but got {function!r:.60}\n  hint: give its name alone, without calling it")
    name = getattr(function, "__name__", "your function")
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = function(*map(_own_copy, args))
    except NotImplementedError:
        raise Unsolved from None
    except Exception as error:  # whatever a learner's code may raise is told in one line, never as our traceback
        raise Wrong(_told(error, name, function)) from None
    if answer is None:
        raise Unsolved("" if _is_unwritten(function) else f" ({name} returns None: a `return` may be missing)")
    if any(map(_is_blank, answer if isinstance(answer, tuple) else [answer])):
        raise Unsolved
    return answer


def compare(given: Any, right: Any, where: str, mistakes: Sequence[tuple[Any, str]] = (), rtol: float = 1e-6) -> None:
    """Raises Wrong unless given is right; `mistakes` are pairs of a typical wrong answer and the hint for it."""
    numbers, right = _numbers(given, where), np.asarray(right)
    if numbers.shape != right.shape:
        hints = [hint for wrong, hint in mistakes if _close(numbers, np.asarray(wrong), rtol)]
        hint = hints[0] if hints else _on_shape(numbers, right)
        raise Wrong(f"  {where}\n    given     shape {numbers.shape}\n    expected  shape {right.shape}\n"
                    f"  hint: {hint}")
    if _close(numbers, right, rtol):
        return
    hints = [hint for wrong, hint in mistakes if _close(numbers, np.asarray(wrong), rtol)]
    hint = hints[0] if hints else _on_numbers(numbers, right)
    place, shown, expected = _worst(numbers, right)
    raise Wrong(f"  {where}{place}\n    given     {shown}\n    expected  {expected}\n  hint: {hint}")


# ---------------------------------------------------------------------- what was given


def _is_blank(answer: Any) -> bool:
    return answer is None or answer is Ellipsis


def _is_unwritten(function: Callable) -> bool:
    """Whether the body is still the dots: it names nothing and has no constant of its own."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    is_short = not code.co_names and code.co_nlocals == code.co_argcount
    return is_short and {*code.co_consts} <= {None, ..., function.__doc__}


def _own_copy(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, (np.ndarray, dict, list)) else value


def _told(error: Exception, name: str, function: Callable) -> str:
    """One line for an error in the learner's code, and the line of it where it happened."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    line = f"\n    in        {frames[-1].line}" if frames and frames[-1].line else ""
    hint = "read the error's text; a print in your function shows what it was called with"
    if isinstance(error, RecursionError):
        hint = "your function calls itself too often for Python: a long chain of nodes needs a loop with a list"
    return f"  {name} raised {type(error).__name__}: {str(error)[:300]}{line}\n  hint: {hint}"


def _numbers(given: Any, where: str) -> np.ndarray:
    if isinstance(given, ag.Tensor):
        given = given.data
    if isinstance(given, ag.Scalar):
        given = given.data
    try:
        numbers = np.asarray(given)
    except Exception:  # ragged lists, Tensors in lists, ...
        numbers = np.asarray(None)
    if numbers.dtype.kind not in "fiubc":
        raise Wrong(f"  {where}\n    given     {given!r:.80}\n    expected  numbers, as a float or an array\n"
                    "  hint: return the numbers themselves")
    return numbers


def _close(a: np.ndarray, b: np.ndarray, rtol: float) -> bool:
    """Whether all agree, in units of the largest; NaN agrees with nothing."""
    if a.shape != b.shape:
        return False
    if not a.size:
        return True
    return bool(np.max(np.abs(a - b)) <= rtol * max(float(np.max(np.abs(b))), 1e-12))


# ---------------------------------------------------------------------- hints that fit any exercise


def _on_shape(given: np.ndarray, right: np.ndarray) -> str:
    if given.shape == right.shape[::-1]:
        return "yours is transposed"
    if given.size == right.size:
        return "the number of elements is right: a reshape, or keepdims=True, may be missing"
    if given.ndim < right.ndim:
        return "an axis was summed or indexed away that must stay"
    return "an axis is left that must be summed" if given.size > right.size else "compare the two shapes axis by axis"


def _on_numbers(given: np.ndarray, right: np.ndarray) -> str:
    if not np.all(np.isfinite(given)):
        return "some of yours are not finite: look for a division by 0, or an overflow"
    if not np.any(given):
        return "yours are all 0: nothing arrived"
    if _close(given, -right, 1e-4):
        return "yours is the negative of the right one"
    factor = float(np.real(np.vdot(right, given) / max(float(np.real(np.vdot(right, right))), 1e-300)))
    if factor and _close(given, factor * right, 1e-4) and abs(factor - 1) > 1e-3:
        return f"yours is {factor:.4g} times the right one: look for a factor"
    if given.ndim == 2 and _close(given, right.T, 1e-4):
        return "yours is transposed"
    if _close(given, right, 0.02):
        return "nearly right: look for something small, such as a step size or an edge"
    return "take the smallest case that you can do by hand, and compare step by step"


def _worst(given: np.ndarray, right: np.ndarray) -> tuple[str, str, str]:
    """Where, what was given and what was expected: all of a small array, the worst element of a large one."""
    if given.size <= 12:
        return "", _text(given), _text(right)
    error = np.nan_to_num(np.abs(given - right), nan=np.inf)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
    wrong = int(np.count_nonzero(~(error <= 1e-6 * np.max(np.abs(right)))))
    return f", worst at {list(index)} ({wrong} of {given.size} differ)", _text(given[index]), _text(right[index])


def _text(numbers: np.ndarray) -> str:
    if np.ndim(numbers) == 0:
        return f"{numbers:.8g}"
    return np.array2string(numbers, precision=4, suppress_small=True).replace("\n", "\n" + " " * 14)
