"""Predictions and the confusion matrix."""

import numpy as np
import pytest

import nn
from nn import plot
from nn.plot.parts import WRONG
from tests.nn.plot.reading import assert_no_text_overlaps, drawn, plain_logits, small_model

pytestmark = pytest.mark.needs("matplotlib")


# ---------------------------------------------------------------------- predictions


def test_predictions_show_each_image_with_its_guess_its_probability_and_the_truth(digits):
    model = small_model()
    logits = plain_logits(model, digits.images).astype(np.float64)
    figure = plot.predictions(model, digits.images, digits.labels, n=12)
    assert len(figure.axes) == 12
    right = 0
    for i, ax in enumerate(figure.axes):
        guess = int(np.argmax(logits[i]))
        share = 100 * np.exp(logits[i, guess]) / sum(np.exp(v) for v in logits[i])
        assert ax.get_title() == f"{guess}  {share:.1f} %"
        assert ax.get_xlabel() == f"true: {digits.labels[i]}"
        np.testing.assert_allclose(drawn(ax), digits.images[i, :, :, 0] / 255)
        right += guess == digits.labels[i]
    assert figure._suptitle.get_text() == f"predicted classes: {right} of 12 right"


def test_wrong_predictions_are_marked(digits):
    model = small_model()
    guesses = plain_logits(model, digits.images).argmax(axis=1)
    labels = guesses.copy()
    labels[2] = (guesses[2] + 1) % 10
    axes = plot.predictions(model, digits.images, labels, n=4).axes
    assert [ax.title.get_color() == WRONG for ax in axes] == [False, False, True, False]
    assert [ax.spines["top"].get_visible() for ax in axes] == [False, False, True, False]


def test_predictions_use_the_names_of_the_classes_and_long_ones_fit(digits):
    names = [f"class number {i} of ten" for i in range(10)]
    figure = plot.predictions(small_model(), digits.images, digits.labels, names, n=7)
    assert figure.axes[0].get_xlabel() == f"true: class number {digits.labels[0]} of ten"
    assert sum(ax.axison for ax in figure.axes) == 7  # of 3 x 3
    assert_no_text_overlaps(figure)


def test_twenty_five_predictions_can_be_read(digits):
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "Ankle boot"]
    assert_no_text_overlaps(plot.predictions(small_model(), digits.images, digits.labels, names))


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
    shown = np.stack([drawn(ax) for ax in figure.axes])
    assert shown.shape == (4, 2, 2, 3)
    np.testing.assert_allclose(shown, (images - images.min()) / (images.max() - images.min()), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------- confusion matrix


def test_the_confusion_matrix_counts_true_classes_by_predicted_ones(digits):
    model = small_model()
    guesses = plain_logits(model, digits.images).argmax(axis=1)
    figure = plot.confusion_matrix(model, digits.images, digits.labels)
    counts = [[sum(int(t == row and g == column) for t, g in zip(digits.labels, guesses, strict=True))
               for column in range(10)] for row in range(10)]
    written = {text.get_position(): int(text.get_text()) for text in figure.axes[0].texts}
    assert written == {(column, row): counts[row][column] for row in range(10) for column in range(10)}
    for row in range(10):
        np.testing.assert_allclose(drawn(figure.axes[0])[row], np.array(counts[row]) / sum(counts[row]))
    right = sum(counts[i][i] for i in range(10))
    assert figure.axes[0].get_title() == f"{right} of 60 right ({100 * right / 60:.1f} %)"
    assert figure.axes[0].get_xlabel() == "predicted class"
    assert figure.axes[0].get_ylabel() == "true class"
    assert figure.axes[1].get_ylabel() == "share of the true class"


def test_a_class_that_does_not_occur_has_an_empty_row(digits):
    chosen = digits[digits.labels != 3]
    figure = plot.confusion_matrix(small_model(), chosen.images, chosen.labels)
    assert drawn(figure.axes[0])[3].tolist() == [0] * 10


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
    figure = plot.confusion_matrix(small_model(), digits.images, digits.labels, names)
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == names
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names
