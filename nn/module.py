"""Module: a plain class that finds its parameters by walking its attributes.

There is no metaclass and no registration. Whatever a module holds as an attribute, or in lists, tuples and
dicts (nested as you like), belongs to it:

    a Module                   a sub-module, which is walked as well
    a leaf Tensor of floats    a parameter: trained if it requires a gradient, else frozen
    a NumPy array              a buffer: saved with the parameters, never trained
    a leaf Tensor of integers  a buffer, too
    a Tensor made by an op     nothing: it belongs to one pass through the graph

An object held in several places (tied weights, a module used twice, a cycle) counts once, under the name of
the first. Names are paths: "0.weight", "blocks.2.conv.bias", dict keys as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Self

import numpy as np

from autograd.graph import current_mode, enter, leave
from autograd.tensor import Tensor, value_of, wrap

__all__ = ["Module", "Parameters", "Place", "Unmatched", "current_module", "evaluating", "places"]

_HOOKS = "_forward_hooks"  # set on the modules that have any, below None on the class


class _Running:
    """A module whose forward is running, and the names of the modules that it holds, worked out when one is called."""

    __slots__ = ("module", "names")

    def __init__(self, module: Module) -> None:
        self.module = module
        self.names: dict[int, str] = {}

    def name_of(self, module: Module) -> str:
        """The name by which `module` is held, "" where it is not."""
        name = self.names.get(id(module))
        return self._look_for(module) if name is None else name

    def _look_for(self, module: Module) -> str:
        """The same by looking for it: an attribute or in a list of one nearly always, so the whole walk comes last."""
        names = self.names
        for name, value in self.module._members():
            names.setdefault(id(value), name)
            if type(value) is list:
                for i, item in enumerate(value):
                    names.setdefault(id(item), f"{name}.{i}")
        if id(module) not in names:
            for name, child in self.module.named_modules():
                names.setdefault(id(child), name)
        return names.get(id(module), "")


_is_evaluating: ContextVar[bool] = ContextVar("nn_evaluating", default=False)


def current_module() -> Module | None:
    """The innermost module whose forward is running in this thread or task, of those that were recorded or observed."""
    running = current_mode().owner
    return None if running is None else running.module


@contextmanager
def evaluating() -> Iterator[None]:
    """Every module is in eval mode inside, in this thread or task only, and none is changed."""
    token = _is_evaluating.set(True)
    try:
        yield
    finally:
        _is_evaluating.reset(token)


class Place(NamedTuple):
    """Where a value stands: `holder.key`, or `holder[key]` where holder is a list, a tuple or a dict."""

    name: str  # the path from the root
    value: Any  # a Module, a leaf Tensor or an array
    owner: Module  # the innermost module around it
    holder: Any
    key: Any

    def bind(self, array: np.ndarray) -> None:
        """Puts another array of the same shape and dtype here; a Tensor stays the same object."""
        if isinstance(self.value, Tensor):
            self.value.data = array
        elif isinstance(self.holder, Module):
            setattr(self.holder, self.key, array)
        else:
            self.holder[self.key] = array


class Unmatched(NamedTuple):
    """The keys that `load_state_dict(strict=False)` left alone."""

    missing: list[str]
    unexpected: list[str]


class Parameters:
    """The parameters of a module, each once: iterates over the Tensors, and `named` has the names.

    >>> import nn
    >>> parameters = nn.Dense(3, 2).parameters()
    >>> [p.shape for p in parameters], [name for name, p in parameters.named]
    ([(3, 2), (2,)], ['weight', 'bias'])
    """

    def __init__(self, named: Iterable[tuple[str, Tensor]]) -> None:
        self.named = list(named)

    def __iter__(self) -> Iterator[Tensor]:
        return (tensor for _, tensor in self.named)

    def __len__(self) -> int:
        return len(self.named)

    def __repr__(self) -> str:
        return f"Parameters({', '.join(f'{name} {tensor.shape}' for name, tensor in self.named)})"


class Module:
    """A function with parameters; write a subclass with a `forward`.

    Calling it calls `forward`, under an `ag.scope` named after the attribute by which the calling module
    holds it (after its class where no module calls), so that pictures of the graph fold by module; without one where
    nothing is recorded or observed. An array that forward returns becomes a Tensor.

    >>> import autograd as ag, nn, numpy as np
    >>> class Scaled(nn.Module):
    ...     def __init__(self):
    ...         self.dense = nn.Dense(3, 2, rng=0)
    ...         self.scale = ag.Tensor(1.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.dense(x) * self.scale
    >>> model = Scaled()
    >>> [name for name, _ in model.named_parameters()]
    ['dense.weight', 'dense.bias', 'scale']
    >>> model(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    # on the class, so that a subclass need not call super().__init__()
    _training: bool = True
    _forward_hooks: dict[object, Callable[[Any, tuple, Any], Any]] | None = None

    @property
    def training(self) -> bool:
        """Whether this module trains: set by `train` and `eval`; False while `nn.evaluate` or `nn.predict` run it."""
        return self._training and not _is_evaluating.get()

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = bool(mode)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__}: forward is not defined; write `def forward(self, x): ...`")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward` of the arguments."""
        mode, before = current_mode(), None
        if mode.recording or mode.observer is not None:  # else nobody asks for the scope or for who runs: 2 us less
            label = (mode.owner and mode.owner.name_of(self)) or type(self).__name__
            before = enter(label, _Running(self))
        try:
            out = self.forward(*args, **kwargs)
            if type(out) is not Tensor:
                out = _as_tensor(out)
            if self._forward_hooks:
                for hook in list(self._forward_hooks.values()):
                    changed = hook(self, args, out)
                    out = out if changed is None else changed
            return out
        finally:
            if before is not None:
                leave(before)

    # ------------------------------------------------------------------ what it holds

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(path, module) of this module, under the name "", and of all below it."""
        return ((place.name, place.value) for place in places(self) if isinstance(place.value, Module))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules that this one holds itself, not those inside of them."""
        found = places(self, into_modules=False)
        return ((place.name, place.value) for place in found if isinstance(place.value, Module) and place.name)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(path, Tensor) of all parameters, trained and frozen."""
        return ((name, found[0].value) for name, found in _state(self).items() if _is_parameter(found[0].value))

    def parameters(self) -> Parameters:
        """All parameters, trained and frozen, as an optimizer takes them."""
        return Parameters(self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """(path, array) of all buffers."""
        return ((name, value_of(found[0].value)) for name, found in _state(self).items()
                if not _is_parameter(found[0].value))

    def state_dict(self) -> dict[str, np.ndarray]:
        """All parameters and buffers by path, as copies: training on does not change them."""
        return {name: np.array(value_of(found[0].value), order="C") for name, found in _state(self).items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Unmatched:
        """Takes parameters and buffers (arrays or Tensors by path) from `state`, cast to this module's dtypes.

        Parameters stay the same Tensors; arrays are copied. With `strict=False` keys that are missing or
        unexpected are left alone and returned.

        Raises ValueError that lists every missing and unexpected key, and every wrong shape or kind of
        number, with nothing changed; TypeError where `state` is no mapping.

        >>> import nn
        >>> nn.Dense(3, 2).load_state_dict({"weight": [[0.0]], "extra": 1.0})
        Traceback (most recent call last):
        ValueError: Dense.load_state_dict: the state does not fit, and nothing was loaded:
          missing: bias (2,) float32
          unexpected: extra () float64
          weight: expected (3, 2) float32, got (1, 1) float64
        """
        where = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state, Mapping):
            raise TypeError(f"{where}: expected a mapping from names to arrays, got {type(state).__name__}")
        own = _state(self)
        given = {name: np.asarray(value_of(value)) for name, value in state.items()}
        unmatched = Unmatched([name for name in own if name not in given], [name for name in given if name not in own])
        problems = []
        if strict:
            problems += [f"missing: {name} {_kind(own[name][0].value)}" for name in unmatched.missing]
            problems += [f"unexpected: {name} {_kind(given[name])}" for name in unmatched.unexpected]
        problems += [problem for name, found in own.items() if name in given
                     for problem in _misfits(name, found, given[name])]
        if problems:
            raise ValueError("\n  ".join([f"{where}: the state does not fit, and nothing was loaded:", *problems]))
        for name, found in own.items():
            if name in given:
                array = np.array(given[name], found[0].value.dtype, order="C")
                for place in found:
                    place.bind(array)
        return unmatched

    # ------------------------------------------------------------------ training

    def train(self, mode: bool = True) -> Self:
        """Sets `training` here and in all modules below: Dropout drops, BatchNorm uses the batch. Returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """`train(False)`: Dropout does nothing, BatchNorm uses its running averages. Returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets `requires_grad` of all parameters: `model.encoder.requires_grad_(False)` freezes the encoder.

        Returns self.
        """
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Sets `.grad` of all parameters to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def register_forward_hook(self, hook: Callable[[Any, tuple, Any], Any]) -> Callable[[], None]:
        """Calls `hook(module, inputs, output)` after each forward; what it returns, if not None, is the new output.

        Returns a function that removes the hook. Copies of the module (deepcopy, pickle) have no hooks.

        >>> import nn, numpy as np
        >>> model = nn.Sequential(nn.Dense(3, 2), nn.ReLU())
        >>> seen = []
        >>> remove = model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
        >>> _ = model(np.ones((5, 3), np.float32)); remove(); seen
        [(5, 2)]
        """
        hooks, registration = vars(self).setdefault(_HOOKS, {}), object()
        hooks[registration] = hook
        return lambda: hooks.pop(registration, None) and None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != _HOOKS}

    # ------------------------------------------------------------------ repr

    def extra_repr(self) -> str:
        """The settings that the repr shows between the brackets."""
        return ""

    def __repr__(self) -> str:
        return "\n".join(_repr_lines(self, ()))

    def _parts(self) -> Iterable[tuple[str, Any]]:
        """(name, module or function) of the parts that the repr shows."""
        return self.named_children()

    def _members(self) -> Iterable[tuple[str, Any]]:
        """What the walk looks at: (name, value) of every attribute."""
        return ((name, value) for name, value in vars(self).items() if name != _HOOKS)


# ---------------------------------------------------------------------- walking


def places(root: Module, into_modules: bool = True) -> Iterator[Place]:
    """Every place of a module (its first place only), a leaf Tensor or an array in root, in attribute order.

    Root comes first, under the name "". Each module, list, tuple and dict is entered once, so cycles end.
    """
    entered: set[int] = set()
    stack = [Place("", root, root, None, None)]
    while stack:
        place = stack.pop()
        value = place.value
        if isinstance(value, np.ndarray) or (isinstance(value, Tensor) and value.is_leaf):
            yield place
        if not isinstance(value, (Module, list, tuple, dict)) or id(value) in entered:
            continue
        entered.add(id(value))
        if isinstance(value, Module):
            yield place
            if not into_modules and value is not root:
                continue
        stack += reversed(list(_inside(place)))


def _inside(place: Place) -> Iterator[Place]:
    """The places directly inside a module, list, tuple or dict."""
    holder = place.value
    owner = holder if isinstance(holder, Module) else place.owner
    if isinstance(holder, Module):
        pairs: Iterable[tuple[Any, Any]] = holder._members()
    else:
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in pairs:
        yield Place(f"{place.name}.{key}" if place.name else str(key), value, owner, holder, key)


def _state(root: Module) -> dict[str, list[Place]]:
    """By name: all the places of each parameter and buffer, under the first one's name."""
    by_name: dict[str, list[Place]] = {}
    first: dict[int, str] = {}
    for place in places(root):
        if isinstance(place.value, Module):
            continue
        name = first.setdefault(id(place.value), place.name)
        found = by_name.setdefault(name, [])
        if found and found[0].value is not place.value:
            raise ValueError(f"{type(root).__name__}: two different parameters or buffers are called {name!r}; use "
                             "other dict keys, which make the same name")
        found.append(place)
    return by_name


def _is_parameter(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.kind in "fc"


def _as_tensor(out: Any) -> Any:
    return wrap(np.asarray(out), None) if isinstance(out, (np.ndarray, np.generic)) else out


# ---------------------------------------------------------------------- loading


def _kind(value: Any) -> str:
    return f"{value.shape} {value.dtype}"


def _misfits(name: str, found: list[Place], given: np.ndarray) -> list[str]:
    """What keeps `given` from being loaded, in words."""
    own = found[0].value
    if given.shape != own.shape or given.dtype.kind != own.dtype.kind:
        return [f"{name}: expected {_kind(own)}, got {_kind(given)}"]
    if isinstance(own, np.ndarray) and any(isinstance(place.holder, tuple) for place in found):
        return [f"{name}: is a buffer in a tuple, which cannot be changed; hold it in a list"]
    return []


# ---------------------------------------------------------------------- repr


def _repr_lines(module: Any, above: tuple[Module, ...]) -> list[str]:
    """The lines of a repr; `above` are the modules that it stands in, so that a cycle ends."""
    if not isinstance(module, Module):  # a function in a Sequential
        return [getattr(module, "__name__", repr(module))]
    name = type(module).__name__
    if any(module is other for other in above):
        return [f"{name}(...)"]
    parts = list(module._parts())
    if not parts:
        return [f"{name}({module.extra_repr()})"]
    lines = [f"{name}("]
    lines += [f"  {module.extra_repr()}"] if module.extra_repr() else []
    for child_name, child in parts:
        first, *rest = _repr_lines(child, (*above, module))
        lines += [f"  ({child_name}): {first}", *(f"  {line}" for line in rest)]
    return [*lines, ")"]
