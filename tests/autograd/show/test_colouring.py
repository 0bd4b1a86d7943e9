"""Colours of pictures: sums of a profile, gradcheck's verdicts, and where the first NaN or infinity comes from."""

from dataclasses import dataclass
from time import sleep

import numpy as np
import pytest

import autograd as ag
from autograd.show.colouring import colours_of
from autograd.show.folding import Folding
from autograd.show.reading import Call, read_graph

pytestmark = pytest.mark.needs("graphviz", "pygraphviz")


def leaf(*values):
    return ag.Tensor(np.array(values, float), requires_grad=True)


def view_of(y, names=None, **options):
    return Folding(read_graph("draw", y, names)).view(**options)


def by_name(paints):
    return {box.op if isinstance(box, Call) else box.name: paint for box, paint in paints.items()}


@ag.Op
def sleeping(x):
    sleep(0.03)
    return np.array(x)


def _sleeping_rule(g):
    sleep(0.05)
    return g


sleeping.vjp(_sleeping_rule)


# ---------------------------------------------------------------------- profiles


def profiled():
    x = leaf(1.0, 2.0)
    with ag.profile() as report:
        with ag.scope("block"):
            y = ag.exp(sleeping(x))
        y = ag.sin(y).sum()
        y.backward()
    return y, report


def milliseconds(line):
    number, unit = line.split(" · ")[0].split()
    return float(number) * {"s": 1e3, "ms": 1.0, "µs": 1e-3}[unit]


def test_time_is_that_of_forward_and_rules_and_darker_where_there_is_more():
    y, report = profiled()
    paints = by_name(colours_of(report, view_of(y), backward=False).boxes)
    assert milliseconds(paints["sleeping"].lines[0]) >= 80
    assert milliseconds(paints["exp"].lines[0]) < 80
    assert paints["sleeping"].style["fillcolor"] == "#990000"
    assert paints["exp"].style["fillcolor"] == "#fff7ec"
    assert paints["sleeping"].style["fontcolor"] == "#ffffff"


def test_beside_the_reverse_pass_each_has_its_own_time():
    y, report = profiled()
    colours = colours_of(report, view_of(y), backward=True)
    [row] = [row for row in report.rows if (row.op, row.direction) == ("sleeping", "forward")]
    [rule] = [row for row in report.rows if (row.op, row.direction) == ("sleeping", "backward")]
    forward, backward = (by_name(paints)["sleeping"].lines[0] for paints in (colours.boxes, colours.rules))
    assert 30 <= milliseconds(forward) == pytest.approx(1e3 * row.seconds, rel=0.01)
    assert 50 <= milliseconds(backward) == pytest.approx(1e3 * rule.seconds, rel=0.01)


def test_a_folded_box_has_the_sum_of_what_it_holds_and_the_scale_its_ends():
    y, report = profiled()
    view = view_of(y, depth=0)
    colours = colours_of(report, view, backward=False)
    block = by_name(colours.boxes)["block"]
    costs = report.by_node
    held = [costs[call.order] for call in view.folding.calls if call.scope == "block"]
    total = 1e3 * sum(cost.seconds + cost.rule_seconds for cost in held)
    assert milliseconds(block.lines[0]) == pytest.approx(total, rel=0.01)
    assert colours.scale[1:] == ("time, forward and backward", "0 µs", block.lines[0].split(" · ")[0])


def test_a_chain_drawn_once_has_the_sum_over_all_of_its_stretches():
    y = leaf(1.0, 2.0)
    with ag.profile() as report:
        for _ in range(50):
            y = ag.tanh(y * 0.5)
    view = view_of(y, merge=True)
    paints = by_name(colours_of((report, "bytes"), view, backward=False).boxes)
    assert paints["tanh"].lines == ["1.6 KiB"]  # 50 calls with 16 bytes in and 16 out
    assert paints["multiply"].lines == ["1.6 KiB"]


def test_what_was_made_outside_is_said_to_be_unmeasured_and_nothing_measured_is_an_error():
    y, report = profiled()
    assert by_name(colours_of(report, view_of(ag.tan(y)), backward=False).boxes)["tan"].lines == ["not measured"]
    with pytest.raises(ValueError, match=r"draw: this y was not made under that profile.*ag\.profile"):
        ag.draw(ag.exp(leaf(1.0)), colour=report)
    with pytest.raises(ValueError, match="draw: this y was not made under that profile"):
        ag.draw(ag.Scalar(1.0) + 2.0, colour=report)
    with pytest.raises(ValueError, match=r'draw: colour=.* takes "seconds" or "bytes", got \'calls\''):
        ag.draw(y, colour=(report, "calls"))


def test_what_is_no_colour_is_refused():
    with pytest.raises(TypeError, match=r'draw: colour must be the report of ag\.profile, .* got \'red\''):
        ag.draw(ag.exp(leaf(1.0)), colour="red")


# ---------------------------------------------------------------------- verdicts


@dataclass(frozen=True)
class Verdict:
    """What a report of gradcheck says of one call."""

    op: str
    scope: str
    call: int
    verdict: str
    cause: str = ""


class Report:
    def __init__(self, *by_op):
        self.by_op = list(by_op)


def checked():
    x = leaf(0.1, 0.2)
    with ag.scope("a"):
        h = ag.exp(ag.exp(x))
    with ag.scope("b"):
        h = ag.relu(ag.exp(h))
    return h.sum()


REPORT = Report(Verdict("exp", "a", 0, "right"), Verdict("exp", "a", 1, "wrong", "twice as much as differences say"),
                Verdict("exp", "b", 0, "right"), Verdict("relu", "b", 0, "at a kink", "x[0] is 0"))


def test_each_call_has_its_own_verdict_by_op_scope_and_place():
    colours = colours_of(REPORT, view_of(checked()), backward=False)
    assert [paint.lines for paint in colours.boxes.values()] == [
        ["✓ right"], ["✗ wrong", "twice as much as differences say"], ["✓ right"], ["∧ at a kink", "x[0] is 0"],
        ["? not checked"]]
    assert len({paint.style["fillcolor"] for paint in colours.boxes.values()}) == 4
    assert [text for _, text in colours.rows] == ["✗ wrong", "∧ at a kink", "? not checked", "✓ right"]


def test_a_folded_box_has_the_worst_verdict_and_says_of_how_many():
    colours = colours_of(REPORT, view_of(checked(), depth=0), backward=False)
    paints = by_name(colours.boxes)
    assert paints["a"].lines == ["✗ wrong (1 of 2 ops)", "twice as much as differences say"]
    assert paints["b"].lines == ["∧ at a kink (1 of 2 ops)", "x[0] is 0"]
    assert "wrong (1 of 2 ops)" in ag.draw(checked(), depth=0, colour=REPORT).source


# ---------------------------------------------------------------------- NaN and infinity


def test_the_first_op_that_makes_a_nan_is_marked_and_what_follows_is_tinted():
    x, w = leaf(1.0, -4.0, 2.0), leaf(1.0, 2.0, 3.0)
    with ag.keep(), np.errstate(all="ignore"):
        y = ((ag.log(ag.exp(w) * x) + w) - ag.sin(w)).sum()
    colours = colours_of("non-finite", view_of(y), backward=False)
    paints = by_name(colours.boxes)
    assert paints.keys() == {"log", "add", "subtract", "sum"}
    assert paints["log"].lines == ["first that is not finite:", "1 nan of 3"]
    assert paints["log"].style != paints["add"].style == paints["sum"].style
    assert "no gradients are kept" in colours.notes


def test_the_rule_that_gives_the_first_bad_gradient_is_marked():
    x = leaf(0.0, 4.0)
    broken = ag.Op(lambda x: np.sqrt(x)).vjp(lambda g, out: g / (2.0 * out))
    with ag.keep(), np.errstate(all="ignore"):
        y = ag.exp(broken(ag.sin(x * 1.0) * np.array([0.0, -1.0]))).sum()
        y.backward()
    view = view_of(y)
    colours = colours_of("non-finite", view, backward=False)
    paints = by_name(colours.boxes)
    assert paints["<lambda>"].lines == ["its rule gives the first gradient", "that is not finite"]
    assert "exp" not in paints
    assert {"sin", "multiply"} <= paints.keys()
    assert paints["sin"].lines == []
    beside = colours_of("non-finite", view, backward=True)
    assert "<lambda>" in by_name(beside.rules)
    assert "<lambda>" not in by_name(beside.boxes)


def test_a_leaf_that_is_not_finite_is_where_it_starts():
    x = leaf(np.inf, 1.0)
    with ag.keep():
        y = (x * 2.0).sum()
    view = view_of(y, {"x": x})
    colours = colours_of("non-finite", view, backward=False)
    [source] = view.folding.leaves
    assert colours.values[source].lines == ["not finite from the start"]
    assert all(not paint.lines for paint in colours.boxes.values())


def test_where_all_is_finite_the_picture_says_so():
    x = leaf(1.0, 2.0)
    with ag.keep():
        y = ag.exp(x).sum()
        y.backward()
    source = ag.draw(y, colour="non-finite").source
    assert "all values are finite" in source
    assert "all gradients are finite" in source
    with pytest.raises(ValueError, match=r'draw: colour="non-finite" looks at values.*with ag.keep\(\):'):
        ag.draw(ag.exp(x), colour="non-finite")


def test_scalars_have_their_values_always():
    a = ag.Scalar(1e200)
    y = (a * a) * 0.5
    paints = by_name(colours_of("non-finite", view_of(y), backward=False).boxes)
    assert len(paints) == 1  # both are called "*"
    [first, second] = colours_of("non-finite", view_of(y), backward=False).boxes.values()
    assert first.lines == ["first that is not finite:", "1 inf of 1"]
    assert second.lines == []
