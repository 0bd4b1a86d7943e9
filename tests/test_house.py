"""What holds of the whole tree: linters, the direction of imports, names, and what is shipped."""

import ast
import importlib
import shutil
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("autograd", "nn", "datasets")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))

# autograd's parts from the bottom to the top. A part imports from the lines above its own here, and its files
# from each other; parts on one line know nothing of each other. A new file finds its place in this table.
ORDER = (
    {"kernels", "scalar", "_atomic", "_extras", "_lazy"},
    {"graph"},
    {"tensor"},
    {"op"},
    {"ops"},
    {"backward"},
    {"operators", "numpy_face"},
    {"transforms"},
    {"check", "show"},
    {"__init__"},
)
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
USERS_OF_KERNELS = ("autograd/kernels/", "autograd/ops/", "nn/optim")
PUBLIC_KERNELS = ("autograd.kernels.threads", "autograd.kernels.memory")  # ag.set_num_threads; what import sets up
WITH_SHAPES = ("autograd/kernels/", "autograd/ops/", "nn/")  # where arrays are reshaped for a computation
KNOWN_BELOW = {"autograd": {"autograd"}, "nn": {"autograd", "nn"}, "datasets": {"datasets"}}


def run(*command, folder=ROOT):
    return subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True)


class Import(NamedTuple):
    name: str  # in full: autograd.ops.conv, or autograd.ops.conv.conv2d where that is taken out of it
    in_function: bool
    where: str

    @property
    def root(self) -> str:
        return self.name.split(".")[0]


def imports(path: Path) -> Iterator[Import]:
    """Every import statement of a file, relative ones written out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    in_functions = {node for function in functions for node in ast.walk(function)}
    folders = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = [*folders[: len(folders) + 1 - node.level]] if node.level else []
            start += [node.module] if node.module else []
            names = [".".join([*start, alias.name]) for alias in node.names]
        else:
            continue
        where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        yield from (Import(name, node in in_functions, where) for name in names)


def part_of_file(path: Path) -> str:
    """autograd/ops/conv.py -> ops, autograd/op.py -> op, autograd/__init__.py -> __init__"""
    return path.relative_to(ROOT / "autograd").with_suffix("").parts[0]


def part_of_name(name: str) -> str:
    """autograd.ops.conv -> ops; a name that is no file of autograd comes out of its __init__."""
    below = name.split(".")[1:2]
    is_file = below and any((ROOT / "autograd" / f"{below[0]}{end}").exists() for end in ("", ".py"))
    return below[0] if is_file else "__init__"


def module_of(path: Path) -> ModuleType:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return importlib.import_module(".".join(p for p in parts if p != "__init__"))


def test_imports_are_read_in_full():
    # the tests below pass where nothing is found, so what they stand on is tried on a file with all forms
    found = {i.name for i in imports(ROOT / "autograd" / "__init__.py")}
    assert {"autograd.scalar.Scalar", "autograd.tensor.Tensor", "autograd.operators"} <= found
    here = {(i.name, i.in_function) for i in imports(Path(__file__))}
    assert {("ast", False), ("pathlib.Path", False), ("importlib", False)} <= here
    assert part_of_name("autograd.ops.conv.conv2d") == part_of_file(ROOT / "autograd/ops/conv.py") == "ops"
    assert part_of_name("autograd.Tensor") == part_of_name("autograd") == "__init__"


def test_every_part_of_autograd_has_its_place_in_the_order():
    parts = {part_of_file(path) for path in (ROOT / "autograd").rglob("*.py")}
    assert parts == set(LEVEL), "ORDER and the files of autograd/ differ"


def test_imports_point_one_way_in_autograd():
    faults = [
        f"{found.where}: {part_of_file(path)} imports {found.name}"
        for path in (ROOT / "autograd").rglob("*.py")
        for found in imports(path)
        if found.root == "autograd" and part_of_name(found.name) != part_of_file(path)
        if LEVEL[part_of_name(found.name)] >= LEVEL[part_of_file(path)]
    ]
    assert faults == []


def test_imports_point_one_way_between_the_packages():
    faults = [
        f"{found.where}: imports {found.name}"
        for path in SOURCES
        for found in imports(path)
        if found.root in {*PACKAGES, "examples", "tests", "benchmarks"}
        if found.root not in KNOWN_BELOW[path.relative_to(ROOT).parts[0]]
    ]
    assert faults == []


def test_kernels_are_used_by_ops_and_optimizers_alone():
    faults = [
        f"{found.where}: imports {found.name}"
        for path in [*SOURCES, *EXAMPLES]
        for found in imports(path)
        if found.name.startswith("autograd.kernels") and not found.where.startswith(USERS_OF_KERNELS)
        if not (found.where.startswith("autograd/__init__.py") and found.name.startswith(PUBLIC_KERNELS))
    ]
    assert faults == []


def test_only_optional_packages_are_imported_inside_functions():
    own = {*PACKAGES, "numpy", *sys.stdlib_module_names}
    faults = [
        f"{found.where}: imports {found.name} inside a function"
        for path in [*SOURCES, *EXAMPLES]
        for found in imports(path)
        if found.in_function and found.root in own
    ]
    assert faults == []


def test_at_module_level_only_numpy_is_taken_from_outside():
    own = {*PACKAGES, "numpy", *sys.stdlib_module_names}
    faults = [
        f"{found.where}: imports {found.name} at module level"
        for path in SOURCES
        for found in imports(path)
        if not found.in_function and found.root not in own
    ]
    assert faults == []


def test_importing_the_packages_loads_numpy_and_nothing_else():
    program = (
        # numpy.random brings Cython's own modules along, and is loaded only when it is first used
        f"import sys, numpy.random; before = set(sys.modules); import {', '.join(PACKAGES)}; "
        f"own = {{*sys.stdlib_module_names, 'numpy', *{PACKAGES}}}; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - own))"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_parts_that_are_loaded_when_first_used_cost_an_import_nothing_and_are_seen_before():
    program = (
        "import sys, numpy; before = set(sys.modules); import autograd, nn; "
        "slow = {'json', 'zipfile', 'shutil', 'pathlib', 'nn.train', 'nn.plot', 'autograd.show', 'autograd.check'}; "
        "print(sorted(slow & (set(sys.modules) - before))); "
        "print([name for package in (autograd, nn) for name in package.__all__ if name not in dir(package)])"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "[]"]


def test_a_module_that_is_loaded_when_first_used_is_an_attribute_of_its_package():
    program = "import nn; print(nn.train.fit is nn.fit, nn.files.load is nn.load, nn.table.summary is nn.summary)"
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 3


def names_in_all(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return [name.value for name in ast.walk(node) if isinstance(name, ast.Constant)]
    return None


def has_names(path: Path) -> bool:
    """Whether there is more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body)


def test_every_public_module_says_what_is_public():
    public = [path for path in SOURCES if path.name == "__init__.py" or not path.name.startswith("_")]
    silent = [path for path in public if has_names(path) and names_in_all(path) is None]
    assert [path.relative_to(ROOT).as_posix() for path in silent] == []


def test_what_is_said_to_be_public_is_there():
    faults = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in names_in_all(path) or []
        if not hasattr(module_of(path), name)
    ]
    assert faults == []


def test_no_file_has_the_name_of_a_public_function_of_its_package():
    faults = []
    for init in (path for path in SOURCES if path.name == "__init__.py"):
        package = module_of(init)
        files = {path.stem for path in init.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
        taken = files & set(names_in_all(init) or [])
        functions = [name for name in taken if not isinstance(getattr(package, name), ModuleType)]
        faults += [f"{package.__name__}.{name} is a function and a file" for name in functions]
    assert faults == []


RESHAPING = {"reshape", "transpose", "swapaxes", "moveaxis", "expand_dims"}  # NumPy's, and the ops of these names


def reshapings(source: str) -> Iterator[int]:
    """The lines on which axes are reshaped or moved, by a method or a function. Docstrings are no calls.

    One kind of call is left out: where the shape or the axes are a parameter of the function around it, by its name, as
    in the ops of these names and their rules, `x.reshape(shape)` and `lambda g, x_shape: reshape(g, x_shape)`. They
    know no axes, and a comment could but say the parameter's name again.
    """

    def visit(node: ast.AST, parameters: set[str]) -> Iterator[int]:
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            parameters = {name.arg for name in ast.walk(node.args) if isinstance(name, ast.arg)}
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) in RESHAPING:
            is_method = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) != "np"
            target = node.args if is_method else node.args[1:]  # a shape, or axes
            if not (len(target) == 1 and isinstance(target[0], ast.Name) and target[0].id in parameters):
                yield node.func.end_lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child, parameters)

    yield from visit(ast.parse(source), set())


def lines_with_shape_comments(source: str) -> set[int]:
    tokens = tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT and "->" in token.string}


def without_shape_comment(source: str) -> list[int]:
    said = lines_with_shape_comments(source)
    return [line for line in sorted(set(reshapings(source))) if not {line - 1, line} & said]


@pytest.mark.parametrize("source", [
    "y = x.reshape(-1)  # flat",
    "y = x.reshape(-1)  # (..) -> (n,)\n\nz = x.reshape(-1)",
    "def f(x: A) -> A:\n    return x.swapaxes(0, 1)",
    "y = (\n    g(x)  # (N, C) -> (N, D)\n    + 1\n    + x\n    .transpose(0, 1)\n)",
    "# (N, C) -> (C, N)\n\ny = np.moveaxis(x, 0, 1)",
    "y = '# -> ' + expand_dims(x, 0)",
    "f = lambda g, axes: transpose(g, inverse(axes))",
    "def f(x):\n    shape = 1, 2\n    return x.reshape(shape)",
    "def f(x, channels):\n    return x.reshape(36, channels)",
])
def test_a_missing_shape_comment_is_seen(source):
    assert len(without_shape_comment(source)) == 1


@pytest.mark.parametrize("source", [
    "y = x.reshape(-1)  # (..) -> (n,)",
    "# (..) -> (n,)\ny = x.reshape(-1)",
    '""">>> x.reshape(-1)"""\n# x.reshape(-1)',
    "f = lambda g, x_shape: reshape(g, x_shape)",
    "def f(x, shape):\n    return np.asarray(x).reshape(shape)",
    "def f(x, axes):\n    return np.transpose(x, axes)",
])
def test_a_shape_comment_is_missed_only_where_axes_are_known(source):
    assert without_shape_comment(source) == []


def test_each_reshaping_line_says_from_which_shape_to_which():
    files = [path for path in SOURCES if path.relative_to(ROOT).as_posix().startswith(WITH_SHAPES)]
    assert sum(len(list(reshapings(path.read_text("utf-8")))) for path in files) > 50  # else nothing is looked at
    faults = [
        f"{path.relative_to(ROOT).as_posix()}:{line}: a shape comment is missing: (N, H, W, C) -> (N, H*W*C)"
        for path in files
        for line in without_shape_comment(path.read_text("utf-8"))
    ]
    assert faults == []


@pytest.mark.needs("ruff")
def test_ruff_finds_nothing():
    done = run(sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_scripts_and_styles_keep_to_a_width():
    files = [path for end in ("js", "css") for path in (ROOT / "autograd").rglob(f"*.{end}")]
    assert files
    wide = [f"{path.name}:{number}" for path in files
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 120]
    assert wide == []


@pytest.mark.needs("mypy")
def test_mypy_finds_nothing():
    done = run(sys.executable, "-m", "mypy")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory):
    """What the wheel holds, built from a copy, so that no trace is left here."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "benchmarks", "examples", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    build = f"from hatchling import build; build.build_wheel({str(out)!r})"
    done = run(sys.executable, "-c", build, folder=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = out.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.needs("hatchling")
class TestWheel:
    def test_it_holds_the_three_packages_alone(self, wheel_files):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["version"] == module_of(ROOT / "autograd" / "__init__.py").__version__
        about = f"im2grad-{project['version']}.dist-info"
        assert {name.split("/")[0] for name in wheel_files} == {*PACKAGES, about}

    def test_no_source_file_is_forgotten(self, wheel_files):
        assert {path.relative_to(ROOT).as_posix() for path in SOURCES} - wheel_files == set()

    def test_the_files_of_the_page_of_replay_are_in_it(self, wheel_files):
        page = {p.relative_to(ROOT).as_posix() for p in (ROOT / "autograd" / "show" / "replay_page").iterdir()}
        assert {Path(name).suffix for name in page} == {".html", ".css", ".js"}
        assert page <= wheel_files

    def test_the_digits_the_types_and_the_notices_are_in_it(self, wheel_files):
        data = {p.relative_to(ROOT).as_posix() for p in (ROOT / "datasets" / "data").iterdir() if p.is_file()}
        assert "datasets/data/mnist_small.npz" in data
        assert data <= wheel_files
        assert {f"{package}/py.typed" for package in PACKAGES} <= wheel_files
        notices = {Path(name).name for name in wheel_files if "dist-info" in name}
        assert {"LICENSE", "NOTICE"} <= notices


def test_no_tracked_file_is_larger_than_five_megabytes():
    if shutil.which("git") is None or run("git", "rev-parse", "--git-dir").returncode != 0:
        pytest.skip("not a git checkout: nothing tells what is tracked")
    tracked = run("git", "ls-files", "-z").stdout.split("\0")
    large = [name for name in tracked if (ROOT / name).is_file() and (ROOT / name).stat().st_size > 5_000_000]
    assert large == []


def test_no_test_skips_for_a_missing_extra_on_its_own():
    # pytest's own way would skip with REQUIRE_EXTRAS=1 too; `needs` does not
    word = "import" + "orskip"
    users = [str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*.py") if word in p.read_text("utf-8")]
    assert users == []
