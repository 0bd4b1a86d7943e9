"""The page of ag.replay in a real browser: clicked through, read, and compared with finite differences."""

import json
import re

import numpy as np
import pytest

import autograd as ag
import nn

try:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait
except ModuleNotFoundError:  # then the tests are skipped: they are marked as in need of it
    pass

pytestmark = [pytest.mark.needs("graphviz", "pygraphviz", "selenium"),
              pytest.mark.needs_programs("chromium", "chromedriver")]

# Each gradient that the page shows: of what, numbers or cells of a heat map as they are drawn, what is to be read
# there, the shape, and of heat maps the scale; last, whether contributions are still to come.
READ = """
const isComplete = (holder) => holder.dataset.complete ? holder.dataset.complete === 'true'
  : gradientAfter(data.values.findIndex((v) => v.label === holder.dataset.gradientOf), steps[current].last)?.[1];
return [...document.querySelectorAll('#step [data-gradient-of]')].map((holder) => {
  const figures = [...holder.querySelectorAll('figure')];
  const figure = figures.at(-1);
  if (!figure) return [holder.dataset.gradientOf, null, holder.textContent, null, null, false];
  const shape = figure.dataset.shape ? figure.dataset.shape.split(',').map(Number) : [];
  const numbers = [...figure.querySelectorAll('[data-value]')];
  const array = data.arrays[figure.dataset.array];
  const values = numbers.length ? numbers.map((e) => Number(e.dataset.value)) : [...cellsOf(array)];
  const texts = numbers.length ? numbers.map((e) => e.textContent) : figure.querySelector('.about').textContent;
  return [holder.dataset.gradientOf, values, texts, shape,
    numbers.length ? null : [array.scale, array.plane, array.stats], isComplete(holder)];
});
"""


class Page:
    """A page in the browser, as somebody uses it."""

    def __init__(self, driver, path, width=1280, height=800, theme="light"):
        self.driver = driver
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                               dict(width=width, height=height, deviceScaleFactor=1, mobile=False))
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                               {"features": [{"name": "prefers-color-scheme", "value": theme},
                                             {"name": "prefers-reduced-motion", "value": "reduce"}]})
        driver.get("about:blank")
        self.log()  # what was there before
        driver.get(path.as_uri())

    def log(self):
        return self.driver.get_log("browser")

    def run(self, script):
        return self.driver.execute_script(script)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self):
        return self.find("#step").text

    def event(self):
        return int(self.find("#step").get_attribute("data-event"))

    def press(self, *keys):
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def click(self, selector):
        """A click of the mouse in the middle of an element, made by the browser itself."""
        x, y = self.run(f"const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                        "return [r.x + r.width / 2, r.y + r.height / 2]")
        for kind in ("mousePressed", "mouseReleased"):
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent",
                                        dict(type=kind, x=x, y=y, button="left", clickCount=1))

    def gradients(self):
        """(label, numbers, what is to be read) of each gradient that is shown in this step."""
        return self.run(READ)


@pytest.fixture
def open_page(chromium, tmp_path):
    pages = []

    def open_it(y, width=1280, height=800, theme="light", **options):
        page = Page(chromium, ag.replay(y, tmp_path / "page.html", **options), width, height, theme)
        pages.append(page)
        return page

    yield open_it
    for page in pages:
        assert [entry["message"] for entry in page.log()] == []


def as_planes(array, plane):
    """What a heat map shows, and in which order."""
    if plane == "kernel":
        return array.transpose(3, 2, 0, 1)
    return array.transpose(0, 3, 1, 2) if plane == "channel" else array


def assert_shown(shown, expected):
    """That the numbers on the page, and what is to be read there, are the expected ones."""
    _, values, texts, shape, heat, _ = shown
    expected = np.asarray(expected)
    assert tuple(shape) == expected.shape
    if heat is None:
        np.testing.assert_allclose(np.reshape(values, shape), expected, rtol=1e-5, atol=1e-7)
        read = [float(text.replace("−", "-")) for text in texts]
        np.testing.assert_allclose(read, expected.ravel(), rtol=6e-4, atol=1e-7)  # four digits
        return
    scale, plane, stats = heat
    cells = as_planes(expected, plane).ravel()[: len(values)]
    np.testing.assert_allclose(values, cells, atol=scale / 30_000 + 1e-7)
    np.testing.assert_allclose(stats, [expected.min(), expected.mean(), expected.max()], rtol=1e-5, atol=1e-7)
    read = [float(x) for x in re.findall(r"(?:min|mean|max) (\S+?)(?:[,;]|$)", texts.replace("−", "-"))]
    np.testing.assert_allclose(read, stats, rtol=6e-4, atol=1e-9)


def click_through(page, expected):
    """Clicks "next" from the first step to the last; each complete gradient that is shown must be as expected.

    expected  by label: the gradient of each value. Gives the labels that were seen.
    """
    n_steps = page.run("return steps.length")
    seed = page.run("return SEED")
    seen, waiting = set(), set()
    for number in range(n_steps):
        event, gradients = page.run("return [steps[current].last, (() => {" + READ + "})()]")
        assert event == number
        for shown in gradients:
            label, values = shown[0], shown[1]
            if values is None:
                assert "not computed" in shown[2]
                waiting.add(label)
                continue
            assert event >= seed, f"{label} has a gradient before the backward pass"
            if shown[-1]:
                assert_shown(shown, expected[label])
                seen.add(label)
        if number < n_steps - 1:
            page.click("#next")
    assert not page.find("#next").is_enabled()
    assert waiting == seen == set(expected)
    return seen


def central(f, x, step=1e-6):
    """Finite differences of f by each element of x, an array that f reads."""
    slope = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        old = x[place]
        ends = []
        for sign in (1, -1):
            x[place] = old + sign * step
            ends.append(f())
        x[place] = old
        slope[place] = (ends[0] - ends[1]) / (2 * step)
    return slope


def numeric_gradients(stages, leaves):
    """Finite differences of a calculation by its leaves and by each result on the way.

    stages  (label, function of the values so far) in order; the last gives the number to be differentiated
    leaves  arrays by label
    """
    values = {label: np.array(value, dtype=float) for label, value in leaves.items()}
    for label, stage in stages:
        values[label] = np.array(stage(values), dtype=float)
    found = {}
    for at, label in enumerate([*leaves, *(label for label, _ in stages)]):
        later = stages[max(at - len(leaves) + 1, 0):]

        def rest(later=later):
            moved = dict(values)
            for name, stage in later:
                moved[name] = np.asarray(stage(moved), dtype=float)
            return float(moved[stages[-1][0]])

        found[label] = central(rest, values[label])
    return found


# -------------------------------------------------------------------- clicked through


def test_a_scalar_expression(open_page):
    a, b = ag.Scalar(2.0), ag.Scalar(-0.5)
    p = a * b
    q = p + a
    h = q.tanh()
    y = h * h
    names = dict(a=a, b=b, p=p, q=q, h=h, y=y)
    page = open_page(y, names=names)
    stages = [("p", lambda v: v["a"] * v["b"]), ("q", lambda v: v["p"] + v["a"]), ("h", lambda v: np.tanh(v["q"])),
              ("y", lambda v: v["h"] ** 2)]
    click_through(page, numeric_gradients(stages, {"a": 2.0, "b": -0.5}))
    assert all(scalar.grad is None for scalar in names.values())


def test_an_mlp(open_page):
    rng = np.random.default_rng(0)
    leaves = {"x": rng.normal(size=(4, 3)), "w": rng.normal(size=(3, 5)), "b": rng.normal(size=5),
              "v": rng.normal(size=(5, 2))}
    t = {label: ag.Tensor(value, requires_grad=True) for label, value in leaves.items()}
    with ag.keep():
        with ag.scope("hidden"):
            t["product"] = t["x"] @ t["w"]
            t["sum"] = t["product"] + t["b"]
            t["h"] = ag.tanh(t["sum"])
        with ag.scope("out"):
            t["out"] = t["h"] @ t["v"]
            t["squares"] = ag.square(t["out"])
            t["mean"] = ag.mean(t["squares"])
        with ag.scope("penalty"):  # by which v reaches the loss along three paths
            t["v2"] = t["v"] * t["v"]
            t["total"] = t["v2"].sum()
            t["loss"] = t["mean"] + t["total"]
    stages = [("product", lambda v: v["x"] @ v["w"]), ("sum", lambda v: v["product"] + v["b"]),
              ("h", lambda v: np.tanh(v["sum"])), ("out", lambda v: v["h"] @ v["v"]),
              ("squares", lambda v: v["out"] ** 2), ("mean", lambda v: v["squares"].mean()),
              ("v2", lambda v: v["v"] ** 2), ("total", lambda v: v["v2"].sum()),
              ("loss", lambda v: v["mean"] + v["total"])]
    click_through(open_page(t["loss"], names=t), numeric_gradients(stages, leaves))


def convolved(x, w, b):
    """A convolution without padding: every window of x times w."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], (1, 2))  # (N, OH, OW, C, KH, KW)
    return np.tensordot(windows, w, ([4, 5, 3], [0, 1, 2])) + b


def pooling_windows(x):
    """The four numbers of each window of max_pool2d(x, 2): (windows, 4)."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)


def pooled(x):
    n, h, w, c = x.shape
    return pooling_windows(x).max(axis=1).reshape(n, h // 2, w // 2, c)


def cross_entropy(logits, targets):
    return np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(targets)), targets])


@pytest.fixture(scope="module")
def cnn():
    """conv-relu-pool-conv-relu-pool-dense: (Tensors by name, stages for finite differences, leaves)."""
    rng = np.random.default_rng(5)
    leaves = {"image": rng.uniform(size=(1, 14, 14, 1)), "w1": rng.normal(size=(3, 3, 1, 2)), "b1": np.ones(2),
              "w2": rng.normal(size=(3, 3, 2, 3)), "b2": np.array([2.0, 3.0, 2.0]), "w3": rng.normal(size=(12, 4)) / 3}
    target = np.array([2])
    t = {label: ag.Tensor(value, requires_grad=True) for label, value in leaves.items()}
    with ag.keep():
        with ag.scope("features"):
            with ag.scope("block1"):
                t["conv1"] = ag.conv2d(t["image"], t["w1"], t["b1"])
                t["relu1"] = ag.relu(t["conv1"])
                t["pool1"] = ag.max_pool2d(t["relu1"], 2)
            with ag.scope("block2"):
                t["conv2"] = ag.conv2d(t["pool1"], t["w2"], t["b2"])
                t["relu2"] = ag.relu(t["conv2"])
                t["pool2"] = ag.max_pool2d(t["relu2"], 2)
        with ag.scope("head"):
            t["flat"] = ag.flatten(t["pool2"], 1)
            t["logits"] = t["flat"] @ t["w3"]
            t["loss"] = nn.functional.cross_entropy(t["logits"], target)
    for name in ("relu1", "relu2"):  # finite differences tell nothing at kinks
        values = np.sort(pooling_windows(t[name].data), axis=1)
        assert values[:, 0].min() == 0
        assert (values[:, -1] - values[:, -2]).min() > 1e-4
    stages = [
        ("conv1", lambda v: convolved(v["image"], v["w1"], v["b1"])), ("relu1", lambda v: np.maximum(v["conv1"], 0)),
        ("pool1", lambda v: pooled(v["relu1"])), ("conv2", lambda v: convolved(v["pool1"], v["w2"], v["b2"])),
        ("relu2", lambda v: np.maximum(v["conv2"], 0)), ("pool2", lambda v: pooled(v["relu2"])),
        ("flat", lambda v: v["pool2"].reshape(1, -1)), ("logits", lambda v: v["flat"] @ v["w3"]),
        ("loss", lambda v: cross_entropy(v["logits"], target)),
    ]  # fmt: skip
    return t, stages, leaves


def test_the_cnn(open_page, cnn):
    t, stages, leaves = cnn
    page = open_page(t["loss"], names=t)
    click_through(page, numeric_gradients(stages, leaves))
    assert page.run("return document.querySelectorAll('canvas').length") > 0


# -------------------------------------------------------------------- what a step tells


def test_a_step_shows_op_rule_source_gradient_derivative_and_sum(open_page):
    x = ag.Tensor([0.5, 2.0], requires_grad=True, dtype=np.float64)
    with ag.keep():
        y = (ag.exp(x) * x).sum()
    page = open_page(y, names={"x": x})
    page.press("b")
    page.press(*["\ue014"] * 2)  # →: the sum, then the product
    assert page.find("#heading").text == "multiply"
    [first, second] = page.driver.find_elements("css selector", "#step [data-part]")
    assert [card.get_attribute("data-part") for card in (first, second)] == ["exp", "x"]
    assert "lambda g, y: g * y" in first.text
    assert "autograd/ops/elementwise.py:" in first.text
    assert first.find_element("css selector", "math").text.replace("\n", "") == "∂L∂x=g⊙y"
    local = [float(e.get_attribute("data-value"))
             for e in second.find_elements("css selector", "[data-role=local] [data-value]")]
    assert local == pytest.approx(np.exp([0.5, 2.0]))
    assert "this is path 1" in second.text
    page.press("\ue014")
    [card] = page.driver.find_elements("css selector", "#step [data-part]")
    for role, expected in (("before", np.exp(x.data)), ("added", np.exp(x.data) * x.data),
                           ("after", np.exp(x.data) * (1 + x.data))):
        shown = [float(e.get_attribute("data-value"))
                 for e in card.find_elements("css selector", f"[data-role={role}] [data-value]")]
        assert shown == pytest.approx(expected)
    assert "the changes add up" in card.text
    assert "Now the gradient is complete" in card.text


def test_values_and_gradients_are_not_computed_until_they_are(open_page):
    a = ag.Scalar(3.0)
    page = open_page(a.exp() * a, names={"a": a})
    boxes = ("return [...document.querySelectorAll('.box')]"
             ".map((box) => [...box.querySelectorAll('.amount')].map((text) => text.textContent))")
    nothing = ["not computed", "∂ not computed"]
    assert page.run(boxes) == [["3", "∂ not computed"], nothing, nothing]
    page.press("\ue014")
    assert page.run(boxes)[1] == ["20.09", "∂ not computed"]
    page.press("\ue010")  # End
    assert page.run(boxes) == [["3", "∂ 80.34"], ["20.09", "∂ 3"], ["60.26", "∂ 1"]]
    page.press("\ue011")  # Home
    assert page.run(boxes)[2] == nothing


# -------------------------------------------------------------------- controls


def test_the_keyboard_alone_is_enough(open_page, cnn):
    t, _, _ = cnn
    page = open_page(t["loss"], names=t)
    end = page.run("return END")
    page.press("\ue014", "\ue014", "\ue012")
    assert page.event() == 1
    page.press("b")
    assert "The backward pass starts" in page.text()
    page.press("\ue014", "\ue014", "\ue014")
    before = page.run("return steps.length")
    page.press("f")  # closes the innermost group of this step
    assert page.run("return steps.length") < before
    assert "Press F to open the group" in page.text()
    page.press("f")
    assert page.run("return steps.length") == before
    page.press("F")
    assert page.run("return steps.length") == 2 * 2 + 3  # two groups, forward and backward, and three steps besides
    page.press("F")
    assert page.run("return steps.length") == before
    page.press("\ue010")
    assert page.event() == end
    page.press("?")
    assert page.find("#help").is_displayed()
    page.press("\ue00c")  # Escape
    assert not page.find("#help").is_displayed()
    scale = page.run("return camera.scale")
    page.press("+")
    assert page.run("return camera.scale") > scale
    page.press("0")
    page.press("t")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    reached = set()
    for _ in range(20):  # Tab goes to every control, and focus can be seen there
        page.press("\ue004")
        focus = page.run("const e = document.activeElement; return [e.id, getComputedStyle(e).outlineStyle]")
        reached.add(focus[0])
        if focus[0]:
            assert focus[1] != "none", focus[0]
    assert {"fit", "theme", "help-open", "graph", "step", "slider", "speed", "play", "first", "previous"} <= reached


def test_slider_play_clicks_and_links_go_to_steps(open_page):
    a = ag.Scalar(3.0)
    page = open_page(a.exp() * a, names={"a": a})
    page.find("#slider").send_keys("\ue014")
    assert page.event() == 1
    page.run("document.getElementById('speed').value = '4'")
    page.find("#play").click()
    WebDriverWait(page.driver, 3, poll_frequency=0.05).until(lambda _: page.event() >= 2)
    page.find("#play").click()
    stopped = page.event()
    assert page.find("#play").text == "Play"
    page.driver.find_element("css selector", ".box[data-box='1']").click()
    assert page.find("#heading").text == "exp"
    assert page.run("return location.hash") == f"#step={page.event()}"
    page.driver.get(page.driver.current_url.split("#")[0] + "#step=4")
    assert page.event() == 4
    assert stopped >= 2
    assert page.find("#said").get_attribute("aria-live") == "polite"
    assert "Step 4 of" in page.find("#said").get_attribute("textContent")


def test_groups_are_closed_and_opened_with_the_gradient_in_and_out(open_page, cnn):
    t, _, _ = cnn
    page = open_page(t["loss"], names=t, depth=0)
    assert page.run("return steps.length") == 7
    page.press("b", "\ue014", "\ue014")
    assert page.find("#heading").text == "features"
    shown = {label: values for label, values, *_ in page.gradients()}
    assert set(shown) == {"pool2", "image", "w1", "b1", "w2", "b2"}
    reference = ag.gradients(t["loss"], [t["b1"]], retain_graph=True)[0].data
    np.testing.assert_allclose(shown["b1"], reference)
    covers = "return document.querySelectorAll('.frame.closed').length"
    assert page.run(covers) == 2
    page.driver.find_element("css selector", ".frame.closed .cover[data-frame]").click()
    assert page.run(covers) == 3  # features is open now, and the two blocks in it are closed
    assert page.find("#heading").text == "features/block1"


# -------------------------------------------------------------------- windows, colours, speed


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(open_page, cnn, theme):
    t, _, _ = cnn
    page = open_page(t["loss"], width=375, height=812, theme=theme, names=t)
    widths = page.run("""const widths = [], step = document.getElementById('step');
        for (let i = 0; i < steps.length; i += 1) {
          show(i);
          widths.push([document.documentElement.scrollWidth, step.scrollWidth - step.clientWidth]);
        }
        return widths;""")
    assert len(widths) == 21  # nine ops, forward and backward, and three steps besides
    assert all(found == [375, 0] for found in widths)
    wide = page.run("return [...document.querySelectorAll('button, select, input')].filter((e) => e.offsetParent)"
                    ".map((e) => e.getBoundingClientRect()).filter((r) => r.right > 375 || r.left < 0).length")
    assert wide == 0
    small = page.run("return [...document.querySelectorAll('button')].filter((e) => e.offsetParent && "
                     "(e.offsetWidth < 44 || e.offsetHeight < 44)).map((e) => e.id)")
    assert small == []


def luminance(colour):
    r, g, b = ((c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
               for c in (int(x) / 255 for x in re.findall(r"\d+", colour)[:3]))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_readable_on_a_light_and_on_a_dark_background(open_page, theme):
    a = ag.Scalar(3.0)
    page = open_page(a.exp() * a, theme=theme, names={"a": a})
    page.press("\ue010", "\ue012")
    background = page.run("return getComputedStyle(document.querySelector('#step')).backgroundColor")
    assert (luminance(background) < 0.1) == (theme == "dark")
    for selector in ("#heading", "#step p", ".number", ".quiet", "#step h3", ".legend li"):
        colour = page.run(f"return getComputedStyle(document.querySelector({selector!r})).color")
        one, other = sorted((luminance(colour), luminance(background)))
        assert (other + 0.05) / (one + 0.05) >= 4.5, selector  # WCAG 2.2, 1.4.3


def test_two_hundred_ops_open_within_a_second(open_page, tmp_path):
    z = x = ag.Tensor(np.random.default_rng(0).normal(size=(32, 32)), requires_grad=True)
    with ag.keep():
        for i in range(100):
            with ag.scope(f"block{i // 10}"):
                z = ag.tanh(z * 1.01)
        y = z.sum()
    page = open_page(y, names={"x": x})
    assert (tmp_path / "page.html").stat().st_size < 2_000_000
    assert page.run("return document.querySelectorAll('.box').length") == 302  # ops, their constants, x
    loaded = "return performance.timing.loadEventEnd - performance.timing.navigationStart"
    painted = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    times = []
    for _ in range(3):  # the best of three: others may work on this machine, too
        paint = WebDriverWait(page.driver, 5, poll_frequency=0.02).until(lambda _: page.run(painted))
        times.append(max(page.run(loaded), paint))
        if times[-1] < 1000:
            break
        page.driver.refresh()
    assert min(times) < 1000


def test_the_page_asks_for_nothing(open_page, cnn, chromium):
    chromium.get_log("performance")
    t, _, _ = cnn
    page = open_page(t["loss"], names=t)
    page.run("for (let i = 0; i < steps.length; i += 1) show(i);")
    messages = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    itself = page.driver.current_url.split("#")[0]
    assert [url for url in asked if not url.startswith((itself, "data:", "about:"))] == []
    assert any(url.startswith(itself) for url in asked)  # the log does tell


def test_hostile_names_are_shown_as_text(open_page):
    x = ag.Tensor([1.0], requires_grad=True)
    name = '</script><img src=x onerror="document.title=1"> & \' é'
    with ag.keep(), ag.scope("<b>s</b>"):
        y = x * 2
    page = open_page(y, names={name: x})
    assert name in page.text()
    page.press("\ue014")
    assert "<b>s</b>" in page.text()
    assert page.driver.title == "Backward pass of multiply"
    assert page.driver.find_elements("css selector", "img, b") == []
