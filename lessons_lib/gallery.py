"""The lessons as a site, and a gallery of them for the README: `python -m lessons_lib.gallery`.

Every lesson is run and rendered into build/site, which can be published as it is: a folder of pages that ask
for nothing outside of it. What stands for each lesson, a small picture and a sentence with this run's number,
goes to docs/gallery and into the README between its two marks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from html import escape
from pathlib import Path

from . import pages
from .paths import BUILD, ROOT, write_whole

SITE = BUILD / "site"
BEGIN, END = "<!-- gallery -->", "<!-- end of the gallery -->"
LARGEST = 40 * 2**20  # bytes of a site
KEPT = (".html", ".png", ".js")  # what is published of a run


def write_gallery(site: Path, root: Path = ROOT) -> None:
    """The pictures into docs/gallery, and the README's part between its marks.

    Raises ValueError for a README without the marks, and for a lesson that has no sentence.
    """
    outcomes = json.loads((site / "lessons.json").read_text(encoding="utf-8"))
    readme = root / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{readme} lacks {BEGIN} or {END}: put both where the gallery belongs.")
    home = root / "docs" / "gallery"
    home.mkdir(parents=True, exist_ok=True)
    cells = []
    for name, o in sorted(outcomes.items()):
        if not o.get("sentence"):
            raise ValueError(f"{name} has no cell tagged `gallery` with a sentence: it needs one.")
        shutil.copyfile(site / o["picture"], home / o["picture"])
        alt = escape(o["alt"][:300], quote=True)
        picture = f'<img src="docs/gallery/{o["picture"]}" alt="{alt}">'
        cells.append(
            f'<td width="33%" valign="top"><a href="notebooks/{name}.ipynb">{picture}<br>'
            f"<b>{escape(o['title'])}</b></a><br>{escape(o['sentence'])}</td>"
        )
    rows = ["<tr>" + "\n".join(cells[i : i + 3]) + "</tr>" for i in range(0, len(cells), 3)]
    table = "<table>\n" + "\n".join(rows) + "\n</table>"
    write_whole(readme, f"{before}{BEGIN}\n{table}\n{END}{after}")


def published(site: Path) -> int:
    """Leave in a site what is published, and say how many bytes that is."""
    for path in site.iterdir():
        if path.suffix not in KEPT and path.name != "lessons.json":
            path.unlink() if path.is_file() else shutil.rmtree(path)
    return sum(p.stat().st_size for p in site.iterdir())


def main(argv: list[str] | None = None) -> int:
    """Run, render and gather: 0, or 1 where a lesson failed or lacks its part of the gallery."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.gallery", description=__doc__)
    parser.add_argument("--as-it-is", action="store_true", help="of the last run, running nothing")
    args = parser.parse_args(argv)
    if not args.as_it_is and pages.main(["--out", str(SITE)]):
        return 1
    try:
        write_gallery(SITE)
        size = published(SITE)
        if size > LARGEST:
            raise ValueError(
                f"The site is {size / 2**20:.0f} MiB, and at most {LARGEST >> 20} are published."
            )
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{SITE}: {size / 2**20:.1f} MiB; docs/gallery and README.md are new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
