""".ci/run runs the README's own set-up lines, and cannot pass where they fail or are missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = """
# A project

```sh
echo not this one
```

## Set-up

Some text.

```sh
echo first: REQUIRE_EXTRAS is $REQUIRE_EXTRAS; pwd; cat
```

```python
print("no shell")
```

```sh
{second}
```

```sh
echo not this one
```
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout with .ci alone, and a PATH on which a browser is found already: no test here is to install one."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for name in ("chromium", "chromedriver"):
        program(tmp_path / "bin", name, "exit 9")
    return tmp_path


def program(folder, name, does):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{does}\n")
    (folder / name).chmod(0o755)


def run(checkout, readme):
    (checkout / "README.md").write_text(readme)
    home = {name: value for name, value in os.environ.items() if name != "REQUIRE_EXTRAS"}
    home["PATH"] = f"{checkout / 'bin'}:{home['PATH']}"
    # given something on stdin, of which the lines must see nothing
    return subprocess.run(
        [checkout / ".ci" / "run"],
        cwd="/",
        env=home,
        input="typed by somebody\n",
        capture_output=True,
        text=True,
    )


def test_it_runs_both_lines_in_the_root_with_extras_required_and_no_stdin(checkout):
    done = run(checkout, README.format(second="echo second; echo 1 passed"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    start = lines.index("first: REQUIRE_EXTRAS is 1")
    assert Path(lines[start + 1]).samefile(checkout)
    assert lines[start + 2 :] == ["", "$ echo second; echo 1 passed", "second", "1 passed"]
    assert "not this one" not in done.stdout
    assert "typed by somebody" not in done.stdout


def test_it_fails_as_a_line_fails(checkout):
    assert run(checkout, README.format(second="echo 1 failed; exit 3")).returncode == 3
    done = run(checkout, README.replace("pwd; cat", "exit 4").format(second="echo second"))
    assert done.returncode == 4
    assert "second" not in done.stdout


@pytest.mark.parametrize(("readme", "message"), [
    (README.replace("## Set-up", "## Installing"), 'README.md has 0 `sh` blocks under the heading "Set-up"'),
    (README.split("```python")[0], 'README.md has 1 `sh` blocks under the heading "Set-up", and must have two'),
    (README.format(second="echo a\necho b"), 'block under "Set-up" in README.md has 2 lines, not one'),
])  # fmt: skip
def test_it_says_what_it_misses_in_the_readme(checkout, readme, message):
    done = run(checkout, readme)
    assert done.returncode == 1
    assert message in done.stderr
    assert "not this one" not in done.stdout


def test_the_readme_of_this_project_has_both_lines(checkout):
    # the real README, with each line's commands told instead of run
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = readme.replace("&&", "then").replace("||", "or").replace("```sh\n", "```sh\necho told: ")
    done = run(checkout, told)
    assert done.returncode == 0, done.stderr
    first, second = (line for line in done.stdout.splitlines() if line.startswith("told: "))
    assert "python3 -m venv" in first
    assert "install -q -e .[plot] then" in first
    assert first.endswith(".venv/bin/python examples/train_cnn.py")
    assert "python3 -m venv" in second
    assert "install -q -e .[test] then" in second
    assert second.endswith(".venv/bin/python -m pytest")


# -------------------------------------------------------------------- .ci/extras


def extras(folder, uid, *programs):
    """.ci/extras for a user of that number, with these programs alone, which tell what they are called with."""
    program(folder, "id", f"echo {uid}")
    for name in programs:
        program(folder, name, f'echo "{name} $*"' + ("; exec \"$@\"" if name == "sudo" else ""))
    bash = shutil.which("bash")
    return subprocess.run([bash, ROOT / ".ci" / "extras"], env={"PATH": str(folder)}, capture_output=True, text=True)


INSTALL = "install -y -qq --no-install-recommends chromium chromium-driver"


def test_extras_installs_nothing_where_the_browser_is_there(tmp_path):
    done = extras(tmp_path / "bin", 0, "chromium", "chromedriver", "apt-get")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ".ci/extras: chromium and chromedriver are there\n"


@pytest.mark.parametrize("there", [(), ("chromium",), ("chromedriver",)])
def test_extras_installs_browser_and_driver_as_root(tmp_path, there):
    done = extras(tmp_path / "bin", 0, "apt-get", "sudo", *there)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["apt-get update -qq", f"apt-get {INSTALL}",
                                        ".ci/extras: chromium and chromedriver are installed"]


def test_extras_asks_sudo_where_it_is_not_root(tmp_path):
    done = extras(tmp_path / "bin", 1000, "apt-get", "sudo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == ["sudo apt-get update -qq", "apt-get update -qq", f"sudo apt-get {INSTALL}",
                                            f"apt-get {INSTALL}"]


def test_extras_says_what_is_missing_where_there_is_no_apt_get(tmp_path):
    done = extras(tmp_path / "bin", 0, "chromium")
    assert done.returncode == 1
    assert "chromium or chromedriver is missing, and there is no apt-get to install it" in done.stderr
