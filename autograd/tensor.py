"""Tensor: a thin handle on an array, with a node when it takes part in a gradient.

Knows no op: operators and methods that call ops are added by `operators.py`, NumPy's functions by
`numpy_face.py`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .graph import Node, make_node

__all__ = ["SCALAR_DTYPES", "Tensor", "as_array", "get_default_dtype", "set_default_dtype", "value_of"]

_default_dtype: np.dtype = np.dtype(np.float32)

SCALAR_DTYPES = {np.float32: np.dtype(np.float32), np.float64: np.dtype(np.float64)}  # .dtype of a scalar is slow

# Two backward passes may add to one shared leaf at the same time, and two threads ask for one array; a forked child
# gets a lock of its own, since another thread of the parent may have held this one. Reentrant: a signal's handler may
# compute.
_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def set_default_dtype(dtype: DTypeLike) -> None:
    """Sets the floating dtype that lists of floats become: float32 at the start.

    >>> import autograd as ag
    >>> ag.set_default_dtype("float64"); print(ag.Tensor([1.0]).dtype)
    float64
    >>> ag.set_default_dtype("float32"); print(ag.Tensor([1.0]).dtype)
    float32
    """
    global _default_dtype
    wanted = np.dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"set_default_dtype: {wanted} is no floating dtype; give float32 or float64")
    _default_dtype = wanted


def get_default_dtype() -> np.dtype:
    """The dtype that lists of floats become."""
    return _default_dtype


def as_array(value: Any, dtype: DTypeLike | None = None) -> np.ndarray:
    """An array of numbers: arrays keep their dtype, lists of floats get the default dtype.

    Raises TypeError for anything that is not numbers (never makes an object array).
    """
    if type(value) is Tensor:
        value = np.asarray(value)  # raises where a gradient would be lost
    try:
        array = np.asarray(value, dtype)
    except ValueError as error:
        raise TypeError(f"Tensor: cannot make an array of {_describe(value)}: {error}") from error
    if array.dtype.kind not in "biufc":
        raise TypeError(f"Tensor: cannot make numbers of {_describe(value)} (NumPy made it {array.dtype}); "
                        "give an array, a number, or nested lists of numbers")
    if dtype is None and not hasattr(value, "dtype"):
        if array.dtype.kind == "f":
            return array.astype(_default_dtype, copy=False)
        if array.dtype.kind == "c":
            return array.astype(np.result_type(_default_dtype, np.complex64), copy=False)
    return array


def value_of(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    if type(value) is not Tensor:
        return value
    return value._value if type(value._value) is np.ndarray else value.data


def _describe(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


class Tensor:
    """An array of numbers whose use is recorded, so that gradients can follow.

    `Tensor(a)` copies `a`: lists of floats become float32 (see `set_default_dtype`), lists of ints int64,
    arrays keep their dtype. With `requires_grad=True` it is a leaf: `backward()` fills its `.grad`.

    Raises TypeError where `a` holds no numbers, or integers are asked to require a gradient.

    >>> import autograd as ag
    >>> x = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_grad", "_node", "_value")  # not _data: NumPy takes what has it for a masked array

    # the array, or until somebody asks for `data` the NumPy scalar that an op gave, 0.3 us less; ops read it themselves
    # where it is an array, without the call of a property, and a scalar where they take scalars
    _value: Any
    _node: Node | None
    _grad: Tensor | None

    if TYPE_CHECKING:  # operators.py and numpy_face.py add these, and mypy cannot see it
        __add__: ClassVar[Any]
        __radd__: ClassVar[Any]
        __sub__: ClassVar[Any]
        __rsub__: ClassVar[Any]
        __mul__: ClassVar[Any]
        __rmul__: ClassVar[Any]
        __truediv__: ClassVar[Any]
        __rtruediv__: ClassVar[Any]
        __pow__: ClassVar[Any]
        __matmul__: ClassVar[Any]
        __neg__: ClassVar[Any]
        __getitem__: ClassVar[Any]
        __iter__: ClassVar[Any]
        __lt__: ClassVar[Any]
        __le__: ClassVar[Any]
        __gt__: ClassVar[Any]
        __ge__: ClassVar[Any]
        __array_ufunc__: ClassVar[Any]
        __array_function__: ClassVar[Any]

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False,
                 dtype: DTypeLike | None = None) -> None:
        # order="C": a leaf is contiguous, as its gradient will be
        self._value = np.array(as_array(data, dtype), order="C", copy=True)
        self._node = None
        self._grad = None
        self.requires_grad = requires_grad

    def __init_subclass__(cls) -> None:
        raise TypeError(f"{cls.__name__}: Tensor cannot be subclassed; hold a Tensor as an attribute instead")

    # ------------------------------------------------------------------ the array

    @property
    def data(self) -> np.ndarray:
        """The array itself, not a copy: always an ndarray, also where it has no axes."""
        if type(self._value) is not np.ndarray:
            with _lock:  # one array for all threads that ask
                self._value = np.asarray(self._value)
        return self._value

    @data.setter
    def data(self, array: np.ndarray) -> None:
        if type(array) is not np.ndarray or array.shape != self.shape or array.dtype != self.dtype:
            given = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else _describe(array)
            raise ValueError(f"Tensor.data: expected an array {self.shape} {self.dtype}, got {given}; "
                             "make a new Tensor for another shape or dtype")
        with _lock:  # not between the two steps in which another thread makes the array of a scalar
            self._value = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self._value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self._value.dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._value.size

    def numpy(self) -> np.ndarray:
        """A copy of the array, without the gradient's history."""
        return self.data.copy()

    def item(self) -> Any:
        """The one element as a Python number; ValueError where there are more."""
        if self._value.size != 1:
            raise ValueError(f"item: a Tensor of shape {self.shape} has {self.size} elements, not one")
        return self._value.item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError("len: a Tensor without axes has no length")
        return len(self.data)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if self._node is not None:
            raise TypeError("np.asarray: this Tensor requires a gradient, which an array would lose without a word; "
                            "use .data for the array or .detach() for a Tensor without history "
                            "(to join Tensors, use stack or concatenate)")
        return np.array(self.data, dtype, copy=copy)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("Tensor: items cannot be assigned, since the old value may be needed by a gradient; "
                        "use where(mask, value, x) or put(x, key, value), which give a new Tensor")

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", prefix="Tensor(")
        parts = [body, f"dtype={self.dtype}"]
        if self._node is not None:
            parts.append("requires_grad=True" if self._node.is_leaf else f"op={self._node.op.name}")
        return f"Tensor({', '.join(parts)})"

    __hash__ = object.__hash__  # == compares elements, so a Tensor is its own key

    # ------------------------------------------------------------------ the gradient

    @property
    def requires_grad(self) -> bool:
        """True where a gradient flows into this Tensor; may be set on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if bool(wanted) == (self._node is not None):
            return
        if not wanted:
            if not self.is_leaf:
                raise RuntimeError("requires_grad: only a leaf can stop requiring a gradient; use .detach()")
            self._node = None
            return
        if self.dtype.kind not in "fc":
            raise TypeError(f"Tensor: only floating and complex numbers can require a gradient, not {self.dtype}; "
                            "use .astype(np.float32)")
        self._node = make_node(None, (), {}, (), self.shape, self.dtype, "")
        self._node.tensor = weakref.ref(self)

    @property
    def is_leaf(self) -> bool:
        """True where no recorded op made this Tensor."""
        return self._node is None or self._node.is_leaf

    @property
    def scope(self) -> str:
        """The scope under which this Tensor was recorded."""
        return self._node.scope if self._node is not None else ""

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward delivered, or None; backward passes add up. May be set."""
        return self._grad

    @grad.setter
    def grad(self, grad: Tensor | None) -> None:
        if grad is None:
            self._grad = None
            return
        if type(grad) is not Tensor or grad.shape != self.shape or grad.dtype != self.dtype:
            given = f"{grad.shape} {grad.dtype}" if type(grad) is Tensor else _describe(grad)
            raise ValueError(f"grad: expected None or a Tensor {self.shape} {self.dtype}, got {given}")
        self._grad = grad

    def detach(self) -> Tensor:
        """The same array as a Tensor without history: gradients stop here."""
        return wrap(self.data, None)

    def retain_grad(self) -> None:
        """Asks backward to fill `.grad` of this Tensor although it is no leaf."""
        self._need_node("retain_grad").tensor = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Calls `hook(gradient)` once the gradient of this Tensor is complete; a Tensor it returns replaces it.

        The hook must not write into the gradient. Returns a function that removes the hook.

        >>> import autograd as ag
        >>> x = ag.Tensor([1.0], requires_grad=True)
        >>> remove = x.register_hook(lambda g: g * 10)
        >>> (x * 2).sum().backward(); x.grad
        Tensor([20.], dtype=float32)
        """
        node = self._need_node("register_hook")
        if node.hooks is None:
            node.hooks = {}
        hooks, registration = node.hooks, object()
        hooks[registration] = hook
        return lambda: hooks.pop(registration, None) and None

    def _need_node(self, what: str) -> Node:
        if self._node is None:
            raise RuntimeError(f"{what}: this Tensor does not require a gradient; set requires_grad=True first")
        return self._node

    def _add_grad(self, g: Tensor, add: Callable[[Any, Any], Any]) -> None:
        """Delivers a gradient: the first is taken as it is, the next ones are added out of place."""
        while True:
            old = self._grad
            new = g if old is None else add(old, g)  # outside of the lock: an observer may look on, or deliver itself
            with _lock:
                if self._grad is old:
                    self._grad = new
                    return

    # ------------------------------------------------------------------ copying

    def __reduce__(self) -> tuple:
        if not self.is_leaf:
            raise TypeError("copy, deepcopy and pickle: this Tensor was made by an op, and its history cannot be "
                            "copied; use .detach() first")
        return _rebuild, (self.data, self.requires_grad, None if self._grad is None else self._grad.detach())


def wrap(data: np.ndarray, node: Node | None) -> Tensor:
    """A Tensor around an array that is not copied."""
    tensor = _new(Tensor)
    tensor._value = data
    tensor._node = node
    tensor._grad = None
    return tensor


_new: Any = object.__new__


def _rebuild(data: np.ndarray, requires_grad: bool, grad: Tensor | None) -> Tensor:
    tensor = wrap(data, None)
    tensor.requires_grad = requires_grad
    tensor._grad = grad
    return tensor
