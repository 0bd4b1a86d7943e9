"""summary: counts checked by hand, nested and shared modules, and a model left as it was."""

import numpy as np
import pytest

import autograd as ag
import nn
from nn.table import Row


def test_the_rows_of_a_small_network():
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Dense(128, 10))
    table = nn.summary(model, (8, 8, 1))
    assert table.rows == [
        Row("0", "Conv2d", ("N", 8, 8, 8), 9 * 8 + 8, 8 * 8 * 8 * 9, 1),
        Row("1", "ReLU", ("N", 8, 8, 8), 0, 0, 1),
        Row("2", "MaxPool2d", ("N", 4, 4, 8), 0, 0, 1),
        Row("3", "Flatten", ("N", 128), 0, 0, 1),
        Row("4", "Dense", ("N", 10), 1290, 1280, 1),
    ]
    assert (table.total_parameters, table.trainable_parameters, table.frozen_parameters) == (1370, 1370, 0)
    assert table.total_madds == 4608 + 1280
    assert table.total_bytes == 1370 * 4


@pytest.mark.parametrize(("layer", "shape", "madds"), [
    (nn.Conv2d(4, 6, (3, 2), stride=2, groups=2), (7, 6, 4), 3 * 3 * 6 * (3 * 2 * 2)),
    (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), (5, 5, 4), 5 * 5 * 4 * (2 * 2 * 3)),
    (nn.Dense(7, 3), (4, 5, 7), 4 * 5 * 7 * 3),
    (nn.Sequential(nn.Dense(7, 3), lambda x: ag.einsum("nij,nkj->nik", x, x)), (4, 7), 4 * 7 * 3 + 4 * 4 * 3),
])
def test_multiply_adds(layer, shape, madds):
    assert nn.summary(layer, shape).total_madds == madds


def test_resnet20_has_the_known_multiply_adds():
    table = nn.summary(nn.models.resnet20(), (32, 32, 3))
    # 32x32x16 x (27 + 6*144), 16x16x32 x (144 + 5*288), 8x8x64 x (288 + 5*576), and 64*10: "0.04 G" in the literature
    assert table.total_madds == 16384 * (27 + 864) + 8192 * (144 + 1440) + 4096 * (288 + 2880) + 640
    assert table.total_buffers == 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert [row.path for row in table.rows[:6]] == ["0", "1", "2", "3.conv1", "3.norm1", "3.conv2"]


class _Net(nn.Module):
    """Holds parameters itself, layers in a dict, one layer twice, a tied weight, and one that is never called."""

    def __init__(self):
        self.scale = ag.Tensor(np.ones(4, np.float32), requires_grad=True)
        self.layers = {"first": nn.Dense(4, 4), "again": nn.Dense(4, 4)}
        self.layers["again"].weight = self.layers["first"].weight
        self.act = nn.Tanh()
        self.unused = nn.Dense(4, 2)
        self.unused.requires_grad_(False)

    def forward(self, x):
        x = self.act(self.layers["first"](x))
        x = self.act(self.layers["again"](x))
        return ag.matmul(x * self.scale, np.ones((4, 1), np.float32))


def test_shared_parameters_count_once_and_calls_add_up():
    table = nn.summary(_Net(), (4,))
    assert table.rows == [
        Row("", "_Net", ("N", 1), 4, 4, 1),
        Row("layers.first", "Dense", ("N", 4), 20, 16, 1),
        Row("layers.again", "Dense", ("N", 4), 4, 16, 1),
        Row("act", "Tanh", ("N", 4), 0, 0, 2),
        Row("unused", "Dense", None, 10, 0, 0),
    ]
    assert (table.total_parameters, table.trainable_parameters, table.frozen_parameters) == (38, 28, 10)
    assert table.total_parameters == sum(row.parameters for row in table.rows)
    assert table.total_madds == sum(row.madds for row in table.rows)


def test_the_table_is_readable():
    model = nn.Sequential(nn.Dense(1000, 1000), nn.Sequential(nn.BatchNorm1d(1000), nn.ReLU()))
    model[1].requires_grad_(False)
    assert str(nn.summary(model, (1000,))).splitlines() == [
        "layer  type         output     parameters  multiply-adds",
        "--------------------------------------------------------",
        "0      Dense        (N, 1000)   1,001,000      1,000,000",
        "1.0    BatchNorm1d  (N, 1000)       2,000              0",
        "1.1    ReLU         (N, 1000)           0              0",
        "--------------------------------------------------------",
        "total                           1,003,000      1,000,000",
        "1,001,000 parameters are trained, 2,000 frozen; buffers hold 2,000 numbers; 3.83 MiB in all",
    ]
    lines = str(nn.summary(_Net(), (4,))).splitlines()
    assert lines[5].split() == ["act", "Tanh", "x2", "(N,", "4)", "0", "0"]
    assert lines[6].split() == ["unused", "Dense", "-", "10", "0"]


class _Restless(nn.Module):
    """Changes its buffers at every call, in both ways, also in eval mode."""

    def __init__(self):
        self.written = np.zeros(2)
        self.bound = [np.zeros(2)]

    def forward(self, x):
        self.written += 1
        self.bound[0] = self.bound[0] + 1
        return x


def test_the_model_is_left_as_it_was():
    with nn.rng(0):
        model = nn.Sequential(nn.Dense(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), _Restless())
    model[1].eval()
    written, bound, draws = model[3].written, model[3].bound[0], model[2].rng.bit_generator.state
    state = model.state_dict()
    nn.summary(model, (3,))
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert model[3].written is written
    assert model[3].bound[0] is bound
    assert model[2].rng.bit_generator.state == draws
    for name, value in model.state_dict().items():
        assert np.array_equal(value, state[name]), name
    assert not any("_forward_hooks" in vars(module) and vars(module)["_forward_hooks"] for module in model.modules())
    assert model[0].weight.grad is None


def test_the_model_is_left_as_it_was_after_an_error_too():
    model = nn.Sequential(_Restless(), nn.Dense(3, 3))
    with pytest.raises(ValueError, match=r"Dense\(3, 3\): x must be \(\.\., 3\), got \(1, 4\)"):
        nn.summary(model, (4,))
    assert model.training
    assert model[0].written.tolist() == [0, 0]
    assert model(np.ones((1, 3))).shape == (1, 3)


def test_integers_for_a_model_that_begins_with_an_embedding():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Dense(4, 2))
    assert nn.summary(model, (7,), dtype=np.int64).rows[1].output_shape == ("N", 7, 2)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="summary: expected a Module, got function"):
        nn.summary(lambda x: x, (3,))
