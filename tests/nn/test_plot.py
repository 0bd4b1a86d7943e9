"""Pictures: the numbers that are drawn are the right ones, and the text on them can be read."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

import autograd as ag
import datasets
import nn
from nn import plot
from nn.train import History

pytestmark = pytest.mark.needs("matplotlib")


@pytest.fixture(scope="module")
def digits():
    return datasets.load("mnist-small", "test")[:60]


def _model(seed=0):
    return nn.models.small(rng=seed)


def _logits(model, images):
    """What predict is checked against in its own tests, here done in the plainest way."""
    return model(images.astype(np.float32) / np.float32(255)).data


def _drawn(ax):
    """The one picture on some axes."""
    [picture] = ax.images
    return picture.get_array()


def _tiles(ax, height, width, count):
    """The images of a mosaic, read off the picture, in rows."""
    sheet, gap = np.ma.filled(_drawn(ax), np.nan), max(1, round(max(height, width) / 12))
    columns = (sheet.shape[1] + gap) // (width + gap)
    corners = [(i // columns * (height + gap), i % columns * (width + gap)) for i in range(count)]
    return np.stack([sheet[top : top + height, left : left + width] for top, left in corners])


def _assert_no_text_overlaps(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [] if figure._suptitle is None else [figure._suptitle]
    for ax in (ax for ax in figure.axes if ax.axison):
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *_tick_labels(ax)]
    boxes = [(text.get_text(), text.get_window_extent().shrunk(0.98, 0.9)) for text in texts if text.get_text()]
    clashes = [(a, b) for (a, box), (b, other) in itertools.combinations(boxes, 2) if box.overlaps(other)]
    assert clashes == []
    outside = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > canvas.get_width_height()[0]]
    assert outside == []


def _tick_labels(ax):
    """The labels below the axes that are drawn: ticks reach beyond the limits, unseen."""
    low, high = ax.get_xlim()
    return [label for tick, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True) if low <= tick <= high]


# ---------------------------------------------------------------------- history


def _history(epochs=3, validation=True, accuracy=True, rates=(0.1, 0.1, 0.1)):
    history = History()
    for i in range(epochs):
        history.append(loss=2.0 / (i + 1), accuracy=0.5 + 0.1 * i if accuracy else None,
                       val_loss=2.5 / (i + 1) if validation else None,
                       val_accuracy=0.4 + 0.1 * i if accuracy and validation else None, lr=rates[i], seconds=1.0)
    return history


def test_the_history_is_drawn_as_curves_of_training_and_validation_by_epoch():
    history = _history()
    loss, accuracy = plot.history(history).axes
    for ax, name, training, validation in ((loss, "loss", history.loss, history.val_loss),
                                           (accuracy, "accuracy", history.accuracy, history.val_accuracy)):
        assert ax.get_title() == name
        assert ax.get_xlabel() == "epoch"
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]
        for line, values in zip(ax.lines, (training, validation), strict=True):
            assert line.get_xdata().tolist() == [1, 2, 3]
            assert line.get_ydata().tolist() == values
        assert ax.lines[0].get_color() != ax.lines[1].get_color()


def test_what_was_not_measured_is_not_drawn():
    [ax] = plot.history(_history(validation=False, accuracy=False)).axes
    assert len(ax.lines) == 1
    assert ax.get_legend() is None


def test_epochs_without_validation_leave_a_gap():
    history = _history()
    history.val_loss[1] = None
    assert np.isnan(plot.history(history).axes[0].lines[1].get_ydata()).tolist() == [False, True, False]


def test_the_learning_rate_is_drawn_if_it_changed():
    axes = plot.history(_history(rates=(0.1, 0.05, 0.01))).axes
    assert axes[2].get_title().startswith("learning rate")
    assert axes[2].lines[0].get_ydata().tolist() == [0.1, 0.05, 0.01]


def test_one_epoch_is_marked_by_a_whole_number():
    figure = plot.history(_history(epochs=1))
    _assert_no_text_overlaps(figure)
    assert [label.get_text() for label in _tick_labels(figure.axes[0])] == ["1"]


def test_a_history_without_epochs_is_refused():
    with pytest.raises(ValueError, match=r"plot\.history: the history has no epochs"):
        plot.history(History())


# ---------------------------------------------------------------------- predictions


def test_predictions_show_each_image_with_its_guess_its_probability_and_the_truth(digits):
    model = _model()
    logits = _logits(model, digits.images).astype(np.float64)
    figure = plot.predictions(model, digits.images, digits.labels, n=12)
    assert len(figure.axes) == 12
    right = 0
    for i, ax in enumerate(figure.axes):
        guess = int(np.argmax(logits[i]))
        share = 100 * np.exp(logits[i, guess]) / sum(np.exp(v) for v in logits[i])
        assert ax.get_title() == f"{guess}  {share:.1f} %"
        assert ax.get_xlabel() == f"true: {digits.labels[i]}"
        np.testing.assert_allclose(_drawn(ax), digits.images[i, :, :, 0] / 255)
        right += guess == digits.labels[i]
    assert figure._suptitle.get_text() == f"predicted classes: {right} of 12 right"


def test_wrong_predictions_are_marked(digits):
    model = _model()
    guesses = _logits(model, digits.images).argmax(axis=1)
    labels = guesses.copy()
    labels[2] = (guesses[2] + 1) % 10
    axes = plot.predictions(model, digits.images, labels, n=4).axes
    assert [ax.title.get_color() == plot._WRONG for ax in axes] == [False, False, True, False]
    assert [ax.spines["top"].get_visible() for ax in axes] == [False, False, True, False]


def test_predictions_use_the_names_of_the_classes_and_long_ones_fit(digits):
    names = [f"class number {i} of ten" for i in range(10)]
    figure = plot.predictions(_model(), digits.images, digits.labels, names, n=7)
    assert figure.axes[0].get_xlabel() == f"true: class number {digits.labels[0]} of ten"
    assert sum(ax.axison for ax in figure.axes) == 7  # of 3 x 3
    _assert_no_text_overlaps(figure)


def test_twenty_five_predictions_can_be_read(digits):
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "Ankle boot"]
    _assert_no_text_overlaps(plot.predictions(_model(), digits.images, digits.labels, names))


def test_probabilities_of_a_model_that_ends_with_a_softmax_are_taken_as_they_are():
    model = nn.Sequential(nn.Flatten(), nn.Dense(4, 3, rng=0), nn.Softmax())
    images = np.random.default_rng(0).random((2, 2, 2, 1), dtype=np.float32)
    out = model(images).data
    for ax, row in zip(plot.predictions(model, images, np.zeros(2, int)).axes, out, strict=True):
        assert ax.get_title() == f"{row.argmax()}  {100 * row.max():.1f} %"


def test_only_what_is_certain_is_100_percent():
    class Sure(nn.Module):
        def forward(self, x):
            return np.array([[12.0, 0.0], [200.0, 0.0]])

    images = np.zeros((2, 4, 4, 1), np.float32)
    figure = plot.predictions(Sure(), images, np.zeros(2, int))
    assert [ax.get_title() for ax in figure.axes] == ["0  99.9 %", "0  100.0 %"]


def test_normalized_and_coloured_images_are_stretched_into_what_can_be_drawn():
    model = nn.Sequential(nn.Flatten(), nn.Dense(12, 3, rng=0))
    images = np.random.default_rng(0).normal(size=(4, 2, 2, 3)).astype(np.float32)
    figure = plot.predictions(model, images, np.zeros(4, int))
    drawn = np.stack([_drawn(ax) for ax in figure.axes])
    assert drawn.shape == (4, 2, 2, 3)
    np.testing.assert_allclose(drawn, (images - images.min()) / (images.max() - images.min()), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------- kernels


def test_kernels_of_grey_images_are_signed_on_one_scale():
    model = _model()
    figure = plot.kernels(model)
    weight = model[0].weight.data
    np.testing.assert_allclose(_tiles(figure.axes[0], 3, 3, 16), [weight[:, :, 0, o] for o in range(16)])
    low, high = figure.axes[0].images[0].get_clim()
    assert high == -low == pytest.approx(np.abs(weight).max())
    assert len(figure.axes) == 2  # with the colour bar
    assert "layer 0, 3x3: all 16 outputs" in figure._suptitle.get_text()
    _assert_no_text_overlaps(figure)


def test_kernels_of_coloured_images_are_coloured_around_grey():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, rng=0))
    figure = plot.kernels(model)
    weight = model[0].weight.data
    expected = [weight[..., o] / (2 * np.abs(weight).max()) + 0.5 for o in range(5)]
    np.testing.assert_allclose(_tiles(figure.axes[0], 3, 3, 5), expected, rtol=1e-6)
    assert "grey is 0" in figure._suptitle.get_text()


def test_kernels_between_layers_are_a_table_of_outputs_by_inputs():
    model = _model()
    figure = plot.kernels(model, layer="3")
    weight = model[3].weight.data
    expected = [weight[:, :, c, o] for o in range(16) for c in range(16)]
    np.testing.assert_allclose(_tiles(figure.axes[0], 3, 3, 256), expected)
    assert "the first 16 of 32 outputs" in figure._suptitle.get_text()
    assert "all 16 input channels" in figure._suptitle.get_text()
    again = plot.kernels(model, layer=model[3])
    assert np.array_equal(np.ma.filled(_drawn(again.axes[0]), 9), np.ma.filled(_drawn(figure.axes[0]), 9))


def test_kernels_can_be_limited_to_the_first_ones():
    figure = plot.kernels(_model(), n=4)
    assert "the first 4 of 16 outputs" in figure._suptitle.get_text()
    assert _drawn(figure.axes[0]).shape == (7, 7)  # 2 x 2 kernels of 3 x 3, and a gap


def test_a_layer_of_zeros_can_be_drawn():
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    model[0].weight.data = np.zeros_like(model[0].weight.data)
    assert plot.kernels(model).axes[0].images[0].get_clim() == (-1, 1)


def test_a_layer_that_is_not_there_is_refused_and_those_that_are_are_named():
    with pytest.raises(ValueError, match=re.escape("plot.kernels: '1' is no convolution of the model; its convolutions "
                                                   "are '0', '3'")):
        plot.kernels(_model(), "1")
    with pytest.raises(ValueError, match=r"plot\.kernels: the model has no convolution, only MLP, Dense, ReLU"):
        plot.kernels(nn.MLP([4, 3, 2]))
    with pytest.raises(TypeError, match=r"plot\.kernels: expected a Module, got ndarray"):
        plot.kernels(np.ones((3, 3, 1, 4)))


# ---------------------------------------------------------------------- feature maps


def _maps(figure, stage, height, width, count):
    """The maps of a stage: the image is on the first axes, then before and after the activation."""
    return _tiles(figure.axes[1 + stage], height, width, count)


def test_feature_maps_are_what_each_convolution_makes_before_and_after_its_activation(digits):
    model = _model()
    image = digits.images[0]
    figures = plot.feature_maps(model, image)
    assert list(figures) == ["0", "3"]
    x = image[None].astype(np.float32) / np.float32(255)
    first = ag.conv2d(x, model[0].weight.data, model[0].bias.data, padding="same")
    pooled = ag.max_pool2d(np.maximum(first, 0), 2)
    second = ag.conv2d(pooled, model[3].weight.data, model[3].bias.data, padding="same")
    for figure, out, size in ((figures["0"], first, 28), (figures["3"], second, 14)):
        before = out[0, :, :, :16].transpose(2, 0, 1)  # (1, H, W, O) -> (16, H, W)
        np.testing.assert_allclose(_maps(figure, 0, size, size, 16), before, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(_maps(figure, 1, size, size, 16), np.maximum(before, 0), rtol=1e-4, atol=1e-6)
        titles = [ax.get_title() for ax in figure.axes]
        assert titles[:3] == ["image", f"before activation, {size}x{size}", f"after ReLU, {size}x{size}"]
        low, high = figure.axes[1].images[0].get_clim()
        assert figure.axes[2].images[0].get_clim() == (low, high)
        assert high == -low == pytest.approx(np.abs(before).max(), rel=1e-5)
        np.testing.assert_allclose(_drawn(figure.axes[0]), x[0, :, :, 0])
        _assert_no_text_overlaps(figure)
    assert figures["3"]._suptitle.get_text() == "layer 3: the first 16 of 32 channels"


def test_an_image_may_have_its_batch_axis(digits):
    model, x = _model(), digits.images[:1]
    a, b = plot.feature_maps(model, x)["0"], plot.feature_maps(model, x[0])["0"]
    assert np.array_equal(np.ma.filled(_drawn(a.axes[1]), 9), np.ma.filled(_drawn(b.axes[1]), 9))


@pytest.mark.parametrize(("activation", "name"), [
    (nn.GELU(), "GELU"), (nn.SiLU(), "SiLU"), (nn.Tanh(), "Tanh"), (nn.Sigmoid(), "Sigmoid"),
    (nn.LeakyReLU(0.1), "LeakyReLU"), (ag.relu, "relu"), (nn.functional.leaky_relu, "leaky_relu"),
])
def test_the_activation_may_be_any_layer_or_function_also_after_a_normalization(activation, name):
    norm = nn.BatchNorm2d(4)
    norm.running_mean = np.full(4, 0.25, np.float32)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), norm, activation)
    x = np.random.default_rng(0).random((1, 8, 8, 1), dtype=np.float32)
    figure = plot.feature_maps(model, x)["0"]
    model.eval()
    before, after = model[0](x).data, model(x).data
    assert figure.axes[2].get_title() == f"after {name}, 6x6"
    np.testing.assert_allclose(_maps(figure, 0, 6, 6, 4), before[0].transpose(2, 0, 1), rtol=1e-5)
    np.testing.assert_allclose(_maps(figure, 1, 6, 6, 4), after[0].transpose(2, 0, 1), rtol=1e-5, atol=1e-7)


def test_a_convolution_without_an_activation_shows_its_output_alone():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.Conv2d(4, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Dense(8, 5),
                          nn.ReLU())
    figures = plot.feature_maps(model, np.ones((6, 6, 1), np.float32))
    assert [ax.get_title() for ax in figures["0"].axes] == ["image", "output, which no activation follows, 4x4", ""]
    assert "after ReLU, 2x2" in [ax.get_title() for ax in figures["1"].axes]


def test_the_activation_of_a_later_dense_layer_is_not_taken_for_the_convolutions():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.Flatten(), nn.Dense(64, 4, rng=0), nn.ReLU())
    figure = plot.feature_maps(model, np.ones((6, 6, 1), np.float32))["0"]
    assert len(figure.axes) == 3  # the image, the output and the colour bar


def test_residual_blocks_and_transposed_convolutions_have_feature_maps_too():
    model = nn.Sequential(nn.models.BasicBlock(2, 2, rng=0), nn.ConvTranspose2d(2, 1, 2, stride=2, rng=0))
    image = np.random.default_rng(0).random((4, 4, 2), dtype=np.float32)
    figures = plot.feature_maps(model, image)
    assert list(figures) == ["0.conv1", "0.conv2", "1"]
    assert figures["0.conv1"].axes[2].get_title() == "after relu, 4x4"


def test_the_model_is_as_it_was_after_its_feature_maps_were_drawn(digits):
    model = _model()
    plot.feature_maps(model, digits.images[0])
    assert model.training
    assert all(not vars(module).get("_forward_hooks") for module in model.modules())


def test_what_makes_no_feature_maps_is_refused(digits):
    with pytest.raises(ValueError, match=r"plot\.feature_maps: expected one image .*, got shape \(2, 28, 28, 1\)"):
        plot.feature_maps(_model(), digits.images[:2])
    with pytest.raises(ValueError, match=r"plot\.feature_maps: the model has no convolution, only MLP"):
        plot.feature_maps(nn.MLP([4, 3, 2]), digits.images[0])

    class Unused(nn.Module):
        def __init__(self):
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match=r"plot\.feature_maps: the model called none of its convolutions"):
        plot.feature_maps(Unused(), digits.images[0])


# ---------------------------------------------------------------------- confusion matrix


def test_the_confusion_matrix_counts_true_classes_by_predicted_ones(digits):
    model = _model()
    guesses = _logits(model, digits.images).argmax(axis=1)
    figure = plot.confusion_matrix(model, digits.images, digits.labels)
    counts = [[sum(int(t == row and g == column) for t, g in zip(digits.labels, guesses, strict=True))
               for column in range(10)] for row in range(10)]
    written = {text.get_position(): int(text.get_text()) for text in figure.axes[0].texts}
    assert written == {(column, row): counts[row][column] for row in range(10) for column in range(10)}
    for row in range(10):
        np.testing.assert_allclose(_drawn(figure.axes[0])[row], np.array(counts[row]) / sum(counts[row]))
    right = sum(counts[i][i] for i in range(10))
    assert figure.axes[0].get_title() == f"{right} of 60 right ({100 * right / 60:.1f} %)"
    assert figure.axes[0].get_xlabel() == "predicted class"
    assert figure.axes[0].get_ylabel() == "true class"
    assert figure.axes[1].get_ylabel() == "share of the true class"


def test_a_class_that_does_not_occur_has_an_empty_row(digits):
    chosen = digits[digits.labels != 3]
    figure = plot.confusion_matrix(_model(), chosen.images, chosen.labels)
    assert _drawn(figure.axes[0])[3].tolist() == [0] * 10


def test_numbers_in_the_cells_stand_out_from_their_colours():
    class Same(nn.Module):
        def forward(self, x):
            return np.tile([1.0, 0.0], (len(x), 1))

    figure = plot.confusion_matrix(Same(), np.zeros((4, 2, 2, 1), np.float32), np.array([0, 0, 0, 1]))
    colours = {text.get_position(): text.get_color() for text in figure.axes[0].texts}
    assert colours[0, 0] == "white"
    assert colours[1, 0] not in ("white", "black")  # a zero, which is not to be seen first


def test_the_names_of_classes_are_on_both_sides(digits):
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    figure = plot.confusion_matrix(_model(), digits.images, digits.labels, names)
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == names
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names


# ---------------------------------------------------------------------- for all of them


@pytest.mark.parametrize("draw", [plot.predictions, plot.confusion_matrix])
def test_images_labels_and_classes_that_do_not_fit_are_refused(draw, digits):
    images, labels, where = digits.images, digits.labels, rf"plot\.{draw.__name__}: "
    with pytest.raises(ValueError, match=where + r"60 images need labels of shape \(60,\), got \(59,\)"):
        draw(_model(), images, labels[1:])
    with pytest.raises(ValueError, match=where + r"images must be \(N, H, W, C\) with at least one, got \(28, 28, 1\)"):
        draw(_model(), images[0], labels[:1])
    with pytest.raises(TypeError, match=where + "labels must be whole numbers, got float64"):
        draw(_model(), images, labels / 2)
    with pytest.raises(ValueError, match=where + "labels must be from 0 to 9, got 1 to 10"):
        draw(_model(), images[:2], np.array([1, 10]))
    with pytest.raises(ValueError, match=where + "3 classes are named but the model has 10"):
        draw(_model(), images, labels, ["a", "b", "c"])


def test_figures_can_be_saved_without_a_screen(tmp_path, digits):
    model = _model()
    figures = {
        "history": plot.history(_history()),
        "predictions": plot.predictions(model, digits.images, digits.labels, n=4),
        "kernels": plot.kernels(model),
        "confusion_matrix": plot.confusion_matrix(model, digits.images, digits.labels),
        **plot.feature_maps(model, digits.images[0]),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


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
        plot.history(_history())
