"""Op: a forward function on arrays, and beside it one backward rule per input.

    @Op
    def multiply(x, y):
        return x * y
    multiply.vjp(lambda g, y: g * y,
                 lambda g, x: g * x)

What the names in a rule mean (they are read once, when the op is defined):

    g               the cotangent: the gradient with respect to the op's output (a tuple of them where
                    the op has several outputs, zeros for one that is not used)
    an input        its value
    <input>_shape   its shape alone
    out             the op's output (a tuple where it has several)
    an output       one of several, where the op names them: Op(outputs=("y", "mean"))
    a parameter     its value, a keyword argument of the forward
    aux             what the forward found on the way and no gradient flows through (indices, masks). Such
                    a forward takes the keyword `need_aux` and returns `(out, aux)`
    wanted          in a joint rule: one bool per input

Whatever a rule names is saved for it, and nothing else. A rule is written with ops and operators, so it
works on arrays (first order) and on Tensors (`create_graph=True`) alike. It never calls NumPy on what may
be a Tensor: a part that has to be fast becomes an op, with rules of its own.

The op's inputs are as many leading arguments as it has rules; the rest are parameters, which stay small.
A rule may be None: no gradient flows into that input (indices, masks). One joint rule for several inputs
(`op.vjp(rule, inputs=2)`, always for `*xs`) returns one gradient per input, None where not wanted.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from .graph import Mode, Node, current_mode, make_node, next_order
from .tensor import SCALAR_DTYPES, Tensor, as_array, wrap

__all__ = ["Op", "Plan", "PlannedRule"]

_RESERVED = ("g", "out", "aux", "wanted")
_ndarray = np.ndarray
_scalar_dtype = SCALAR_DTYPES.get
_NO_PARAMS: Any = MappingProxyType({})  # shared: a dict for each node took 0.05 us and 80 bytes
_asarray = np.asarray
_ARRAYS = frozenset([np.ndarray])
_float32 = np.dtype(np.float32)
_new: Any = object.__new__
_NUMPY_TYPES = frozenset([np.ndarray, np.float32, np.float64])
_NUMBER_TYPES = frozenset([float, int, bool, complex, np.float64])  # np.float64 is one of Python's floats as well
_PLAIN_TYPES = _NUMPY_TYPES | _NUMBER_TYPES
_BESIDE_SCALARS = _PLAIN_TYPES - {complex}  # complex with np.float64, a float, is Python's own: 1j / 0 would raise
_EXPLAINED = (ValueError, TypeError, IndexError)  # after these `_call` says what was given


@dataclass(slots=True)
class PlannedRule:
    """A rule that runs. (No tuple: to unpack a NamedTuple takes 0.1 us, to read two slots 0.02.)

    input_index  None for a joint rule
    rule         as it was given
    pick         takes its arguments after g out of the saved values, as a tuple
    apply        (g, saved) -> what the rule gives
    """

    input_index: int | None
    rule: Callable
    pick: Callable[[Any], tuple]
    apply: Callable[[Any, Any], Any]


class Plan:
    """What an op saves and which rules run, given which of its inputs need a gradient.

    names    of the saved values, in their order
    pick     takes them out of all that a rule could ask for
    rules    those that run
    sources  how each saved value is found again as a Tensor
    """

    __slots__ = ("names", "op", "pick", "rules", "sources")

    def __init__(self, op: Op, needs: tuple[bool, ...]) -> None:
        self.op = op
        running = [(i, rule, names) for i, (rule, names) in enumerate(op._rules) if op._joint or needs[i]]
        self.names = saved = list(dict.fromkeys(name for _, _, names in running for name in names))
        self.pick = _picker([op._positions[name] for name in saved])
        self.rules = tuple(_planned(None if op._joint else i, rule, [saved.index(name) for name in names])
                           for i, rule, names in running)
        self.sources = tuple(op._source(name) for name in saved)

    def saved_tensors(self, node: Node) -> tuple:
        """The saved values as Tensors that are part of the graph, for rules that are recorded themselves."""
        return tuple(source(node, value) for source, value in zip(self.sources, node.saved or (), strict=True))


def _planned(index: int | None, rule: Any, positions: list[int]) -> PlannedRule:
    pick = _picker(positions)
    if len(positions) != 1:
        return PlannedRule(index, rule, pick, lambda g, saved: rule(g, *pick(saved)))
    [at] = positions  # most rules: a third of the time that a call with a `*` takes, 0.14 us less
    return PlannedRule(index, rule, pick, lambda g, saved: rule(g, saved[at]))


def _picker(positions: list[int]) -> Callable[[Any], tuple]:
    """A function that takes those items out of a tuple, as a tuple, in C."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return itemgetter(slice(positions[0], positions[0] + 1) if positions else slice(0))  # of one item it makes no tuple


class Op:
    """A differentiable function: called with arrays it returns an array, with any Tensor a Tensor.

    `broadcasts=True` says that inputs broadcast against each other as in NumPy, and that gradients are
    summed back to an input's shape; without it a gradient of another shape is an error. `outputs` names
    the outputs of an op that has several, so that a rule can ask for one and no other is saved. `scalars=True`
    says that forward and rules do on a NumPy scalar what they do on an array without axes, in an eighth of the
    time: a Tensor of one real number may then reach them as one.

    >>> import autograd as ag, numpy as np
    >>> @ag.Op
    ... def swish(x):
    ...     return x / (1 + np.exp(-x))
    >>> _ = swish.vjp(lambda g, x, out: g * (out + ag.sigmoid(x) * (1 - out)))
    >>> x = ag.Tensor(0.0, requires_grad=True)
    >>> swish(x).backward(); x.grad.item()
    0.5
    """

    # What each call reads is found at once in a slot; in the dicts of ops it has different places, and the interpreter
    # looks it up anew each time: an eleventh of a forward. Function attributes (`__name__`, ..) are in `__dict__`.
    __slots__ = (
        "__dict__", "__weakref__", "_arguments", "_asked_params", "_asked_shapes", "_has_aux", "_inputs",
        "_is_positional", "_joint", "_keywords", "_known_params", "_most_args", "_n_args", "_params", "_plans",
        "_positions", "_quick", "_rules", "_scalars", "_simple", "_variadic", "broadcasts", "defaults", "forward",
        "name", "output_names",
    )

    def __new__(cls, forward: Callable | None = None, **options: Any) -> Any:
        if forward is None:  # @Op(broadcasts=True)
            return functools.partial(cls, **options)
        return super().__new__(cls)

    # `forward` has a default for the form @Op(broadcasts=True) alone, which __new__ has answered by then
    def __init__(self, forward: Any = None, *, broadcasts: bool = False, outputs: tuple[str, ...] = (),
                 scalars: bool = False) -> None:
        functools.update_wrapper(self, forward)
        self.forward = forward
        self.name: str = forward.__name__.strip("_")
        self.broadcasts = broadcasts
        self.output_names = outputs
        self._scalars = scalars
        signature = inspect.signature(forward)
        arguments = signature.parameters.values()
        self._arguments = [a.name for a in arguments if a.kind is a.POSITIONAL_OR_KEYWORD]
        unknown = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.VAR_KEYWORD)]
        if unknown:
            raise TypeError(f"{self.name}: an op's forward takes its arguments by name, so it cannot have {unknown[0]}")
        # a forward that tells another's signature may take parameters by name alone
        self._is_positional = not (hasattr(forward, "__wrapped__") or hasattr(forward, "__signature__"))
        self._variadic = next((a.name for a in arguments if a.kind is a.VAR_POSITIONAL), None)
        self.defaults = {a.name: a.default for a in arguments if a.default is not a.empty}
        self._has_aux = any(a.name == "need_aux" for a in arguments)
        if self._has_aux:  # what a caller may give
            self.__signature__ = signature.replace(parameters=[a for a in arguments if a.name != "need_aux"])
        self._keywords = [a.name for a in arguments if a.kind is a.KEYWORD_ONLY and a.name != "need_aux"]
        clash = [name for name in (*self._arguments, self._variadic, *self._keywords, *outputs) if name in _RESERVED]
        if clash:
            raise TypeError(f"{self.name}: an argument cannot be called {clash[0]!r}: rules use that name")
        self._set_rules((), joint=False, n_inputs=0)

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def __reduce__(self) -> str:  # pickled and copied by name, as functions are
        return self.forward.__qualname__

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, without those of a `*xs`."""
        return self._inputs

    @property
    def variadic_name(self) -> str | None:
        """The name of its `*xs`; None where it has none."""
        return self._variadic

    def input_name(self, index: int) -> str:
        """What the input at that place is called: "x", or "xs[2]"."""
        n = len(self._inputs)
        return self._inputs[index] if index < n else f"{self._variadic}[{index - n}]"

    def saved_names(self, index: int | None) -> tuple[str, ...]:
        """What the rule of that input (None: the joint rule) asks for besides g."""
        return self._rules[index or 0][1]

    # ------------------------------------------------------------------ defining

    def vjp(self, *rules: Callable | None, inputs: int | None = None) -> Op:
        """Gives the backward rules: one per input, or with `inputs=n` (or for `*xs`) one joint rule.

        Raises TypeError where a rule asks for a name that the op does not have.
        """
        if self._rules:
            raise TypeError(f"{self.name}.vjp: the rules are given already; give all of them in one call")
        joint = inputs is not None or self._variadic is not None
        if joint and len(rules) != 1:
            raise TypeError(f"{self.name}.vjp: a joint rule stands alone, got {len(rules)} rules")
        n_inputs = len(self._arguments) if self._variadic else inputs if inputs is not None else len(rules)
        if n_inputs > len(self._arguments):
            raise TypeError(f"{self.name}.vjp: {n_inputs} inputs, but the forward has only the arguments "
                            f"{', '.join(self._arguments)}")
        self._set_rules(rules, joint, n_inputs)
        return self

    def _set_rules(self, rules: tuple, joint: bool, n_inputs: int) -> None:
        self._joint = joint
        self._inputs = self._arguments[:n_inputs]
        self._params = [*self._arguments[n_inputs:], *self._keywords]
        self._known_params = frozenset(self._params)
        names = [*self._inputs, *([self._variadic] if self._variadic else [])]
        shapes = [f"{name}_shape" for name in names]
        allowed = [*names, "out", *(["aux"] if self._has_aux else []), *self.output_names, *self._params]
        allowed += [name for name in shapes if name not in allowed]
        self._rules = [(rule, self._read(rule, i, allowed, joint)) for i, rule in enumerate(rules)]
        asked = {name for _, rule_names in self._rules for name in rule_names}
        self._asked_params = [name for name in self._params if name in asked]
        self._asked_shapes = [name for name in shapes if name in asked and name not in (*names, *self._params)]
        layout = [*names, "out", "aux", *self.output_names, *self._asked_params, *self._asked_shapes]
        self._positions = {name: at for at, name in enumerate(layout)}
        self._simple = layout == [*names, "out", "aux"] and not (self._variadic or self._has_aux)
        self._n_args = -1 if self._variadic else n_inputs
        self._quick = n_inputs if self._simple and not self.output_names and n_inputs in (1, 2) else -1
        self._most_args = len(self._arguments) if self._is_positional and not self._variadic else -1
        self._plans: dict[int, Plan] = {}  # by a bit for each input that needs a gradient, and one above them all

    def _read(self, rule: Callable | None, index: int, allowed: list[str], joint: bool) -> tuple[str, ...]:
        """The names that a rule asks for, checked."""
        if rule is None:
            return ()
        names = list(inspect.signature(rule).parameters)
        whose = "joint rule" if joint else f"rule for {self._inputs[index]!r}"
        if not names or names[0] != "g":
            raise TypeError(f"{self.name}.vjp: the {whose} must take the cotangent g first, got ({', '.join(names)})")
        if joint and "wanted" in names:
            names.remove("wanted")
        elif joint:
            raise TypeError(f"{self.name}.vjp: the joint rule must take `wanted`, one bool per input")
        unknown = [name for name in names[1:] if name not in allowed]
        if unknown:
            raise TypeError(f"{self.name}.vjp: the {whose} asks for {unknown[0]!r}; it may use g, {', '.join(allowed)}")
        return tuple(names[1:])

    def _source(self, name: str) -> Callable[[Node, Any], Any]:
        """How a saved value is found again as a Tensor: by its parent's node, or by the node itself."""
        if name == "out":
            return _output_tensor
        if name in self.output_names:
            index = self.output_names.index(name)
            return lambda node, value: wrap(np.asarray(value), _output_again(node, index))
        if name == self._variadic:
            first = len(self._inputs)
            return lambda node, values: tuple(map(_linked, values, node.parents[first:]))
        if name in self._inputs:
            at = self._inputs.index(name)
            return lambda node, value: _linked(value, node.parents[at])
        return lambda node, value: value

    def forget_plans(self) -> None:
        """Drops what was worked out for earlier calls: plans refer to the op, so an op made for one call is a cycle."""
        self._plans = {}

    # ------------------------------------------------------------------ calling

    def __call__(self, *args: Any, **params: Any) -> Any:
        if not params and len(args) == self._quick:
            return self._of_one(args[0]) if len(args) == 1 else self.of_two(args[0], args[1])
        mode = current_mode()
        return self._call(args, params, mode) if mode.observer is None else self._observed(args, params, mode)

    def _observed(self, args: tuple, params: dict, mode: Mode) -> Any:
        if mode.observer is None:
            return self._call(args, params, mode)
        return mode.observer.around_op(self, args, params, lambda: self._call(args, params, mode))

    def _of_one(self, x: Any) -> Any:
        """`self(x)` for an op of one input and nothing else; what is less common is left to `_call`."""
        mode = current_mode()
        if mode.observer is not None:
            return self._observed((x,), {}, mode)
        if type(x) is Tensor:
            value = x._value
            if type(value) is not _ndarray:
                value = value if self._scalars else x.data
            # not complex, whose products have other bits; and `is` takes half of the time that `kind` does
            elif self._scalars and not value.shape and (value.dtype is _float32 or value.dtype.kind == "f"):
                value = value[()]  # a NumPy scalar: 0.85 us less, forward and backward together
        elif type(x) in _NUMPY_TYPES:
            value = x
        else:
            return self._call((x,), {}, mode)
        forward = self.forward  # not self.forward(..): to look for a method first takes 0.05 us
        try:
            out = forward(value)
        except _EXPLAINED:
            return self._call((x,), {}, mode)
        if type(x) is not Tensor:
            return out
        if x._node is None or not mode.recording:
            return _wrap_plain(self, out)
        parents = (x._node,)
        plan = self._plans.get(0b11) or self._make_plan(0b11, parents)
        pick = plan.pick
        saved = pick((value, out)) if plan.names else ()
        return self._recorded(out, plan, parents, _NO_PARAMS, saved, mode.scope)

    def of_two(self, x: Any, y: Any) -> Any:
        """`self(x, y)`, and what a Tensor's operators call: without the packing of arguments it takes 0.2 us less."""
        mode = current_mode()
        if self._quick != 2 or mode.observer is not None:
            return self._observed((x, y), {}, mode)
        scalars, found_tensor = self._scalars, False
        x_node = y_node = None
        a, b = x, y
        if type(x) is Tensor:
            found_tensor = True
            x_node, a = x._node, x._value
            if type(a) is not _ndarray:
                a = a if scalars else x.data
            elif scalars and not a.shape and (a.dtype is _float32 or a.dtype.kind == "f"):
                a = a[()]
        elif type(x) not in _BESIDE_SCALARS:
            return self._call((x, y), {}, mode)
        if type(y) is Tensor:
            found_tensor = True
            y_node, b = y._node, y._value
            if type(b) is not _ndarray:
                b = b if scalars else y.data
            elif scalars and not b.shape and (b.dtype is _float32 or b.dtype.kind == "f"):
                b = b[()]
        elif type(y) not in _BESIDE_SCALARS:
            return self._call((x, y), {}, mode)
        if not found_tensor and not (type(x) in _NUMPY_TYPES and type(y) in _NUMPY_TYPES):
            return self._call((x, y), {}, mode)
        forward = self.forward
        try:
            out = forward(a, b)
        except _EXPLAINED:
            return self._call((x, y), {}, mode)
        if not found_tensor:
            return out
        if not mode.recording or (x_node is None and y_node is None):
            return _wrap_plain(self, out)
        needs = (0b101 if y_node is None else 0b111) if x_node is not None else 0b110
        parents = (x_node, y_node)
        plan = self._plans.get(needs) or self._make_plan(needs, parents)
        pick = plan.pick
        saved = pick((a, b, out)) if plan.names else ()
        return self._recorded(out, plan, parents, _NO_PARAMS, saved, mode.scope)

    def _call(self, args: tuple, params: dict, mode: Mode) -> Any:
        if args and type(args[0]) is _ndarray and self._is_plain(args, params):
            try:
                return self.forward(*args, **params)
            except _EXPLAINED as error:
                inputs, params = self.bind(args, params)  # raises where the call was wrong
                self._explain(error, inputs, params)
        rest: tuple = ()  # parameters given by position, as layers give them: half of the time by name
        if params or len(args) != self._n_args:
            if self._is_by_position(args, params):
                args, rest = args[: self._n_args], args[self._n_args :]
            else:
                args, params = self._bind_by_name(args, params)
        values: list[Any] = []
        parents: list[Node | None] = []
        none = needs = 1 << len(args)  # and a lower bit for each input that needs a gradient
        found_tensor = False
        for arg in args:
            if type(arg) is Tensor:
                found_tensor = True
                values.append(arg._value if type(arg._value) is _ndarray else arg.data)
                node = arg._node
                if node is not None:
                    needs |= 1 << len(parents)
                parents.append(node)
            else:
                values.append(arg if type(arg) in _PLAIN_TYPES else self._operand(arg, len(values), args))
                parents.append(None)
        if self._scalars and not found_tensor and _NUMBER_TYPES.issuperset(map(type, values)):
            values = [np.asarray(value) for value in values]  # with Python's own arithmetic 1 / 0 would raise
        record = needs != none and mode.recording
        aux = None
        try:
            if self._has_aux:
                out, aux = self.forward(*values, *rest, need_aux=record, **params)
            elif params:
                out = self.forward(*values, **params)
            else:
                out = self.forward(*values, *rest)
        except _EXPLAINED as error:
            self._explain(error, values, self._named(rest) if rest else params)
        if not found_tensor:
            return out
        if self.output_names and (type(out) is not tuple or len(out) != len(self.output_names)):
            raise TypeError(f"{self.name}: its forward must give a tuple of its outputs {', '.join(self.output_names)}")
        if not record:
            return _wrap_plain(self, out)
        plan = self._plans.get(needs) or self._make_plan(needs, parents)
        params = self._named(rest) if rest else params
        saved = plan.pick((*values, out) if self._simple else self._named_values(values, out, aux, params))
        return self._recorded(out, plan, tuple(parents), params, saved, mode.scope)

    def _is_plain(self, args: tuple, params: dict) -> bool:
        """Whether inputs that are arrays, and the rest, can go to the forward as they are: as rules call ops."""
        n = self._n_args
        return (n <= len(args) <= self._most_args and _ARRAYS.issuperset(map(type, args[:n])) and not self._has_aux
                and Tensor not in map(type, args[n:]) and Tensor not in map(type, params.values()))

    def _recorded(self, out: Any, plan: Plan, parents: tuple, params: dict, saved: tuple, scope: str) -> Any:
        """The Tensor of a result, or one of each where there are several, with its node."""
        # lists here and in what follows, not generators, which are called for each item
        dtype, shape = _scalar_dtype(type(out)), ()
        if dtype is None:
            if type(out) is not _ndarray:
                if type(out) is tuple:
                    return _wrap_outputs(plan, parents, params, saved, out, scope)
                out = _asarray(out)
            dtype, shape = out.dtype, out.shape
            if dtype is not _float32 and dtype.kind not in "fc":
                raise self._no_gradient(dtype)
        node = Node()  # here and not by make_node(...) and wrap(...): 0.15 us less
        node.plan = plan
        node.parents = parents
        node.params = params
        node.saved = saved
        node.shape = shape
        node.dtype = dtype
        node.scope = scope
        node.order = next_order()
        node.tensor = node.hooks = None
        tensor = _new(Tensor)
        tensor._value = out
        tensor._node = node
        tensor._grad = None
        return tensor

    def _no_gradient(self, dtype: Any) -> TypeError:
        return TypeError(f"{self.name}: the result is {dtype}, which cannot carry a gradient; call it on .detach() if "
                         "none is wanted")

    def _explain(self, error: Exception, values: Sequence, params: dict) -> NoReturn:
        """Raises an error of the forward with the op's name and what it was given, unless it begins with the name."""
        if str(error).startswith(f"{self.name}: "):
            raise error
        kind = next(k for k in _EXPLAINED if isinstance(error, k))
        inputs = [f"{self.input_name(i)} {np.shape(v)} {getattr(v, 'dtype', type(v).__name__)}"
                  for i, v in enumerate(values)]
        given = ", ".join([*inputs, *(f"{name}={value!r}" for name, value in params.items())])
        raise kind(f"{self.name}: {error} (given {given})") from error

    def _operand(self, arg: Any, index: int, args: tuple) -> Any:
        """An argument that is no Tensor, no array and no plain number."""
        if arg is None and index < len(self._inputs) and self.defaults.get(self._inputs[index], "") is None:
            return None
        if isinstance(arg, (np.ndarray, np.generic)):
            return as_array(arg)
        if isinstance(arg, (list, tuple)):  # no digits are lost beside an array of more of them
            array = as_array(arg)
            others = [other.dtype for other in args if hasattr(other, "dtype")]
            return as_array(arg, np.result_type(array, *others)) if array.dtype.kind in "fc" else array
        raise TypeError(f"{self.name}: argument {self.input_name(index)!r} must be a Tensor, an array or a number, "
                        f"got {type(arg).__name__}")

    def bind(self, args: tuple, params: dict) -> tuple[tuple, dict]:
        """Sorts what was given by position and by name into all inputs and the given parameters."""
        if not self._is_by_position(args, params):
            return self._bind_by_name(args, params)
        return args[: self._n_args], self._named(args[self._n_args :])

    def _is_by_position(self, args: tuple, params: dict) -> bool:
        """Whether all inputs, and parameters that are no Tensors, are given by position alone."""
        n = self._n_args
        return not params and n <= len(args) <= self._most_args and Tensor not in map(type, args[n:])

    def _named(self, rest: tuple) -> dict[str, Any]:
        """Parameters given by position, by name."""
        return dict(zip(self._params, rest))  # noqa: B905 (to say how strict takes 0.3 of 1 us)

    def _bind_by_name(self, args: tuple, params: dict) -> tuple[tuple, dict]:
        """The same for all that may be given, and what may not be raises."""
        if self._variadic:
            inputs = args
        else:
            n = len(self._inputs)
            if len(args) > len(self._arguments):
                raise TypeError(f"{self.name}: takes {', '.join(self._arguments)}, got {len(args)} arguments")
            extra = dict(zip(self._params, args[n:], strict=False))
            if params:
                twice = [name for name in (*self._inputs[: len(args)], *extra) if name in params]
                if twice:
                    raise TypeError(f"{self.name}: got {twice[0]!r} by position and by name")
            params = {**params, **extra}
            inputs = args[:n]
            if len(args) < n:
                inputs += tuple(self._input_by_name(name, params) for name in self._inputs[len(args) :])
        for name, value in params.items():
            if name not in self._known_params:
                raise TypeError(f"{self.name}: unknown argument {name!r}; it takes "
                                f"{', '.join([*self._inputs, *self._params])}")
            if type(value) is Tensor:
                raise TypeError(self._no_tensor(name))
        return inputs, params

    def _input_by_name(self, name: str, params: dict) -> Any:
        if name in params:
            return params.pop(name)
        if name in self.defaults:
            return self.defaults[name]
        raise TypeError(f"{self.name}: argument {name!r} is missing")

    def _no_tensor(self, name: str) -> str:
        if self._rules:
            return (f"{self.name}: {name!r} is a parameter, not an input (no backward rule is given for it), so it "
                    f"cannot be a Tensor; pass a number or a tuple, or give {self.name}.vjp a rule for it")
        return (f"{self.name}: no backward rule is given for argument {name!r}; give one with "
                f"{self.name}.vjp(lambda g, {name}: ...), or call it on arrays")

    def _make_plan(self, bits: int, parents: Sequence) -> Plan:
        """The plan for these parents; kept, since nearly every call of an op in a model needs the same."""
        if not self._rules:
            raise TypeError(self._no_tensor(str(self._variadic)))
        needs = tuple(parent is not None for parent in parents)
        if not self._joint:
            for name, (rule, _), need in zip(self._inputs, self._rules, needs, strict=True):
                if need and rule is None:
                    raise TypeError(f"{self.name}: argument {name!r} has no backward rule (no gradient flows into "
                                    "it), but the Tensor given requires one; pass .detach() or .data")
        plan = Plan(self, needs)
        self._plans[bits] = plan
        return plan

    def _named_values(self, values: list, out: Any, aux: Any, params: dict) -> tuple:
        """All that a rule can ask for, in the order of `_positions`."""
        if self._variadic:
            n = len(self._inputs)
            values = [*values[:n], tuple(values[n:])]
        asked: Sequence[Any] = ()
        shapes: Sequence[Any] = ()
        if self._asked_params:
            given = {**self.defaults, **params}
            asked = [given.get(name) for name in self._asked_params]
        if self._asked_shapes:
            named = dict(zip([*self._inputs, self._variadic], values, strict=False))
            shapes = [_shapes(named[name.removesuffix("_shape")]) for name in self._asked_shapes]
        outputs = out if self.output_names else ()
        return (*values, out, aux, *outputs, *asked, *shapes)


def _shapes(value: Any) -> tuple:
    return tuple(map(np.shape, value)) if type(value) is tuple else np.shape(value)


def _wrap_plain(op: Op, out: Any) -> Any:
    """Tensors without history."""
    if type(out) is not _ndarray:
        if type(out) is tuple:
            return tuple(_wrap_plain(op, part) for part in out)
        out = out if type(out) in SCALAR_DTYPES else _asarray(out)
    if type(out) is _ndarray and out.dtype.hasobject:
        raise TypeError(f"{op.name}: an argument is an array of objects; give an array of numbers")
    tensor = _new(Tensor)  # here and not by wrap(...), as in `_recorded`
    tensor._value = out
    tensor._node = tensor._grad = None
    return tensor


def _wrap_outputs(plan: Plan, parents: tuple, params: dict, saved: tuple, outs: tuple, scope: str) -> tuple:
    """One Tensor per output, each with a node of its own whose parent is the op's node."""
    arrays = [out if type(out) is _ndarray else _asarray(out) for out in outs]
    dtypes = [array.dtype for array in arrays]
    carries = [dtype.kind in "fc" for dtype in dtypes]
    if True not in carries:
        raise plan.op._no_gradient(", ".join(map(str, dtypes)) or "an empty tuple")
    node = make_node(plan, parents, params, saved, tuple([a.shape for a in arrays]), tuple(dtypes), scope)
    children = [_output_node(node, index) if carries[index] else None for index in range(len(arrays))]
    node.outputs = [child and weakref.ref(child) for child in children]
    return tuple(map(wrap, arrays, children))


def _output_node(node: Node, index: int) -> Node:
    child = make_node(None, (node,), {}, (), node.shape[index], node.dtype[index], node.scope)
    child.index = index
    return child


def _output_again(node: Node, index: int) -> Node | None:
    """The node of one output; None where it is no floating number.

    One that nobody holds is made anew, and known from then on, so that there is never more than one.
    """
    outputs: Any = node.outputs
    if outputs[index] is None:
        return None
    child = outputs[index]()
    if child is None:
        child = _output_node(node, index)
        outputs[index] = weakref.ref(child)
    return child


def _output_tensor(node: Node, value: Any) -> Any:
    if node.outputs is None:
        return wrap(np.asarray(value), node)
    return tuple(wrap(np.asarray(part), _output_again(node, index)) for index, part in enumerate(value))


def _linked(value: Any, parent: Node | None) -> Any:
    return value if parent is None else wrap(np.asarray(value), parent)
