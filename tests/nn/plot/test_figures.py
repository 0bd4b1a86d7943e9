"""What holds of all pictures."""

import re
import subprocess
import sys

import numpy as np
import pytest

from nn import plot
from tests.nn.plot.reading import assert_no_text_overlaps, past, small_model

pytestmark = pytest.mark.needs("matplotlib")


@pytest.mark.parametrize("draw", [plot.predictions, plot.confusion_matrix])
def test_images_labels_and_classes_that_do_not_fit_are_refused(draw, digits):
    images, labels, where = digits.images, digits.labels, rf"plot\.{draw.__name__}: "
    with pytest.raises(ValueError, match=where + r"60 images need labels of shape \(60,\), got \(59,\)"):
        draw(small_model(), images, labels[1:])
    with pytest.raises(ValueError, match=where + r"images must be \(N, H, W, C\) with at least one, got \(28, 28, 1\)"):
        draw(small_model(), images[0], labels[:1])
    with pytest.raises(TypeError, match=where + "labels must be whole numbers, got float64"):
        draw(small_model(), images, labels / 2)
    with pytest.raises(ValueError, match=where + "labels must be from 0 to 9, got 1 to 10"):
        draw(small_model(), images[:2], np.array([1, 10]))
    with pytest.raises(ValueError, match=where + "3 classes are named but the model has 10"):
        draw(small_model(), images, labels, ["a", "b", "c"])


def _figures(digits):
    model, images, labels = small_model(), digits.images, digits.labels
    return {
        "history": lambda: plot.history(past()),
        "predictions": lambda: plot.predictions(model, images, labels, n=4),
        "kernels": lambda: plot.kernels(model),
        "confusion_matrix": lambda: plot.confusion_matrix(model, images, labels),
        "feature_maps": lambda: plot.feature_maps(model, images[0]),
        "saliency": lambda: plot.saliency(model, images, labels, n=3),
        "integrated_gradients": lambda: plot.integrated_gradients(model, images, labels, n=3, steps=4),
        "grad_cam": lambda: plot.grad_cam(model, images, n=3),
        "activation_maximization": lambda: plot.activation_maximization(model, images, n=3, top=2, steps=2),
        "histograms": lambda: plot.histograms(model, images, labels),
    }


@pytest.mark.parametrize("name", plot.__all__)
def test_each_picture_is_a_figure_that_can_be_saved_without_a_screen_and_be_read(name, tmp_path, digits):
    from matplotlib.figure import Figure

    figure = _figures(digits)[name]()
    assert type(figure) is Figure
    figure.savefig(tmp_path / "picture.png", dpi=figure.dpi)
    assert (tmp_path / "picture.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert_no_text_overlaps(figure, is_drawn=True)


def test_neither_importing_nor_drawing_touches_pyplot():
    program = ("import sys, nn, nn.plot; print('matplotlib' in sys.modules); past = nn.train.History(); "
               "past.append(loss=1.0, lr=0.1, seconds=1.0); nn.plot.history(past); "
               "print('matplotlib.pyplot' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["False", "False"], "")


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    class Missing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "matplotlib":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    with pytest.raises(ImportError, match=re.escape("plot.history needs the package matplotlib: "
                                                    "pip install 'im2grad[plot]'")):
        plot.history(past())
