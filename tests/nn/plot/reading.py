"""What the tests of the pictures share: models to draw, and how a picture is read."""

import itertools

import numpy as np

import nn
from nn.train import History

__all__ = ["assert_no_text_overlaps", "drawn", "past", "plain_logits", "small_model", "tick_labels", "tiles"]


def small_model(seed=0):
    return nn.models.small(rng=seed)


def plain_logits(model, images):
    """What predict is checked against in its own tests, here done in the plainest way."""
    return model(images.astype(np.float32) / np.float32(255)).data


def drawn(ax):
    """The one picture on some axes."""
    [picture] = ax.images
    return picture.get_array()


def tiles(ax, height, width, count):
    """The images of a mosaic, read off the picture, in rows."""
    sheet, gap = np.ma.filled(drawn(ax), np.nan), max(1, round(max(height, width) / 12))
    columns = (sheet.shape[1] + gap) // (width + gap)
    corners = [(i // columns * (height + gap), i % columns * (width + gap)) for i in range(count)]
    return np.stack([sheet[top : top + height, left : left + width] for top, left in corners])


def assert_no_text_overlaps(figure, is_drawn=False):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    if not is_drawn:
        canvas.draw()
    texts = [] if figure._suptitle is None else [figure._suptitle]
    for ax in (ax for ax in figure.axes if ax.axison):
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *tick_labels(ax)]
    boxes = [(text.get_text(), text.get_window_extent().shrunk(0.98, 0.9)) for text in texts if text.get_text()]
    clashes = [(a, b) for (a, box), (b, other) in itertools.combinations(boxes, 2) if box.overlaps(other)]
    assert clashes == []
    width, height = canvas.get_width_height()
    outside = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
    assert outside == []


def tick_labels(ax):
    """The labels below the axes that are drawn: ticks reach beyond the limits, unseen."""
    low, high = ax.get_xlim()
    return [label for label in ax.get_xticklabels() if label.get_visible() and low <= label.get_position()[0] <= high]


def past(epochs=3, validation=True, accuracy=True, rates=(0.1, 0.1, 0.1)):
    """A made-up history."""
    history = History()
    for i in range(epochs):
        history.append(loss=2.0 / (i + 1), accuracy=0.5 + 0.1 * i if accuracy else None,
                       val_loss=2.5 / (i + 1) if validation else None,
                       val_accuracy=0.4 + 0.1 * i if accuracy and validation else None, lr=rates[i], seconds=1.0)
    return history
