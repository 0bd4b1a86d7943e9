"""The history as curves."""

import numpy as np
import pytest

from nn import plot
from nn.train import History
from tests.nn.plot.reading import assert_no_text_overlaps, past, tick_labels

pytestmark = pytest.mark.needs("matplotlib")


def test_the_history_is_drawn_as_curves_of_training_and_validation_by_epoch():
    history = past()
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


def test_what_was_not_measured_is_notdrawn():
    [ax] = plot.history(past(validation=False, accuracy=False)).axes
    assert len(ax.lines) == 1
    assert ax.get_legend() is None


def test_epochs_without_validation_leave_a_gap():
    history = past()
    history.val_loss[1] = None
    assert np.isnan(plot.history(history).axes[0].lines[1].get_ydata()).tolist() == [False, True, False]


def test_the_learning_rate_is_drawn_if_it_changed():
    axes = plot.history(past(rates=(0.1, 0.05, 0.01))).axes
    assert axes[2].get_title().startswith("learning rate")
    assert axes[2].lines[0].get_ydata().tolist() == [0.1, 0.05, 0.01]


def test_one_epoch_is_marked_by_a_whole_number():
    figure = plot.history(past(epochs=1))
    assert_no_text_overlaps(figure)
    assert [label.get_text() for label in tick_labels(figure.axes[0])] == ["1"]


def test_a_history_without_epochs_is_refused():
    with pytest.raises(ValueError, match=r"plot\.history: the history has no epochs"):
        plot.history(History())
