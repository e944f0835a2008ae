"""In a real browser: JupyterLab and Voila run a lesson, its control is moved by keyboard, nothing leaves.

Without Chromium these tests are skipped. `python tests/test_browser.py` prints how long a move takes.
"""

import base64
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lessons_lib import plots

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
LOCAL = re.compile(r"(https?|ws)://(127\.0\.0\.1|localhost)[:/]|data:|blob:|file:")
MOVED = """import time
from lessons_lib import plots
from lessons_lib.widgets import explore, slider

def draw(i):
    if i == 5:
        raise ValueError("five <is> wrong")
    time.sleep(0.2 if i > 5 else 0)
    fig, ax = plots.figure(width=3, height=2)
    ax.bar([0, 1], [i, 9])
    return fig

explore(draw, i=slider(0, 9, 1, 1))"""

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="there is no Chromium here: install the system's"
)


def drawn(i):
    """What the library draws for this value, as PNG."""
    fig, ax = plots.figure(width=3, height=2)
    ax.bar([0, 1], [i, 9])
    return plots.png(fig)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def served(*command, port, ready):
    """A server of this environment on a port, until the block ends."""
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_PATH": str(ROOT / "data")}
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def lab(folder, port):
    return served(
        "jupyterlab", str(folder), "--no-browser", f"--port={port}", "--ip=127.0.0.1", "--allow-root",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
        f"--LabApp.app_settings_dir={ROOT / 'data' / 'jupyterlab'}", port=port, ready="/api",
    )  # fmt: skip


def demo(folder, port):
    return served(
        "voila", str(folder), "--no-browser", f"--port={port}", "--template=lessons",
        "--strip_sources=False", port=port, ready="/",
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("lab")
    cells = [new_markdown_cell("# A lesson\n\n$x^2$"), new_code_cell(MOVED)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), home / "moved.ipynb")
    return home


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser):
    """A new page, which fails the test if it asked for anything outside this machine."""
    found, outside = browser.new_page(viewport={"width": 1280, "height": 900}), []
    found.on("request", lambda r: None if LOCAL.match(r.url) else outside.append(r.url))
    found.set_default_timeout(120_000)
    yield found
    found.close()
    assert outside == []


BYTES = """async (image) => {
  const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  let text = ''; for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""


def picture_on(page):
    """The bytes, in base64, of the picture that the page shows last."""
    return page.locator(".widget-image").last.evaluate(BYTES)


def shows(page, i, seconds=60):
    """Wait until the page shows what the library draws for i."""
    wanted, end = base64.b64encode(drawn(i)).decode(), time.monotonic() + seconds
    while picture_on(page) != wanted:
        assert time.monotonic() < end, f"the picture of {i} is not shown"
        time.sleep(0.05)


def open_in_lab(page, url):
    page.goto(f"{url}/lab/tree/moved.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")


def run_all(page):
    """Run the lesson's cell; a key that came before the notebook was ready is pressed again."""
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    for _ in range(5):
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        try:
            page.wait_for_selector(".widget-image", timeout=30_000)
            return
        except playwright.TimeoutError:
            continue
    raise AssertionError("the cell shows no picture")


def moves(page):
    """By keyboard alone: one step, one that fails, many in a row."""
    shows(page, 1)
    handle = page.locator(".noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    shows(page, 2)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=ValueError: five <is> wrong")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    shows(page, 9)
    assert page.locator("text=ValueError: five <is> wrong").count() == 0


def test_jupyterlab_moves_saves_and_shows_the_picture_again(folder, page):
    port = free_port()
    with lab(folder, port) as url:
        open_in_lab(page, url)
        run_all(page)
        moves(page)
        page.keyboard.press("Control+s")
        page.wait_for_function("!document.title.startsWith('*')")
        time.sleep(2)
        saved = nbformat.read(folder / "moved.ipynb", as_version=4)
        assert "application/vnd.jupyter.widget-state+json" in saved.metadata.get("widgets", {})


def test_voila_runs_it_and_hides_the_code_until_asked(folder, page):
    port = free_port()
    with demo(folder, port) as url:
        page.goto(f"{url}/voila/render/moved.ipynb")
        page.wait_for_selector("#rendered_cells", state="visible")
        page.wait_for_selector(".widget-image")
        code = page.locator(".jp-CodeCell .jp-Cell-inputWrapper").first
        assert not code.is_visible()
        moves(page)
        page.click("#code")
        assert code.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_break_no_rule_of_accessibility(tmp_path, browser, scheme, width):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed here"
    )
    from lessons_lib.press import handout, site
    from test_site import executed, outcome

    html, sections = handout.page(executed(), "01_eta")
    (tmp_path / "01_eta.html").write_text(html, encoding="utf-8")
    site.write_site(tmp_path, [outcome("01_eta", picture="")], {"01_eta": sections})
    view = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    for name in ("01_eta", "index"):
        view.goto((tmp_path / f"{name}.html").as_uri())
        found = axe.Axe().run(view).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
        assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    view.fill("#find", "second")
    assert view.locator("#found a").first.get_attribute("href") == "01_eta.html#second"
    view.close()


def seconds_a_move(page, moved=20, fresh=True):
    """Medians over moves by keyboard, until the new picture is there; fresh: each to a value never shown."""
    page.locator(".noUi-handle").first.focus()
    took = []
    for k in range(moved):
        before, start = picture_on(page), time.perf_counter()
        page.keyboard.press("ArrowRight" if fresh or k % 4 < 2 else "ArrowLeft")
        while picture_on(page) == before:
            assert time.perf_counter() - start < 20
        took.append(time.perf_counter() - start)
    return statistics.median(took), took


def main():
    """Median seconds of 20 moves in JupyterLab: drawn before, of an exact model, of a network."""
    import tempfile

    draws = {
        "drawn before": "fig, ax = plots.figure(width=3, height=2); ax.bar([0], [i])",
        "exact model": "g = Sampler(exact, 20); fig = plots.strips("
        "[g.decode(g.draw(8, i))], [''], [])",
        "network": "g = Sampler(net, 10); fig = plots.strips([g.decode(g.draw(1, i))], [''], [])",
    }
    for name, line in draws.items():
        cell = (
            "from lessons_lib import Sampler, load, plots\nfrom lessons_lib.widgets import explore, slider\n"
            "exact, net = load('digits'), load('faces')\n\ndef draw(i):\n    "
            + line
            + "\n    return fig\n\n"
            "e = explore(draw, i=slider(0, 200, 1, 1))\n"
            + (
                "for i in range(1, 5):\n    e.frames[(i,)] = plots.png(draw(i))\n"
                if "before" in name
                else ""
            )
            + "e"
        )
        with tempfile.TemporaryDirectory() as home, playwright.sync_playwright() as p:
            kernel = {
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
            }
            nb = new_notebook(cells=[new_code_cell(cell)], metadata=kernel)
            nbformat.write(nb, Path(home) / "moved.ipynb")
            port = free_port()
            with lab(home, port) as url:
                view = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
                view.set_default_timeout(120_000)
                open_in_lab(view, url)
                run_all(view)
                time.sleep(1)
                median, took = seconds_a_move(view, fresh="before" not in name)
        print(f"{name}: median {median:.3f} s over {len(took)} moves", flush=True)


if __name__ == "__main__":
    main()
