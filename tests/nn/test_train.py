"""fit does what a loop written by hand does, says what went wrong and where, and goes on exactly after a stop."""

import io
import json
import math
import os
import re
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd as ag
import datasets
import nn
from nn import optim
from nn.functional import cross_entropy, mse_loss
from nn.train import History, evaluate, fit, predict


def _data(n=50, seed=0):
    """Points (n, 4) and which of their first three numbers is the largest."""
    x = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1)


def _batches(n=50, size=16, seed=0):
    x, labels = _data(n, seed)
    return [(x[i : i + size], labels[i : i + size]) for i in range(0, n, size)]


def _model(seed=0):
    return nn.MLP([4, 8, 3], rng=seed)


def _same_bits(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class _Spy:
    """A loader that counts how often it was looped over."""

    def __init__(self, batches):
        self.batches = batches
        self.epochs = 0

    def __iter__(self):
        self.epochs += 1
        return iter(self.batches)


# ---------------------------------------------------------------------- what it computes


def test_fit_does_what_the_loop_written_by_hand_does():
    batches = _batches()
    fitted, by_hand = _model(), _model()
    history = fit(fitted, batches, epochs=3, optimizer=optim.SGD(fitted.parameters(), lr=0.5, momentum=0.9))
    opt = optim.SGD(by_hand.parameters(), lr=0.5, momentum=0.9)
    for epoch in range(3):
        losses, right = [], 0
        for x, labels in batches:
            logits = by_hand(x)
            loss = cross_entropy(logits, labels)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses += [loss.item()] * len(labels)
            right += sum(int(np.argmax(row)) == label for row, label in zip(logits.data, labels, strict=True))
        assert history.loss[epoch] == pytest.approx(math.fsum(losses) / 50, rel=1e-12)
        assert history.accuracy[epoch] == right / 50
    assert _same_bits(fitted, by_hand)


def test_the_default_optimizer_is_adam_with_lr_0_001():
    fitted, by_hand = _model(), _model()
    history = fit(fitted, _batches(), epochs=1)
    opt = optim.Adam(by_hand.parameters(), lr=1e-3)
    for x, labels in _batches():
        opt.zero_grad()
        cross_entropy(by_hand(x), labels).backward()
        opt.step()
    assert _same_bits(fitted, by_hand)
    assert history.lr == [1e-3]


def test_training_learns():
    model = _model()
    history = fit(model, _batches(), epochs=30, optimizer=optim.Adam(model.parameters(), lr=0.03))
    assert history.loss[-1] < 0.3 * history.loss[0]
    assert history.accuracy[-1] > 0.95


def test_a_data_loader_is_a_loader_as_well():
    loader = datasets.DataLoader(_data(), batch_size=16, shuffle=True, seed=3)
    fitted, by_hand = _model(), _model()
    fit(fitted, loader, epochs=2, optimizer=optim.SGD(fitted.parameters(), lr=0.1))
    again = datasets.DataLoader(_data(), batch_size=16, shuffle=True, seed=3)
    opt = optim.SGD(by_hand.parameters(), lr=0.1)
    for _ in range(2):
        for x, labels in again:
            opt.zero_grad()
            cross_entropy(by_hand(x), labels).backward()
            opt.step()
    assert _same_bits(fitted, by_hand)


def test_clip_norm_limits_the_gradients_of_each_step():
    fitted, by_hand = _model(), _model()
    fit(fitted, _batches(), epochs=1, optimizer=optim.SGD(fitted.parameters(), lr=0.5), clip_norm=0.1)
    opt = optim.SGD(by_hand.parameters(), lr=0.5)
    for x, labels in _batches():
        opt.zero_grad()
        cross_entropy(by_hand(x), labels).backward()
        assert optim.clip_grad_norm(by_hand.parameters(), 0.1) > 0.1
        opt.step()
    assert _same_bits(fitted, by_hand)


def test_any_loss_will_do_and_without_class_labels_there_is_no_accuracy():
    x, _ = _data()
    y = x[:, :1] * 2
    model = nn.Sequential(nn.Dense(4, 1, rng=0))
    history = fit(model, [(x, y)], epochs=60, loss=mse_loss, validation=[(x, y)],
                  optimizer=optim.Adam(model.parameters(), lr=0.1))
    assert history.accuracy == history.val_accuracy == [None] * 60
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert history.val_loss[-1] == pytest.approx(float(np.mean((model(x).data - y) ** 2)), rel=1e-5)


def test_each_pixel_can_have_a_label():
    model = nn.Sequential(nn.Conv2d(1, 3, 1, rng=0))
    x = np.random.default_rng(0).random((2, 4, 4, 1), dtype=np.float32)
    labels = np.random.default_rng(1).integers(3, size=(2, 4, 4))
    _, accuracy = evaluate(model, [(x, labels)])
    logits = model(x).data
    right = sum(logits[i].argmax() == labels[i] for i in np.ndindex(2, 4, 4))
    assert accuracy == right / 32


# ---------------------------------------------------------------------- schedules


def test_a_schedule_steps_after_each_batch():
    model = _model()
    opt = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.StepLR(opt, step_size=1, gamma=0.5)
    history = fit(model, _batches(), epochs=2, optimizer=opt, schedule=schedule)  # 4 batches an epoch
    assert history.lr == [0.5**3, 0.5**7]
    assert schedule.steps == 8


def test_a_schedule_steps_after_each_epoch_if_it_is_asked_to():
    model = _model()
    opt = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.StepLR(opt, step_size=1, gamma=0.5)
    history = fit(model, _batches(), epochs=3, optimizer=opt, schedule=schedule, schedule_per="epoch")
    assert history.lr == [1.0, 0.5, 0.25]
    assert schedule.steps == 3


def test_one_cycle_over_all_steps_comes_out_even():
    model = _model()
    opt = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.OneCycleLR(opt, max_lr=0.1, total_steps=8)
    history = fit(model, _batches(), epochs=2, optimizer=opt, schedule=schedule)
    assert history.lr[-1] == pytest.approx(0.1 / 25 / 1e4)


# ---------------------------------------------------------------------- evaluate, predict and modes


def _naive_loss_and_accuracy(logits, labels):
    losses, right = [], 0
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        losses.append(math.log(math.fsum(math.exp(v) for v in row)) - row[label])
        right += int(max(range(len(row)), key=row.__getitem__) == label)
    return math.fsum(losses) / len(losses), right / len(losses)


def test_evaluate_gives_the_mean_over_examples_not_over_batches():
    model = _model()
    x, labels = _data()
    loss, accuracy = evaluate(model, _batches(size=48))  # 48 examples and 2
    expected = _naive_loss_and_accuracy(model(x).data, labels)
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert accuracy == expected[1]


def test_validation_is_evaluate_after_each_epoch():
    model, twin = _model(), _model()
    validation = _batches(n=20, seed=7)
    history = fit(model, _batches(), epochs=2, validation=validation)
    opt = optim.Adam(twin.parameters())
    for epoch in range(2):
        fit(twin, _batches(), epochs=1, optimizer=opt)
        assert (history.val_loss[epoch], history.val_accuracy[epoch]) == evaluate(twin, validation)


class _Modes(nn.Module):
    """Notes the modes in which it was called, and whether anything was recorded."""

    def __init__(self):
        self.dense = nn.Dense(4, 3, rng=0)
        self.part = nn.Dropout(0.5, rng=0)
        self.calls = []

    def forward(self, x):
        out = self.part(self.dense(x))
        self.calls.append((self.training, self.part.training, out.requires_grad))
        return out


def test_evaluate_and_predict_work_in_eval_mode_record_nothing_and_bring_each_mode_back():
    model = _Modes()
    model.dense.training = False
    x, labels = _data(5)
    evaluate(model, [(x, labels)])
    predict(model, x)
    assert model.calls == [(False, False, False)] * 2
    assert (model.training, model.part.training, model.dense.training) == (True, True, False)


def test_modes_come_back_after_an_error_too():
    model = _Modes()
    with pytest.raises(ValueError, match="Dense"):
        predict(model, np.ones((2, 7), np.float32))
    assert (model.training, model.part.training) == (True, True)


def test_fit_trains_in_training_mode_and_validates_in_eval_mode():
    model = _Modes().eval()
    fit(model, [_data(5)], epochs=1, validation=[_data(5)])
    assert model.calls == [(True, True, True), (False, False, False)]
    assert (model.training, model.part.training) == (False, False)


def test_a_part_that_is_in_eval_mode_stays_so_in_training():
    model = _Modes()
    model.part.eval()
    fit(model, [_data(5)], epochs=1)
    assert model.calls == [(True, False, True)]


@pytest.mark.parametrize("batch_size", [1, 7, 50, 256])
def test_predict_gives_the_logits_of_all_images(batch_size):
    model = _model()
    x, _ = _data()
    out = predict(model, x, batch_size)
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, model(x).data, rtol=1e-5, atol=1e-6)


def test_predict_divides_bytes_by_255_as_the_loader_does_and_takes_tensors():
    model = nn.Sequential(nn.Flatten(), nn.Dense(12, 3, rng=0))
    images = np.random.default_rng(0).integers(256, size=(9, 2, 2, 3), dtype=np.uint8)
    [(x, _)] = datasets.DataLoader((images, np.zeros(9, int)))
    assert np.array_equal(predict(model, images), model(x).data)
    assert np.array_equal(predict(model, ag.Tensor(x)), model(x).data)


def test_nothing_to_predict_or_to_evaluate_is_refused():
    with pytest.raises(ValueError, match=r"predict: there are no images, got shape \(0, 4\)"):
        predict(_model(), np.ones((0, 4), np.float32))
    with pytest.raises(ValueError, match="predict: batch_size must be at least 1, got 0"):
        predict(_model(), np.ones((3, 4), np.float32), batch_size=0)
    with pytest.raises(ValueError, match="evaluate: the loader gave no examples"):
        evaluate(_model(), [])


# ---------------------------------------------------------------------- what goes wrong


def test_a_loss_that_is_not_finite_stops_and_says_where_with_the_parameters_as_before():
    batches = _batches()
    batches[2][0][0] = np.nan
    model, twin = _model(), _model()
    opt = optim.SGD(model.parameters(), lr=0.25)
    expected = "fit: the loss is nan in epoch 1, step 3 (lr 0.25); the parameters are as they were before this step"
    with pytest.raises(RuntimeError, match=re.escape(expected)):
        fit(model, batches, epochs=2, optimizer=opt)
    fit(twin, batches[:2], epochs=1, optimizer=optim.SGD(twin.parameters(), lr=0.25))
    assert _same_bits(model, twin)


@pytest.mark.parametrize(("arguments", "error", "text"), [
    (dict(epochs=0), ValueError, "fit: epochs must be at least 1, got 0"),
    (dict(epochs=1.5), TypeError, r"fit: epochs must be a whole number, got 1\.5"),
    (dict(loader=3), TypeError, r"fit: the loader must give batches \(x, labels\), got int"),
    (dict(loader=[]), ValueError, "fit: the loader gave no examples in epoch 1"),
    (dict(loader=iter([]), epochs=2), ValueError, "fit: the loader is a list_iterator, which is used up"),
    (dict(loader=_data()), TypeError, r"fit: the loader must give batches \(x, labels\), got a ndarray"),
    (dict(loader=[(1, 2, 3)]), TypeError, r"fit: .*got a tuple of 3; use datasets\.DataLoader"),
    (dict(loss=lambda out, labels: out), ValueError, r"fit: the loss must be a single number, got shape \(16, 3\)"),
    (dict(loss=lambda out, labels: 1.0), TypeError, "fit: the loss must be a Tensor, got float"),
    (dict(clip_norm=0), ValueError, "fit: clip_norm must be greater than 0 and finite, got 0"),
    (dict(schedule_per="batch"), ValueError, 'fit: schedule_per must be "step" or "epoch", got \'batch\''),
    (dict(schedule=lambda step: 0.1), TypeError, r"fit: expected a schedule such as nn\.optim\.StepLR, got function"),
    (dict(resume=True), ValueError, r"fit: resume=True needs the checkpoint to go on from; give checkpoint=path"),
    (dict(model=lambda x: x), TypeError, "fit: expected a Module to train, got function"),
])
def test_arguments_that_make_no_sense_are_refused_and_nothing_is_trained(arguments, error, text):
    model = _model()
    with pytest.raises(error, match=text):
        fit(**{"model": model, "loader": _batches(), "epochs": 1, **arguments})
    assert _same_bits(model, _model())


def test_a_schedule_of_another_optimizer_is_refused():
    model = _model()
    schedule = optim.StepLR(optim.SGD(model.parameters(), lr=0.1), step_size=1)
    with pytest.raises(ValueError, match="fit: the schedule is for another optimizer"):
        fit(model, _batches(), epochs=1, schedule=schedule)


def test_an_iterator_is_enough_for_one_epoch():
    fitted, twin = _model(), _model()
    fit(fitted, iter(_batches()), epochs=1)
    fit(twin, _batches(), epochs=1)
    assert _same_bits(fitted, twin)


# ---------------------------------------------------------------------- callbacks and Ctrl-C


def test_callbacks_see_the_history_after_each_epoch():
    seen = []
    history = fit(_model(), _batches(), epochs=3, callbacks=[lambda h: seen.append((len(h), h.loss[-1]))])
    assert seen == [(1, history.loss[0]), (2, history.loss[1]), (3, history.loss[2])]


class _StopsIn:
    """A loader that Ctrl-C hits before its second batch, in one of its epochs."""

    def __init__(self, epoch):
        self.left = epoch

    def __iter__(self):
        self.left -= 1
        for i, batch in enumerate(_batches()):
            if not self.left and i == 1:
                raise KeyboardInterrupt
            yield batch


def test_ctrl_c_returns_what_there_is_so_far(tmp_path):
    model, twin = _model(), _model()
    path = tmp_path / "checkpoint.npz"
    with pytest.warns(UserWarning, match="fit: interrupted in epoch 3 of 5"):
        history = fit(model, _StopsIn(3), epochs=5, checkpoint=path)
    expected = fit(twin, _batches(), epochs=2)
    assert history.interrupted
    assert history.loss == expected.loss
    assert "interrupted in epoch 3" in repr(history)
    assert not _same_bits(model, twin)  # the one step of the third epoch stays
    resumed = _model(seed=9)
    fit(resumed, _batches(), epochs=2, checkpoint=path, resume=True)
    assert _same_bits(resumed, twin)


# ---------------------------------------------------------------------- checkpoints


class _WithDropout(nn.Module):
    def __init__(self, seed):
        self.layers = nn.Sequential(nn.Dense(4, 8, rng=seed), nn.ReLU(), nn.Dropout(rng=seed), nn.Dense(8, 3, rng=seed))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.layers(self.norm(x))


def _train(epochs, seed=0, **arguments):
    model = _WithDropout(seed)
    loader = datasets.DataLoader(_data(), batch_size=16, shuffle=True, seed=4)
    opt = optim.Adam(model.parameters(), lr=0.05)
    schedule = optim.CosineAnnealingLR(opt, T_max=24)
    history = fit(model, loader, epochs, optimizer=opt, schedule=schedule, validation=_batches(n=20, seed=7),
                  **arguments)
    return model, history, opt, schedule


def test_resumed_training_is_bit_by_bit_what_training_in_one_go_is(tmp_path):
    """Weights, running averages, momentum, rates, the shuffled order, dropout's masks and the history."""
    path = tmp_path / "checkpoint.npz"
    whole, history, opt, schedule = _train(epochs=6)
    _train(epochs=2, checkpoint=path)
    resumed, resumed_history, resumed_opt, resumed_schedule = _train(epochs=6, seed=99, checkpoint=path, resume=True)
    assert _same_bits(whole, resumed)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr"):
        assert getattr(resumed_history, name) == getattr(history, name)
    assert (resumed_opt.lr, resumed_schedule.steps) == (opt.lr, schedule.steps) == (opt.lr, 24)
    for a, b in zip(opt.state_dict()["state"], resumed_opt.state_dict()["state"], strict=True):
        assert all(np.array_equal(a[name], b[name]) for name in a)


def test_resume_without_a_checkpoint_begins_anew(tmp_path):
    path = tmp_path / "checkpoint.npz"
    first, history, *_ = _train(epochs=2, checkpoint=path, resume=True)
    assert path.exists()
    again, same, *_ = _train(epochs=2, seed=99, checkpoint=path, resume=True)
    assert _same_bits(first, again)
    assert same.to_dict() == history.to_dict()


def test_without_resume_the_checkpoint_is_written_anew(tmp_path):
    path = tmp_path / "checkpoint.npz"
    _train(epochs=3, checkpoint=path)
    _, history, *_ = _train(epochs=1, checkpoint=path)
    assert len(history) == 1
    _, resumed, *_ = _train(epochs=1, checkpoint=path, resume=True)
    assert resumed.loss == history.loss


def test_a_checkpoint_is_a_numpy_archive_without_pickles(tmp_path):
    path = tmp_path / "checkpoint.npz"
    model, *_ = _train(epochs=1, checkpoint=path)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name, array in model.state_dict().items():
        assert np.array_equal(arrays[f"model/{name}"], array)
    assert json.loads(arrays["notes"].item())["optimizer"]["optimizer"] == "Adam"


@pytest.mark.parametrize(("place", "error"), [("missing/checkpoint.npz", FileNotFoundError), (".", IsADirectoryError)])
def test_a_checkpoint_that_cannot_be_written_is_found_before_training(tmp_path, place, error):
    loader = _Spy(_batches())
    with pytest.raises(error, match=r"fit: .*checkpoint"):
        fit(_model(), loader, epochs=1, checkpoint=tmp_path / place)
    assert loader.epochs == 0


def test_a_crash_while_writing_leaves_the_former_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    model, history, *_ = _train(epochs=1, checkpoint=path)

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left on device"):
        _train(epochs=2, checkpoint=path, resume=True)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["checkpoint.npz"]
    resumed, same, *_ = _train(epochs=1, seed=99, checkpoint=path, resume=True)
    assert _same_bits(model, resumed)
    assert same.loss == history.loss


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[: len(data) // 2], lambda data: data[:200] + b"x" + data[201:],
    lambda data: b"not an archive",
])
def test_a_damaged_checkpoint_is_refused_before_training(tmp_path, damage):
    path = tmp_path / "checkpoint.npz"
    _train(epochs=1, checkpoint=path)
    path.write_bytes(damage(path.read_bytes()))
    loader, model = _Spy(_batches()), _model()
    with pytest.raises(ValueError, match=r"fit: .*checkpoint\.npz is no checkpoint that fit wrote, or it is damaged"):
        fit(model, loader, epochs=2, checkpoint=path, resume=True)
    assert loader.epochs == 0


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    model = _model()
    fit(model, _batches(), epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=r"MLP\.load_state_dict: the state does not fit"):
        fit(nn.MLP([4, 9, 3]), _batches(), epochs=2, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match=r"SGD\.load_state_dict: the state is of Adam"):
        fit(model, _batches(), epochs=2, optimizer=optim.SGD(model.parameters(), 0.1), checkpoint=path, resume=True)
    opt = optim.Adam(model.parameters())
    with pytest.raises(ValueError, match="was written with no schedule, not StepLR; give fit the same one"):
        fit(model, _batches(), epochs=2, optimizer=opt, schedule=optim.StepLR(opt, 1), checkpoint=path, resume=True)


def test_generators_that_keep_arrays_are_saved_as_well(tmp_path):
    def model(seed):
        draws = np.random.Generator(np.random.MT19937(seed))
        return nn.Sequential(nn.Dense(4, 8, rng=0), nn.Dropout(0.5, rng=draws), nn.Dense(8, 3, rng=0))

    path = tmp_path / "checkpoint.npz"
    whole, first, resumed = model(0), model(0), model(99)
    fit(whole, _batches(), epochs=2)
    fit(first, _batches(), epochs=1, checkpoint=path)
    fit(resumed, _batches(), epochs=2, checkpoint=path, resume=True)
    assert _same_bits(whole, resumed)


# ---------------------------------------------------------------------- the progress bar


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_nothing_is_printed_where_stderr_is_no_terminal(capsys):
    fit(_model(), _batches(), epochs=2, validation=_batches())
    assert capsys.readouterr() == ("", "")


@pytest.mark.needs("tqdm")
def test_on_a_terminal_there_is_one_line_with_epoch_loss_and_accuracies(monkeypatch, capsys):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    history = fit(_model(), _batches(), epochs=2, validation=_batches())
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    last = text.rstrip("\n").split("\r")[-1]
    assert last.startswith("epoch 2/2 100%")
    assert (f"loss {history.loss[-1]:.3f}, acc {history.accuracy[-1]:.3f}, "
            f"val acc {history.val_accuracy[-1]:.3f}") in last
    assert capsys.readouterr().out == ""


def test_progress_false_prints_nothing_on_a_terminal_either(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(_model(), _batches(), epochs=1, progress=False)
    assert terminal.getvalue() == ""


@pytest.mark.needs("tqdm")
def test_progress_true_shows_the_bar_where_there_is_no_terminal(capsys):
    fit(_model(), _batches(), epochs=1, progress=True)
    assert "epoch 1/1 100%" in capsys.readouterr().err


@pytest.mark.needs("tqdm")
def test_a_loader_without_a_length_has_a_bar_without_an_end(capsys):
    fit(_model(), _Spy(_batches()), epochs=2, progress=True)
    assert re.search(r"epoch 2/2 8 batches, .*loss", capsys.readouterr().err)


@pytest.mark.needs("tqdm")
def test_a_resumed_bar_begins_where_the_training_stopped(tmp_path, capsys):
    path = tmp_path / "checkpoint.npz"
    fit(_model(), _batches(), epochs=1, checkpoint=path)
    fit(_model(), _batches(), epochs=2, checkpoint=path, resume=True, progress=True)
    text = capsys.readouterr().err
    assert re.match(r"\s*epoch 2/2  50%", text)
    assert "100%" in text


@pytest.mark.needs("tqdm")
def test_the_bar_shows_the_validation_loss_where_there_is_no_accuracy(capsys):
    x, _ = _data()
    history = fit(nn.Sequential(nn.Dense(4, 1)), [(x, x[:, :1])], epochs=1, loss=mse_loss, validation=[(x, x[:, :1])],
                  progress=True)
    assert f"loss {history.loss[0]:.3f}, val loss {history.val_loss[0]:.3f}" in capsys.readouterr().err


def test_without_tqdm_there_is_no_bar_unless_it_was_asked_for(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert len(fit(_model(), _batches(), epochs=1)) == 1
    assert terminal.getvalue() == ""
    expected = "fit(progress=True) needs the package tqdm: pip install 'im2grad[train]'"
    with pytest.raises(ImportError, match=re.escape(expected)):
        fit(_model(), _batches(), epochs=1, progress=True)


def test_a_program_without_stderr_trains_too(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert len(fit(_model(), _batches(), epochs=1)) == 1


# ---------------------------------------------------------------------- the history


def test_a_history_survives_json():
    history = fit(_model(), _batches(), epochs=2, validation=_batches())
    again = History.from_dict(json.loads(json.dumps(history.to_dict())))
    assert again.to_dict() == history.to_dict()
    assert repr(again) == repr(history)
    assert len(again) == 2


def test_to_dict_gives_copies():
    history = History()
    history.append(loss=1.0, lr=0.1, seconds=1.0)
    history.to_dict()["loss"].append(2.0)
    assert history.loss == [1.0]


def test_an_epoch_can_be_picked_out():
    history = fit(_model(), _batches(), epochs=2)
    assert history[-1] == history[1]
    assert history[0]["loss"] == history.loss[0]
    assert history[0]["val_loss"] is None
    assert all(seconds > 0 for seconds in history.seconds)


def test_the_repr_is_a_table_of_what_was_measured():
    history = History()
    assert repr(history) == "History of 0 epochs"
    history.append(loss=2.0, accuracy=0.5, lr=0.01, seconds=1.25)
    history.append(loss=1.0, accuracy=0.75, val_loss=0.5, lr=0.001, seconds=10.0)
    assert repr(history).splitlines() == [
        "epoch    loss  accuracy  val_loss     lr  seconds",
        "    1  2.0000    0.5000             0.01      1.2",
        "    2  1.0000    0.7500    0.5000  0.001     10.0",
    ]


def test_lists_that_do_not_fit_together_make_no_history():
    lists = {name: [] for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")}
    with pytest.raises(ValueError, match="History: the lists must be equally long"):
        History.from_dict({**lists, "loss": [1.0]})


def test_fit_warns_of_a_layer_that_is_not_used_once():
    class Half(nn.Module):
        def __init__(self):
            self.used = nn.Dense(4, 3, rng=0)
            self.unused = nn.Dense(4, 3, rng=0)

        def forward(self, x):
            return self.used(x)

    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        fit(Half(), _batches(), epochs=2)
    assert [str(w.message).split(" ")[1] for w in record] == ["unused.weight", "unused.bias"]


def test_predicting_in_several_threads_gives_the_same_and_changes_no_mode():
    model = nn.Sequential(nn.Dense(4, 8, rng=0), nn.BatchNorm1d(8), nn.Dropout(0.5, rng=1), nn.Dense(8, 3, rng=2))
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    expected = nn.predict(model, x)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: nn.predict(model, x, batch_size=4), range(40)))
    assert all(np.array_equal(result, expected) for result in results)
    assert all(module.training for module in model.modules())
