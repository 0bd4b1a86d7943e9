"""Module: finds what it holds by walking its attributes, and loads states all or nothing."""

import copy
import pickle
import re
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import autograd as ag
import nn
from autograd.graph import current_mode, recording
from nn.module import current_module


def _parameter(*shape):
    return ag.Tensor(np.zeros(shape, np.float32), requires_grad=True)


class Plain(nn.Module):
    """Holds whatever it is given by keyword, without calling super().__init__()."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    def forward(self, x):
        return x


def _names(module):
    return [name for name, _ in module.named_parameters()]


# ---------------------------------------------------------------------- what it finds


def test_parameters_are_found_in_attributes_lists_tuples_dicts_and_modules_within_them():
    model = Plain(
        weight=_parameter(1),
        listed=[_parameter(2), (_parameter(3), [_parameter(4)])],
        named={"left": _parameter(5), 7: {"deep": nn.Dense(2, 2, bias=False)}},
        block=Plain(inner=Plain(w=_parameter(6))),
    )
    assert _names(model) == ["weight", "listed.0", "listed.1.0", "listed.1.1.0", "named.left", "named.7.deep.weight",
                             "block.inner.w"]


def test_parameters_come_in_attribute_order():
    model = Plain(z=_parameter(1), a=nn.Dense(2, 3), m=_parameter(2))
    assert _names(model) == ["z", "a.weight", "a.bias", "m"]


def test_what_is_a_parameter_what_a_buffer_and_what_neither():
    leaf = _parameter(2)
    model = Plain(
        trained=leaf,
        frozen=ag.Tensor([1.0, 2.0]),
        complex=ag.Tensor(np.ones(2, complex)),
        made_by_an_op=leaf * 2,
        table=ag.Tensor([1, 2]),
        array=np.zeros(3),
        number=1.5,
        name="w",
        nothing=None,
        numpy_number=np.float32(1),
        function=np.sin,
    )
    assert _names(model) == ["trained", "frozen", "complex"]
    assert [name for name, _ in model.named_buffers()] == ["table", "array"]
    assert list(model.state_dict()) == ["trained", "frozen", "complex", "table", "array"]


def test_parameters_is_an_iterable_of_tensors_that_knows_their_names():
    model = nn.Dense(3, 2)
    parameters = model.parameters()
    assert [id(parameter) for parameter in parameters] == [id(model.weight), id(model.bias)]
    assert len(parameters) == 2
    assert [(name, id(parameter)) for name, parameter in parameters.named] == [
        ("weight", id(model.weight)), ("bias", id(model.bias))]
    assert repr(parameters) == "Parameters(weight (3, 2), bias (2,))"


def test_a_tied_weight_counts_once_under_its_first_name():
    shared = _parameter(3)
    model = Plain(encoder=Plain(w=shared), decoder=Plain(w=shared))
    assert _names(model) == ["encoder.w"]
    assert list(model.state_dict()) == ["encoder.w"]


def test_a_module_used_twice_counts_once_under_its_first_name():
    layer = nn.Dense(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert _names(model) == ["0.weight", "0.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]


def test_cycles_end():
    parent, child, ring = Plain(w=_parameter(1)), Plain(v=_parameter(2)), [_parameter(3)]
    parent.child, child.parent, parent.ring = child, parent, ring
    ring.append(ring)
    assert _names(parent) == ["w", "child.v", "ring.0"]
    assert [name for name, _ in parent.named_modules()] == ["", "child"]
    assert repr(parent) == "Plain(\n  (child): Plain(\n    (parent): Plain(...)\n  )\n)"


def test_a_thousand_modules_inside_each_other_are_walked_without_recursion():
    root = model = Plain()
    for _ in range(1000):
        model.inner = Plain()
        model = model.inner
    model.w = _parameter(1)
    assert _names(root) == [".".join(["inner"] * 1000) + ".w"]


def test_named_children_are_those_held_directly():
    model = Plain(a=nn.Sequential(nn.ReLU()), b=[nn.Tanh(), {"c": nn.Sigmoid()}])
    assert [name for name, _ in model.named_children()] == ["a", "b.0", "b.1.c"]
    assert [type(module).__name__ for module in model.modules()] == ["Plain", "Sequential", "ReLU", "Tanh", "Sigmoid"]


def test_two_parameters_of_one_name_raise():
    model = Plain(table={1: _parameter(1), "1": _parameter(2)})
    with pytest.raises(ValueError, match=r"Plain: two different parameters or buffers are called 'table\.1'"):
        model.state_dict()


def test_a_dataclass_may_be_a_module_although_it_cannot_be_hashed():
    @dataclass
    class Twice(nn.Module):
        layer: nn.Dense
        factor: float = 2.0

        def forward(self, x):
            return self.layer(x) * self.factor

    model = nn.Sequential(Twice(nn.Dense(3, 2)), Twice(nn.Dense(2, 2)))
    assert _names(model) == ["0.layer.weight", "0.layer.bias", "1.layer.weight", "1.layer.bias"]
    assert model(np.ones((1, 3), np.float32)).scope == "Sequential/1"
    assert nn.summary(model, (3,)).total_madds == 6 + 4


# ---------------------------------------------------------------------- modes and gradients


def test_train_and_eval_reach_every_module_and_return_the_model():
    model = Plain(a=nn.Sequential(nn.Dropout()), b=[nn.BatchNorm2d(2)])
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert model.train() is model
    assert all(module.training for module in model.modules())
    assert not model.train(False).training


def test_requires_grad_freezes_a_part():
    model = nn.Sequential(nn.Dense(3, 2), nn.Dense(2, 1))
    model[0].requires_grad_(False)
    model(np.ones((4, 3), np.float32)).sum().backward()
    assert model[0].weight.grad is None
    assert model[1].weight.grad is not None
    assert len(model.parameters()) == 4
    assert model.requires_grad_() is model
    assert model[0].weight.requires_grad


def test_zero_grad_forgets_all_gradients():
    model = nn.Dense(3, 2)
    model(np.ones((4, 3), np.float32)).sum().backward()
    assert model.bias.grad.data.tolist() == [4, 4]
    model.zero_grad()
    assert model.weight.grad is None
    assert model.bias.grad is None


# ---------------------------------------------------------------------- calling


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty: forward is not defined"):
        Empty()(1.0)


def test_a_module_returns_a_tensor_also_for_arrays_and_without_parameters():
    for layer in (nn.ReLU(), nn.Flatten(), Plain(), nn.Softmax(), nn.Dropout().eval()):
        out = layer(np.ones((2, 3), np.float32))
        assert type(out) is ag.Tensor
        assert out.dtype == np.float32
    assert type(nn.Sequential(np.sum)(np.ones(3))) is ag.Tensor


def test_the_scope_of_an_op_is_the_path_of_attributes_that_lead_to_it():
    class Net(nn.Module):
        def __init__(self):
            self.stem = nn.Sequential(nn.Dense(2, 2), nn.ReLU())
            self.blocks = [nn.Dense(2, 2)]
            self.seen = []

        def forward(self, x):
            a = self.stem(x)
            b = self.blocks[0](a)
            c = self.stem[0](b)
            d = nn.Dense(2, 2)(c)
            self.seen[:] = [y.scope for y in (a, b, c, d)]
            return d * 2

    model = Net()
    out = model(np.ones((1, 2), np.float32))
    assert out.scope == "Net"
    assert model.seen == ["Net/stem/1", "Net/blocks.0", "Net/stem.0", "Net/Dense"]


def test_a_shared_layer_is_called_by_its_name_in_the_module_that_calls_it():
    layer = nn.Dense(2, 2)
    first, second = nn.Sequential(layer), nn.Sequential(nn.ReLU(), layer)
    x = np.ones((1, 2), np.float32)
    assert (first(x).scope, second(x).scope, layer(x).scope) == ("Sequential/0", "Sequential/1", "Dense")


def test_after_an_error_in_forward_the_next_call_has_the_right_scope():
    model = nn.Sequential(nn.Dense(2, 2))
    with pytest.raises(ValueError, match="x must be"):
        model(np.ones((1, 3), np.float32))
    assert model(np.ones((1, 2), np.float32)).scope == "Sequential/0"


def test_the_running_module_is_known_also_within_no_grad_scope_and_observe():
    seen = []

    class Model(nn.Module):
        def __init__(self):
            self.inner = nn.ReLU()

        def forward(self, x):
            for context in (ag.no_grad(), recording(), ag.scope("part"), ag.observe(ag.Observer())):
                with context:
                    seen.append(current_module())
            self.inner(x)
            seen.append(current_module())
            return x

    model = Model()
    model.inner.register_forward_hook(lambda module, inputs, out: seen.append(current_module()))
    model(np.ones(2))
    assert seen == [model, model, model, model, model.inner, model]
    assert current_module() is None


def test_where_nothing_is_recorded_or_observed_modules_leave_no_trace_and_hooks_see_the_same():
    seen = []

    class Model(nn.Module):
        def __init__(self):
            self.inner = nn.ReLU()

        def forward(self, x):
            seen.append((current_module(), current_mode().scope))
            return self.inner(x).data

    model = Model()
    model.register_forward_hook(lambda module, inputs, out: out * 2)
    with ag.no_grad():
        y = model(np.array([-1.0, 3.0]))
        with ag.observe(ag.Observer()):
            model(np.ones(2))
    assert (type(y), y.data.tolist()) == (ag.Tensor, [0, 6])
    assert seen == [(None, ""), (model, "Model")]


def test_threads_do_not_see_each_others_scopes():
    model, scopes = nn.Sequential(nn.Dense(2, 2)), []
    barrier = threading.Barrier(2)

    def wait_for_the_other(module, inputs, output):
        barrier.wait(10)

    def run():
        scopes.append(model(np.ones((1, 2), np.float32)).scope)

    model[0].register_forward_hook(wait_for_the_other)
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scopes == ["Sequential/0"] * 2


def test_a_forward_hook_sees_inputs_and_output_and_may_replace_the_output():
    model = nn.Sequential(nn.ReLU())
    seen = []
    remove = model[0].register_forward_hook(lambda *given: seen.append(given))
    double = model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    x = np.array([-1.0, 3.0])
    assert model(x).data.tolist() == [0, 6]
    (module, inputs, output), = seen
    assert module is model[0]
    assert inputs[0] is x
    assert output.data.tolist() == [0, 3]
    remove()
    double()
    remove()  # again: nothing happens
    assert model(x).data.tolist() == [0, 3]
    assert len(seen) == 1


# ---------------------------------------------------------------------- copies


def test_a_deep_copy_is_apart_and_keeps_ties():
    shared = _parameter(3)
    model = Plain(a=Plain(w=shared), b=Plain(w=shared), norm=nn.BatchNorm1d(2))
    twin = copy.deepcopy(model)
    assert twin.a.w is twin.b.w
    assert twin.a.w is not shared
    assert twin.a.w.requires_grad
    twin.a.w.data = np.ones(3, np.float32)
    assert shared.data.tolist() == [0, 0, 0]
    assert twin.norm.running_mean is not model.norm.running_mean


def test_a_model_goes_through_pickle_and_its_hooks_stay_behind():
    model = nn.Sequential(nn.Dense(3, 2), nn.Dropout(0.5, rng=0), ag.relu)
    model[0].register_forward_hook(lambda module, inputs, output: None)
    twin = pickle.loads(pickle.dumps(model))
    x = np.ones((4, 3), np.float32)
    assert np.array_equal(twin.eval()(x).data, model.eval()(x).data)
    assert not twin.training
    assert [name for name, _ in twin.named_parameters()] == ["0.weight", "0.bias"]


# ---------------------------------------------------------------------- states


def test_a_state_is_a_copy():
    model = nn.Dense(2, 2)
    state = model.state_dict()
    state["weight"][:] = 7
    assert not (model.weight.data == 7).any()


def test_a_state_loads_into_a_twin_which_keeps_its_tensors():
    model, twin = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    model(np.random.default_rng(0).normal(size=(4, 5, 5, 1)).astype(np.float32))  # moves the running averages
    weight = twin[0].weight
    before = weight.data
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    twin.load_state_dict(state)
    assert twin[0].weight is weight
    assert weight.data is not before  # bound anew: what a graph saved is not written to
    assert weight.requires_grad
    for name, value in twin.state_dict().items():
        assert np.array_equal(value, state[name])
    state["1.running_mean"][:] = 9
    assert not (twin[1].running_mean == 9).any()


def test_loading_casts_to_the_dtype_that_is_there():
    model = nn.Dense(2, 1)
    model.load_state_dict({"weight": np.array([[1.5], [2.5]]), "bias": ag.Tensor(np.array([0.5], np.float16))})
    assert model.weight.dtype == np.float32
    assert model.weight.data.tolist() == [[1.5], [2.5]]
    assert model.bias.data.tolist() == [0.5]


def test_buffers_are_bound_where_they_are_held_also_in_lists_and_dicts_and_at_two_places():
    shared = np.zeros(2)
    model = Plain(a=shared, inside=[np.zeros(1), {"k": shared}], table=ag.Tensor([1, 2]), scalar=np.array(1.0))
    table = model.table
    old = model.inside[0]
    model.load_state_dict({"a": [1.0, 2.0], "inside.0": [3.0], "table": [4, 5], "scalar": 6.0})
    assert model.a.tolist() == [1, 2]
    assert model.inside[1]["k"] is model.a
    assert model.inside[0].tolist() == [3]
    assert old.tolist() == [0]
    assert model.table is table
    assert table.data.tolist() == [4, 5]
    assert model.scalar.shape == ()
    assert model.scalar == 6


def test_every_misfit_is_listed_and_nothing_is_loaded():
    model = nn.Sequential(nn.Dense(3, 2), nn.BatchNorm1d(2))
    before = model.state_dict()
    state = {
        "0.weight": np.ones((2, 3), np.float32),
        "0.bias": np.ones(2, np.int64),
        "1.weight": np.ones(2, np.float32),
        "1.bias": np.ones(2, complex),
        "head.weight": np.ones((4, 4), np.float32),
        "head.bias": np.ones(4, np.float32),
    }
    with pytest.raises(ValueError, match=re.escape(
        "Sequential.load_state_dict: the state does not fit, and nothing was loaded:\n"
        "  missing: 1.running_mean (2,) float32\n"
        "  missing: 1.running_var (2,) float32\n"
        "  unexpected: head.weight (4, 4) float32\n"
        "  unexpected: head.bias (4,) float32\n"
        "  0.weight: expected (3, 2) float32, got (2, 3) float32\n"
        "  0.bias: expected (2,) float32, got (2,) int64\n"
        "  1.bias: expected (2,) float32, got (2,) complex128"
    )):
        model.load_state_dict(state)
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])


def test_without_strict_the_keys_that_fit_are_loaded_and_the_others_returned():
    model = nn.Dense(3, 2)
    bias = model.bias.data
    unmatched = model.load_state_dict({"weight": np.ones((3, 2)), "extra": np.ones(1)}, strict=False)
    assert unmatched.missing == ["bias"]
    assert unmatched.unexpected == ["extra"]
    assert model.weight.data.sum() == 6
    assert model.bias.data is bias
    with pytest.raises(ValueError, match=r"weight: expected \(3, 2\) float32, got \(3, 3\) float64"):
        model.load_state_dict({"weight": np.ones((3, 3))}, strict=False)


def test_a_buffer_in_a_tuple_cannot_be_loaded():
    model = Plain(pair=(np.zeros(1), np.zeros(2)))
    with pytest.raises(ValueError, match=r"pair\.1: is a buffer in a tuple, which cannot be changed; hold it in"):
        model.load_state_dict(model.state_dict())


def test_a_state_that_is_no_mapping_raises():
    with pytest.raises(TypeError, match=r"Dense\.load_state_dict: expected a mapping from names to arrays, got list"):
        nn.Dense(1, 1).load_state_dict([1, 2])


# ---------------------------------------------------------------------- repr


def test_the_repr_shows_the_nesting_and_the_settings():
    class Net(nn.Module):
        def __init__(self):
            self.features = nn.Sequential(nn.Conv2d(3, 16, (3, 5), stride=2, padding="same", bias=False), nn.ReLU())
            self.heads = [nn.Dense(16, 10), nn.Dropout(0.1)]

        def extra_repr(self):
            return "classes=10"

    assert repr(Net()) == "\n".join([
        "Net(",
        "  classes=10",
        "  (features): Sequential(",
        "    (0): Conv2d(3, 16, kernel_size=(3, 5), stride=2, padding='same', bias=False, NHWC)",
        "    (1): ReLU()",
        "  )",
        "  (heads.0): Dense(16, 10)",
        "  (heads.1): Dropout(p=0.1)",
        ")",
    ])
