"""The backward pass by hand and the recorded one give the same numbers."""

from __future__ import annotations

from examples import by_hand


def test_by_hand_and_recorded_gradients_agree(capsys):
    assert by_hand.main(["--batch-size", "2"]) < 1e-5
    printed = capsys.readouterr().out
    assert printed.count("\n") >= 17  # the loss, a heading, 14 parameters, the verdict
    assert "Largest relative difference" in printed
