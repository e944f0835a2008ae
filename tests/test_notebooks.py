"""Running lessons: parameters, broken callbacks, failures, pages."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.channels import ZMQSocketChannel
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lessons_lib import pages
from lessons_lib.press import runner
from lessons_lib.press.kernels import KernelManager

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = 'steps = 5\neta = 0.5\ncheckpoint = "faces"\netas = [0, 0.5]\ndevice = None'
INTERACT = "from ipywidgets import interact\ndef f(i=3):\n    {}\ninteract(f, i=(0, 5));"
BROKEN = INTERACT.format("raise KeyError('no such face')")
WORKING = INTERACT.format("print(i)")
EXPLORE = """from lessons_lib.plots import figure
from lessons_lib.widgets import explore, slider
def draw(i):
    assert i < {}, "no such face"
    return figure()[0]
explore(draw, i=slider(0, 5, 3, 1))"""


def lesson(*sources, parameters=PARAMETERS):
    cells = [new_markdown_cell(r"# A lesson on $\bar\alpha_t$")]
    cells += [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(s) for s in sources]
    return new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "3"}}
    )


def executed(*sources, limit=120):
    notebook = lesson(*sources)
    NotebookClient(
        notebook,
        timeout=limit,
        kernel_manager_class=KernelManager,
        extra_arguments=["--log-level=ERROR"],
    ).execute()
    return notebook


def saved(folder, *sources):
    nbformat.write(lesson(*sources), folder / "09_try.ipynb")
    return folder / "09_try.ipynb"


def test_broken_callbacks_are_found():
    """Of `interact`, of an `Output`, and what was left on stderr: each once."""
    in_output = "from ipywidgets import Output\nout = Output()\nwith out:\n    {}['face']\nout"
    on_stderr = "import traceback\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc()"
    found = runner.widget_errors(executed(BROKEN, in_output, on_stderr))
    wanted = ["KeyError: 'face'", "KeyError: 'no such face'", "ZeroDivisionError: division by zero"]
    assert sorted(found) == wanted


def test_a_working_callback_is_not():
    assert runner.widget_errors(executed(WORKING)) == []


def test_a_reply_that_comes_while_a_widget_is_answered_is_not_overlooked(monkeypatch):
    send = ZMQSocketChannel.send

    def held_up(self, msg):
        if msg["header"]["msg_type"] == "comm_msg":
            time.sleep(0.5)  # the cell's reply arrives meanwhile
        send(self, msg)

    monkeypatch.setattr(ZMQSocketChannel, "send", held_up)
    start, limit = time.monotonic(), 30
    executed(WORKING, limit=limit)
    assert time.monotonic() - start < limit


def test_nbmake_fails_for_broken_callbacks_only(tmp_path):
    for name, sources in [
        ("broken", [BROKEN]),
        ("breaks_if_moved", [EXPLORE.format(5)]),
        ("works_and_moves", [WORKING, EXPLORE.format(6)]),
    ]:
        nbformat.write(lesson(*sources), tmp_path / f"{name}.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbmake",
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
    ]
    command += [f"--rootdir={tmp_path}", f"--config-file={ROOT / 'pyproject.toml'}", "-q", "-rA"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    run = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, env=env
    )
    assert "2 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert "a widget's callback failed: KeyError: 'no such face'" in run.stdout
    assert "i=5: AssertionError: no such face" in run.stdout


def test_pages_runs_a_lesson_with_its_parameters(tmp_path, capsys):
    path = saved(tmp_path, "assert steps == 7 and eta == 1.0 and etas == [1, 2]", WORKING)
    arguments = [str(path), "--out", str(tmp_path / "out")]
    arguments += ["-p", "steps", "7", "-p", "eta", "1", "-p", "etas", "1,2"]
    assert pages.main(arguments) == 0, capsys.readouterr().out
    out = tmp_path / "out"
    kept = {"09_try.ipynb", "09_try.html", "index.html", "lessons.json", "search.js"}
    assert {p.name for p in out.iterdir()} == kept
    html = (out / "09_try.html").read_text(encoding="utf-8")
    assert "<math" in html and "<script src" not in html and "@jupyter-widgets" not in html
    assert "A lesson on" in (out / "index.html").read_text(encoding="utf-8")


def test_pages_overlooks_no_reply_either(tmp_path, monkeypatch):
    given, out = {}, tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr("papermill.execute_notebook", lambda *a, **options: given.update(options))
    runner.run(saved(tmp_path), out, {}, 1)
    assert issubclass(given["kernel_manager_class"], KernelManager)


def test_pages_says_which_line_failed(tmp_path, capsys):
    path = saved(tmp_path, "def f():\n    raise ValueError('too many')\na = 1\nf()\nb = 2")
    assert pages.main([str(path), "--out", str(tmp_path / "out")]) == 1
    assert "`f()`: ValueError: too many" in capsys.readouterr().out
    assert (tmp_path / "out" / "09_try.failed.ipynb").exists()
    assert not (tmp_path / "out" / "09_try.ipynb").exists()


def test_a_run_fails_for_a_broken_callback(tmp_path, monkeypatch):
    for name in runner.THREADS:
        monkeypatch.setenv(name, "1")
    out = tmp_path / "out"
    out.mkdir()
    done = runner.run(saved(tmp_path, BROKEN), out, {}, 1)
    assert done["error"].startswith("a widget's callback failed: KeyError")
    assert (out / "09_try.failed.ipynb").exists()


def test_a_cell_that_takes_too_long_is_named_and_the_others_go_on(tmp_path, capsys):
    long = "\n".join(["# too long", "import time", *["x = 1"] * 12, "time.sleep(600)"])
    slow, quick = tmp_path / "slow", tmp_path / "quick"
    slow.mkdir(), quick.mkdir()
    lessons = str(saved(slow, long)), str(saved(quick).rename(quick / "08_quick.ipynb"))
    assert pages.main([*lessons, "--out", str(tmp_path / "out"), "--cell-limit", "20"]) == 1
    said = capsys.readouterr().out
    cell = "the cell that begins with `# too long` took longer than the 20 seconds that a cell may take."
    assert said.count(f"  09_try: {cell}") == 1 and "  08_quick: ok" in said
    assert (tmp_path / "out" / "08_quick.ipynb").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", "setps", "7"], "No lesson here has a parameter 'setps'; there are: checkpoint, "),
        (["-p", "steps", "many"], "steps is of type int (its default is 5), not 'many'."),
        (["-p", "steps", "7.5"], "steps is of type int (its default is 5), not '7.5'."),
        (["-p", "steps", "True"], "steps is of type int (its default is 5), not 'True'."),
        (["-p", "etas", "1"], "etas is of type list"),
        (["-p", "device", "cuda:99"], "There is no device 'cuda:99' here"),
        (["-p", "checkpoint", "fases"], "There is no model 'fases'. Did you mean 'faces'?"),
        (["-p", "checkpoint", "no-such/folder"], "There is no folder 'no-such/folder'"),
        (["--jobs", "0"], "--jobs must be at least 1, not 0."),
        (["99_none"], "'99_none' names 0 lessons"),
    ],
)
def test_pages_refuses_before_running(tmp_path, capsys, arguments, sentence):
    path = saved(tmp_path, "1 / 0")
    assert pages.main([str(path), "--out", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cell", ["a = 1\nb = a + 1", "import os", "a, b = 1, 2", "a = f(1)"])
def test_a_parameters_cell_holds_literals_only(cell):
    with pytest.raises(ValueError, match="literal"):
        runner.defaults_of(lesson(parameters=cell))


def test_equations_become_mathml():
    from lessons_lib.press.handout import mathml

    assert "<mtable" in mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "block")
    assert "<code>" in mathml(r"\frac{a") or "<math" in mathml(r"\frac{a")


@pytest.mark.parametrize(
    ("environment", "threads"),
    [({}, "2"), ({"OMP_NUM_THREADS": "1"}, "1"), ({"MKL_NUM_THREADS": "3"}, "3"),
     ({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "3"}, "1"), ({"OMP_NUM_THREADS": ""}, "2")],
)  # fmt: skip
def test_one_thread_variable_goes_for_all(environment, threads):
    found = runner.thread_settings(environment, 2)
    assert found == dict.fromkeys(runner.THREADS, threads)
