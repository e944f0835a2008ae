"""Every lesson in a real browser: `python tests/browse_lessons.py [--voila] [NAME…]`.

Each lesson is opened in JupyterLab (or by Voila) and run; each of its controls is moved by keyboard. The page
must then show, byte for byte, the picture that the library draws anew for these values, and ask for nothing
outside this machine. Needs Chromium. A row a lesson: controls, seconds to run and a move, what is wrong. The
lessons have the small settings that tests give them; `--full` runs them as they are.
"""

import argparse
import base64
import hashlib
import json
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import nbformat
from nbformat.v4 import new_code_cell
from playwright.sync_api import TimeoutError, sync_playwright

from lessons_lib.paths import NOTEBOOKS
from lessons_lib.press.runner import lessons_named
from test_browser import BYTES, CHROMIUM, LOCAL, demo, free_port, lab

LIMIT = 1200  # seconds until a lesson has run
# The last cell of the copy that is served: a line for each picture shown, beside one drawn anew.
WATCH = """
import hashlib, json
from lessons_lib import plots, widgets

def _written(line):
    with open({file!r}, "a") as file:
        file.write(json.dumps(line) + "\\n")

def _compare(i, explorer):
    values = explorer._values()
    pictures = explorer.picture.value, plots.png(explorer.draw(**values))
    _written([i, [hashlib.sha256(p).hexdigest() for p in pictures], repr(values)])

def _watch(i, explorer):
    # The explorer's one worker draws first, and compares then.
    sets = getattr(explorer, "sets", {{"": explorer.controls}}).values()
    for control in {{id(c): c for s in sets for c in s.values()}}.values():
        control.observe(lambda change: explorer._worker.submit(_compare, i, explorer), "value")

for _i, _explorer in enumerate(widgets.OPEN):
    _watch(_i, _explorer)
_written(len(widgets.OPEN))
"""
CONTROLS = ".noUi-handle, .widget-toggle-buttons, select"


def told(file: Path) -> list:
    """The lines that the lesson's last cell has written."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def waited(condition, seconds: float, what: str):
    """What `condition()` returns once it is true; RuntimeError after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"{what}, in {seconds:g} seconds")
        time.sleep(0.02)
    return found


def ended(page, file: Path) -> list:
    """What the last cell has written; RuntimeError where a cell before it failed."""
    for error in page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts():
        raise RuntimeError(error.strip().splitlines()[-1])
    return told(file)


def run_in_lab(page, url: str, name: str) -> None:
    """Open it and run all its cells; what was pressed before the notebook was ready is pressed again."""
    page.goto(f"{url}/lab/tree/{name}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    every = re.compile("^Run All Cells")
    for _ in range(5):
        try:
            page.locator(".lm-MenuBar-item", has_text="Run").first.click(timeout=20_000)
            page.locator(".lm-Menu-item", has_text=every).first.click(timeout=20_000)
            page.wait_for_selector(".jp-InputPrompt:has-text('[*]')", timeout=10_000)
            return
        except TimeoutError:
            page.keyboard.press("Escape")  # a menu that is still open
    raise RuntimeError("the cells do not run")


def run_in_voila(page, url: str, name: str) -> None:
    page.goto(f"{url}/voila/render/{name}.ipynb", wait_until="commit", timeout=LIMIT * 1000)


def move(page, control) -> None:
    """One step of a control, by keyboard alone."""
    kind = control.evaluate("e => e.tagName + ' ' + e.className")
    if "toggle-buttons" in kind:
        other = control.locator("button:not(.mod-active)").first
        other.focus()
        page.keyboard.press("Enter")
    elif kind.startswith("SELECT"):
        last = control.evaluate("e => e.selectedIndex == e.options.length - 1")
        control.focus()
        page.keyboard.press("ArrowUp" if last else "ArrowDown")
    else:
        ends = [float(control.get_attribute(f"aria-value{end}")) for end in ("now", "max")]
        control.focus()
        page.keyboard.press("ArrowLeft" if ends[0] >= ends[1] else "ArrowRight")


def try_control(page, i: int, root, control, file: Path) -> tuple[float, str]:
    """Move it: the seconds until the page shows the new picture, and what is wrong, or ''."""
    image, before, start = root.locator("img.widget-image"), len(told(file)), time.perf_counter()
    move(page, control)
    try:
        line = waited(lambda: told(file)[before:], 60, "nothing is drawn")[-1]
        took = time.perf_counter() - start  # the library's own drawing included
        wrong = f"another picture than the library's at {line[2]}"
        seen = lambda: hashlib.sha256(base64.b64decode(image.evaluate(BYTES))).hexdigest()  # noqa: E731
        waited(lambda: line[0] == i and {seen()} == set(line[1]), 20, wrong)
        return took, ""
    except RuntimeError as error:
        message = root.locator(".widget-html").first.inner_text()
        return time.perf_counter() - start, f"{error}; {message}".strip("; ")


def watched(name: str, file: Path, full: bool):
    """A lesson that writes into `file` what it shows; at the small settings of its tests, unless full."""
    cells, last = [], new_code_cell(WATCH.format(file=str(file)))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        small = {} if full else cell.metadata.get("nbmake", {}).get("mock", {})
        cells += [cell, *(new_code_cell(f"{key} = {value!r}") for key, value in small.items())]
    notebook.cells = [*cells, last]
    return notebook


def browse(name: str, browser, home: Path, start, run, full: bool) -> dict:
    """Open, run and move one lesson."""
    file = home / f"{name}.told"
    nbformat.write(watched(name, file, full), home / f"{name}.ipynb")
    outside, wrong, took, begun = [], [], [], time.perf_counter()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    page.on("request", lambda r: None if LOCAL.match(r.url) else outside.append(r.url))
    try:
        with start(home, free_port()) as url:
            run(page, url, name)
            (count, *_) = waited(
                lambda: ended(page, file), LIMIT, "the lesson does not run to its end"
            )
            begun = time.perf_counter() - begun
            for k, (seconds, said) in enumerate(moves(page, count, file), start=1):
                took.append(seconds)
                wrong += [f"control {k}: {said}"] if said else []
    except Exception as error:
        wrong.append(str(error).splitlines()[0])
    page.close()
    wrong += [f"asks for {url}" for url in outside]
    return {"run": begun, "moves": took, "wrong": wrong}


def moves(page, count: int, file: Path):
    """Every control of all `count` pictures, moved: the seconds and what is wrong, of each."""
    pictures = page.locator("img.widget-image")
    waited(lambda: pictures.count() >= count, 120, f"{count} pictures are not shown")
    for i in range(count):
        root = page.locator(".widget-vbox", has=page.locator("img.widget-image")).nth(i)
        k = 0
        while k < root.locator(CONTROLS).count():  # a move may bring other controls
            control, k = root.locator(CONTROLS).nth(k), k + 1
            control.scroll_into_view_if_needed()
            yield try_control(page, i, root, control, file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 01; by default all")
    parser.add_argument("--voila", action="store_true")
    parser.add_argument("--full", action="store_true", help="lessons as they are, not as in tests")
    args = parser.parse_args()
    start, run = (demo, run_in_voila) if args.voila else (lab, run_in_lab)
    failed = 0
    print("| lesson | controls | seconds to run | a move, median | wrong |\n|---|---|---|---|---|")
    with sync_playwright() as p, tempfile.TemporaryDirectory() as home:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in [path.stem for path in lessons_named(args.names)]:
            found = browse(name, browser, Path(home), start, run, args.full)
            took, wrong = found["moves"], "; ".join(found["wrong"]) or "nothing"
            median = f"{statistics.median(took):.2f}" if took else "–"
            print(f"| {name} | {len(took)} | {found['run']:.0f} | {median} | {wrong} |", flush=True)
            failed += bool(found["wrong"])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
