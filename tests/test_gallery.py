"""The gallery: every lesson has its figure and sentence, and the README shows them between two marks."""

import json

import nbformat
import pytest

from lessons_lib import gallery
from lessons_lib.press.runner import lessons_named


@pytest.mark.parametrize("path", lessons_named([]), ids=lambda p: p.stem)
def test_one_cell_stands_for_each_lesson(path):
    cells = nbformat.read(path, as_version=4).cells
    tagged = [c for c in cells if "gallery" in c.metadata.get("tags", ())]
    assert len(tagged) == 1 and tagged[0].metadata["sentence"].endswith(".")
    recorded = "".join(c.source for c in cells)
    assert "lesson.record" in recorded


@pytest.fixture
def root(tmp_path):
    (tmp_path / "README.md").write_text(f"# x\n{gallery.BEGIN}\nold\n{gallery.END}\nafter\n")
    site = tmp_path / "site"
    site.mkdir()
    told = {"title": "A <b>", "alt": 'x "y"', "sentence": "1 < 2.", "picture": "01_eta.png"}
    (site / "lessons.json").write_text(json.dumps({"01_eta": told}))
    for name in ("01_eta.png", "01_eta.html", "search.js", "01_eta.ipynb"):
        (site / name).write_bytes(b"12")
    return tmp_path


def test_the_readme_shows_each_lesson_between_its_marks(root):
    gallery.write_gallery(root / "site", root)
    text = (root / "README.md").read_text()
    assert text.startswith(f"# x\n{gallery.BEGIN}\n<table>") and text.endswith(
        f"{gallery.END}\nafter\n"
    )
    assert "old" not in text and "1 &lt; 2." in text and "A &lt;b&gt;" in text
    assert 'alt="x &quot;y&quot;"' in text and 'src="docs/gallery/01_eta.png"' in text
    assert (root / "docs" / "gallery" / "01_eta.png").read_bytes() == b"12"
    gallery.write_gallery(root / "site", root)
    assert (root / "README.md").read_text() == text


def test_a_site_keeps_what_is_published(root):
    assert gallery.published(root / "site") > 6
    assert not (root / "site" / "01_eta.ipynb").exists() and (root / "site" / "search.js").exists()


@pytest.mark.parametrize(
    ("readme", "sentence", "words"),
    [("no marks", "1.", "lacks"), (f"{gallery.BEGIN}{gallery.END}", "", "no cell tagged")],
)
def test_what_lacks_is_said(root, readme, sentence, words):
    (root / "README.md").write_text(readme)
    told = {"title": "A", "alt": "", "sentence": sentence, "picture": "01_eta.png"}
    (root / "site" / "lessons.json").write_text(json.dumps({"01_eta": told}))
    with pytest.raises(ValueError, match=words):
        gallery.write_gallery(root / "site", root)
