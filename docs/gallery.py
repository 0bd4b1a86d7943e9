"""Makes the pictures of docs/gallery.md anew: `python docs/gallery.py [SECTION ...]`.

The page itself says how. In each section the `sh` and `python` blocks are run in an empty folder, and each picture that
the section shows, `pictures/<section>/<file>`, is taken from there by its file's name. So to add a picture, write it
into the page with the code that makes it, and run this.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["LARGEST", "Section", "make", "sections"]

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("gallery.md")
LARGEST = 300_000  # bytes of a picture: the repository keeps every version of it


class Section(NamedTuple):
    """A section of the page: its name in the form of a link, code blocks as (language, code), and its pictures."""

    name: str
    blocks: list[tuple[str, str]]
    pictures: list[str]


def sections(text: str) -> Iterator[Section]:
    """The sections that have pictures, as the page has them.

    >>> [found] = sections("## Two moons\\n```sh\\npython examples/a.py\\n```\\n![A](pictures/two-moons/a.png)")
    >>> found.name, found.blocks, found.pictures
    ('two-moons', [('sh', 'python examples/a.py\\n')], ['pictures/two-moons/a.png'])
    """
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        name = part.splitlines()[0].strip().lower().replace(" ", "-")
        blocks = re.findall(r"^```(sh|python)\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", part)
        if pictures:
            yield Section(name, blocks, pictures)


def make(section: Section, folder: Path) -> list[Path]:
    """Runs the section's code and puts its pictures into folder, under the paths that the page has.

    Raises RuntimeError where the code fails, or leaves no picture of that name, or one that is too large.
    """
    with tempfile.TemporaryDirectory() as work:
        for language, code in section.blocks:
            _run(section.name, language, code, Path(work))
        made = {picture: _found(section.name, Path(picture).name, Path(work)) for picture in section.pictures}
    for picture, content in made.items():
        target = folder / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return [folder / picture for picture in made]


def _run(section: str, language: str, code: str, work: Path) -> None:
    """One block, in the folder work; `python examples/x.py` means the example of this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    commands = [["-c", code]] if language == "python" else [_arguments(section, line) for line in code.splitlines()]
    for arguments in commands:
        done = subprocess.run([sys.executable, *arguments], cwd=work, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"gallery: the code of {section!r} failed:\n{done.stderr.strip()[-2000:]}")


def _arguments(section: str, line: str) -> list[str]:
    command, script, *options = shlex.split(line)
    if command != "python" or not (ROOT / script).is_file():
        raise RuntimeError(f"gallery: expected `python SCRIPT ...` with a script of this project in {section!r}, "
                           f"got {line!r}")
    return [str(ROOT / script), *options]


def _found(section: str, name: str, work: Path) -> bytes:
    files = sorted(work.rglob(name))
    if len(files) != 1:
        raise RuntimeError(f"gallery: the code of {section!r} must leave one file {name}, it left {len(files)}")
    content = files[0].read_bytes()
    if len(content) > LARGEST:
        raise RuntimeError(f"gallery: {name} of {section!r} has {len(content):,} bytes, more than {LARGEST:,}; "
                           "draw it smaller")
    return content


def main(argv: list[str] | None = None) -> None:
    known = {section.name: section for section in sections(PAGE.read_text(encoding="utf-8"))}
    parser = argparse.ArgumentParser(description="Makes the pictures of docs/gallery.md anew.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(known)}; all unless given")
    wanted = parser.parse_args(argv).sections
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f"there is no section {unknown[0]!r}; the page has {', '.join(known)}")
    for name in wanted or known:
        try:
            made = make(known[name], PAGE.parent)
        except RuntimeError as error:
            sys.exit(str(error))
        print(f"{name}: {', '.join(path.name for path in made)}")


if __name__ == "__main__":
    main()
