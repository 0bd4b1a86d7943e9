"""Looking into a model leaves it as it was, also where something raises."""

import numpy as np
import pytest

import autograd as ag
import nn
from nn import inspection

IMAGES = np.random.default_rng(0).random((3, 8, 8, 1), dtype=np.float32)
LABELS = np.array([0, 1, 2])
LOOKS = {
    "saliency": lambda model: inspection.saliency(model, IMAGES, samples=2),
    "integrated_gradients": lambda model: inspection.integrated_gradients(model, IMAGES, LABELS, steps=3),
    "grad_cam": lambda model: inspection.grad_cam(model, IMAGES, LABELS),
    "activation_maximization": lambda model: inspection.activation_maximization(model, (8, 8, 1), filters=[0], steps=2),
    "top_images": lambda model: inspection.top_images(model, IMAGES, filters=[0], n=1),
    "feature_maps": lambda model: inspection.feature_maps(model, IMAGES[0]),
    "histograms": lambda model: inspection.histograms(model, IMAGES, LABELS),
    "dead_units": lambda model: inspection.dead_units(model, IMAGES),
}


class _Model(nn.Sequential):
    """With parts that behave differently in training, one of them in eval mode; may fail at its end."""

    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3, padding=1, rng=0), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5, rng=0),
                         nn.Conv2d(4, 4, 3, rng=1), nn.BatchNorm2d(4).eval(), nn.Flatten(), nn.Dense(144, 3, rng=0))
        self.fails = False
        self.was_training = []

    def forward(self, x):
        self.was_training.append(self[3].training)
        out = super().forward(x)
        if self.fails:
            raise RuntimeError("planted")
        return out


def _state(model):
    return ({name: value.copy() for name, value in model.state_dict().items()},
            [module.training for module in model.modules()], [p.grad for p in model.parameters()],
            [p.requires_grad for p in model.parameters()],
            [len(vars(module).get("_forward_hooks", {})) for module in model.modules()])


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("fails", [False, True])
def test_modes_gradients_averages_and_hooks_are_as_before(look, fails):
    model = _Model()
    model[0].bias.grad = ag.Tensor(np.ones(4, np.float32))
    removes = model[2].register_forward_hook(lambda *_: None)
    before = _state(model)
    if fails:
        model.fails = True
        with pytest.raises(RuntimeError, match="planted"):
            look(model)
    else:
        look(model)
    arrays, *rest = _state(model)
    assert all(np.array_equal(arrays[name], value) for name, value in before[0].items())
    assert all(a is b for a, b in zip(rest[1], before[2], strict=True))
    assert (rest[0], rest[2], rest[3]) == (before[1], before[3], before[4])
    assert set(model.was_training) == {False}
    removes()


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_it_works_within_no_grad_and_with_frozen_parameters(look):
    model = _Model().requires_grad_(False)
    with ag.no_grad():
        look(model)


def test_every_picture_has_its_numbers_under_the_same_name():
    drawn_from_others = {"confusion_matrix", "history", "kernels", "predictions"}
    assert set(nn.plot.__all__) - drawn_from_others <= set(inspection.__all__)
