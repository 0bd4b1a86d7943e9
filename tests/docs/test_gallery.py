"""The gallery: what the page shows is there, and the script makes what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import gallery

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXT = (DOCS / "gallery.md").read_text(encoding="utf-8")
SECTIONS = list(gallery.sections(TEXT))
PICTURES = [picture for section in SECTIONS for picture in section.pictures]


def test_every_section_has_code_and_pictures_in_a_folder_of_its_own():
    assert len(SECTIONS) == TEXT.count("\n## ")
    for section in SECTIONS:
        assert section.blocks, section.name
        assert all(Path(picture).parent == Path("pictures") / section.name for picture in section.pictures)


@pytest.mark.parametrize("picture", PICTURES)
def test_each_picture_is_there_and_small(picture):
    content = (DOCS / picture).read_bytes()
    assert 1000 < len(content) < 300_000
    assert content.startswith(b"\x89PNG\r\n\x1a\n") if picture.endswith(".png") else b"<svg" in content


def test_no_picture_is_left_that_no_page_shows():
    pages = "".join(path.read_text(encoding="utf-8") for path in (*DOCS.rglob("*.md"), ROOT / "README.md"))
    files = [path.relative_to(DOCS).as_posix() for path in (DOCS / "pictures").rglob("*") if path.is_file()]
    assert sorted(PICTURES) == sorted(set(PICTURES))
    assert [file for file in files if file not in pages] == []


def test_each_script_that_the_page_names_exists():
    scripts = re.findall(r"python ((?:docs|examples)/\w+\.py)", TEXT)
    assert len(scripts) >= 4
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


def test_every_link_of_the_page_leads_somewhere():
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)#:]+)\)", TEXT)
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []


def page(code, language="python", picture="a.png"):
    [section] = gallery.sections(f"## Some part\n```{language}\n{code}\n```\n![A](pictures/some-part/{picture})\n")
    return section


def test_a_picture_comes_from_the_code_above_it(tmp_path):
    code = "import pathlib\npathlib.Path('out').mkdir()\npathlib.Path('out/a.png').write_bytes(b'picture')"
    assert gallery.make(page(code), tmp_path) == [tmp_path / "pictures" / "some-part" / "a.png"]
    assert (tmp_path / "pictures" / "some-part" / "a.png").read_bytes() == b"picture"


@pytest.mark.parametrize(("section", "message"), [
    (page("raise ValueError('no luck')"), r"the code of 'some-part' failed:[\s\S]*no luck"),
    (page("pass"), "must leave one file a.png, it left 0"),
    (page(f"open('a.png', 'wb').write(bytes({gallery.LARGEST + 1}))"), "has 300,001 bytes, more than 300,000"),
    (page("rm a.png", "sh"), "expected `python SCRIPT ...` with a script of this project in 'some-part', got 'rm"),
])  # fmt: skip
def test_code_that_does_not_make_its_picture_is_named(section, message, tmp_path):
    with pytest.raises(RuntimeError, match=message):
        gallery.make(section, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_section_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        gallery.main(["two-suns"])
    assert "there is no section 'two-suns'; the page has formula, reverse-pass, layers" in capsys.readouterr().err


@pytest.mark.needs("matplotlib")
def test_the_python_blocks_run(tmp_path):
    for section in SECTIONS:
        if all(language == "python" for language, _ in section.blocks):
            assert all(path.is_file() for path in gallery.make(section, tmp_path))
