"""The same seeds give the same bits."""

from __future__ import annotations

import numpy as np

import datasets
import nn


def _trained():
    """The weights after an epoch with shuffling, augmentation, dropout and batch normalization."""
    with nn.rng(7):
        model = nn.Sequential(nn.Conv2d(1, 6, 3, padding="same"), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                              nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
                              nn.Dropout(0.3), nn.Dense(8 * 3 * 3, 10))
    data = datasets.load("mnist-small", split="train")[:512]
    loader = datasets.DataLoader(data, batch_size=64, shuffle=True, seed=3, transform=datasets.RandomShift(2))
    history = nn.fit(model, loader, epochs=1)
    return model.state_dict(), history.loss[0]


def test_two_trainings_from_the_same_seeds_give_the_same_bits():
    first, first_loss = _trained()
    second, second_loss = _trained()
    assert first_loss == second_loss
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        assert first[name].tobytes() == second[name].tobytes()
