"""Sweeps: the grid, what a run is, what it leaves, the tables and the page over them."""

import io
import json
import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from rich.console import Console

from lessons_lib import lesson, paths, sweep
from lessons_lib.press.runner import DIED
from lessons_lib.sweeps import board, grid, identity, page, runs, tables

PARAMETERS = (
    'steps = 5\neta = 0.5\nword = "a"\netas = [0, 0.5]\nseed = 0\nfast = False\nname = None'
)
CHECK = (
    "lesson.parameters(globals(), steps=(2, 99), eta=(0.0, 1.0), etas=(0.0, 1.0, None), word=str)"
)
RECORD = """from IPython.display import display
def record(name, value, note=""):
    said = {"name": name, "value": value, "note": note}
    display({"text/plain": name, "application/vnd.lessons-lib.result+json": said}, raw=True)"""
NUMBERS = (
    'record("square", steps**2 + eta)\nrecord("sum", sum(etas), f"of {word}")\nrecord("sum", seed)'
)
BAD = "<script>alert(1)</script>"


def saved(folder, *sources, name="tiny", parameters=PARAMETERS):
    """A lesson that needs no torch, on disk."""
    tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# Tiny"), tagged, new_code_cell(RECORD)]
    cells += [new_code_cell(s) for s in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def asked(path, *words, grids=({},)):
    """The runs of a grid, identified."""
    lessons = grid.lessons_of([str(path)])
    return identity.identify(
        lessons, grid.combinations(lessons, grid.from_words(words), list(grids))
    )


def left(out, run, numbers=(("square", 1.0, ""),), error="", ended=1.0):
    """What a run leaves, without running it."""
    folder = runs.folder_of(out, run.digest)
    folder.mkdir(parents=True, exist_ok=True)
    for name in runs.FILES:
        (folder / name).write_text("")
    records = [dict(zip(("name", "value", "note"), n, strict=True)) for n in numbers]
    more = {"error": error, "records": records, "seconds": 1.0, "host": "here", "ended": ended}
    runs.write_result(folder, runs.about(run) | more)
    return folder


# ---------------------------------------------------------------- the grid


@pytest.mark.parametrize(
    ("text", "default", "wanted"),
    [
        ("20,50", 5, [20, 50]),
        ("0:1:0.25", 0.5, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("0:1:0.1", 0.5, [i / 10 for i in range(11)]),
        ("3:1:-1", 5, [3, 2, 1]),
        ("4:4:1", 5, [4]),
        ("faces, moons", "digits", ["faces", "moons"]),
        ("0:1:0.5", "a text", ["0:1:0.5"]),
        ("0,0.5", [0, 1], [[0, 0.5]]),
        ("[0,1],[0,0.5,1]", [0, 1], [[0, 1], [0, 0.5, 1]]),
        ("True,False", True, [True, False]),
        ("1", 0.5, [1.0]),
        ("0:1:0.5", None, [0.0, 0.5, 1.0]),
    ],
)
def test_values_are_read_as_the_default_suggests(text, default, wanted):
    found = grid.values("p", text, default)
    assert found == wanted and list(map(type, found)) == list(map(type, wanted))


def test_a_grid_is_every_combination_once(tmp_path):
    path = saved(tmp_path)
    found = asked(path, "steps=20,50,20", "eta=0:1:0.5")
    settings = {(r.parameters["steps"], r.parameters["eta"]) for r in found}
    assert settings == {(s, e) for s in (20, 50) for e in (0.0, 0.5, 1.0)} and len(found) == 6
    assert len(asked(path, "steps=5")) == len(
        {r.digest for r in [*asked(path), *asked(path, "steps=5")]}
    )


def test_each_notebook_gets_what_it_has(tmp_path):
    saved(tmp_path)
    saved(tmp_path, name="other", parameters="eta = 0.5")
    lessons = grid.lessons_of([str(tmp_path / "tiny.ipynb"), str(tmp_path / "other.ipynb")])
    found = grid.combinations(lessons, {"eta": "0,1", "steps": "2,3"}, [{}])
    assert [p.stem for p, _ in found] == ["tiny"] * 4 + ["other"] * 2
    assert [given for p, given in found if p.stem == "other"] == [{"eta": 0.0}, {"eta": 1.0}]


def test_a_file_holds_one_grid_or_several(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("- steps: [20, 50]\n  etas: [0, 1]\n- etas: [[0], [0.5, 1]]\n  word: b, c\n")
    found = asked(saved(tmp_path), "seed=0,1", grids=grid.from_file(file))
    assert len(found) == 8
    assert {tuple(r.parameters["etas"]) for r in found} == {(0, 1), (0,), (0.5, 1)}
    assert {r.parameters["word"] for r in found} == {"a", "b, c"}


def test_a_lesson_s_own_check_is_read_from_its_cells(tmp_path):
    path = saved(
        tmp_path,
        CHECK,
        "%magic\nlesson.parameters(seed=(0, 1))",
        "lesson.parameters(g, seed=range(3))",
    )
    allowed = {"steps": (2, 99), "eta": (0.0, 1.0), "etas": (0.0, 1.0, None), "word": str}
    assert grid.allowed_by(grid.read(path)) == allowed
    lessons = grid.lessons_of([str(path)])
    grid.check([(path, {"steps": 99})], lessons)
    with pytest.raises(ValueError, match=r"etas is 2: give a number from 0\.0 to 1\.0"):
        grid.check([(path, {"etas": [0, 2]})], lessons)


# ---------------------------------------------------------------- what a run is


def test_a_run_is_another_one_where_anything_differs(tmp_path, monkeypatch):
    path = saved(tmp_path, NUMBERS)
    (first,) = asked(path)
    executed = nbformat.read(path, as_version=4)
    executed.cells[-1].execution_count, executed.metadata["more"] = 7, 1
    nbformat.write(executed, path)
    assert asked(path)[0] == first  # what a run writes into a notebook does not count
    others = [asked(path, f"{n}={v}")[0] for n, v in (("steps", 6), ("eta", 0.1), ("word", "b"))]
    saved(tmp_path, NUMBERS + " ")
    others += asked(path)
    monkeypatch.setattr(identity, "_of_texts", lambda files: "other code")
    others += asked(path)
    assert not identity.is_here(first) and identity.is_here(others[-1])
    assert len({first.digest, *(o.digest for o in others)}) == 6
    assert all(re.fullmatch("[0-9a-f]{20}", o.digest) for o in [first, *others])


def test_other_weights_under_one_name_are_another_run(tmp_path):
    (tmp_path / "net").mkdir()
    weights = tmp_path / "net" / "model.safetensors"
    weights.write_bytes(b"1")
    path = saved(tmp_path, parameters=f"checkpoint = {str(tmp_path / 'net')!r}")
    (first,) = asked(path)
    weights.write_bytes(b"2")
    assert asked(path)[0].digest != first.digest and not identity.is_here(first)


def test_embedded_networks_are_named_by_their_fingerprints(tmp_path):
    from lessons_lib.checkpoints import fingerprint

    (run,) = asked(saved(tmp_path, parameters='checkpoint = "cats"\nsource = "digits"\nclip = ""'))
    assert run.weights == {"cats": fingerprint("cats")} and identity.is_here(run)


# ---------------------------------------------------------------- what it leaves


@pytest.fixture
def one(tmp_path):
    (run,) = asked(saved(tmp_path, NUMBERS), "steps=7")
    return tmp_path / "out", run


def test_a_result_that_is_not_whole_is_none(one):
    out, run = one
    folder = left(out, run)
    file = folder / runs.RESULT
    text = file.read_text()
    assert runs.result_of(folder)["records"] == [{"name": "square", "value": 1.0, "note": ""}]
    for spoilt in (
        text[:-9],
        "",
        "[]",
        "null",
        '{"sha256": "x"}',
        text.replace("1.0", "2.0", 1),
        "\0" * 99,
    ):
        file.write_text(spoilt)
        assert runs.result_of(folder) is None
        assert tables.collect(out) == ([], 0, 1)
    file.write_text(text)
    (folder / "page.html").unlink()
    assert runs.result_of(folder) is None
    (folder / "page.html").touch()
    other = folder.with_name("0" * 20)
    folder.rename(other)  # of another run
    assert runs.result_of(other) is None


@pytest.mark.slow
def test_one_run_leaves_a_notebook_a_page_and_a_result(one):
    out, run = one
    result = runs.do(out, run, None, 60)
    folder = runs.folder_of(out, run.digest)
    assert {p.name for p in folder.iterdir()} <= {*runs.FILES, runs.RESULT, ".lock"}
    assert result["records"][0] == {"name": "square", "value": 49.5, "note": ""}
    assert "<script src" not in (folder / "page.html").read_text(encoding="utf-8")
    file = folder / runs.RESULT
    before = file.stat().st_mtime_ns
    assert runs.do(out, run, None, 60) == result and file.stat().st_mtime_ns == before


@pytest.mark.slow
def test_limits_and_dead_kernels_are_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "TRIES", 2)
    count = "open('tries', 'a').write('x'); import os; os.kill(os.getpid(), 9)"
    path = saved(tmp_path, "import time\nwhile seed: time.sleep(1)", count)
    slow, killed = asked(path, "seed=1,0")
    out = tmp_path / "out"
    assert runs.do(out, slow, 1.0, 60)["error"].startswith("it took longer than the 1 seconds")
    said = "the cell that begins with `import time` took longer than the 1 seconds that a cell may take."
    assert runs.do(out, replace(slow, digest=slow.digest), None, 1, True)["error"] == said
    assert runs.do(out, killed, None, 60)["error"] == DIED
    assert (tmp_path / "tries").read_text() == "xx"


def test_a_worker_with_other_code_refuses(one):
    out, run = one
    result = runs.do(out, replace(run, digest="0" * 20), None, 60)
    assert "not here what they were" in result["error"] and not result["records"]


def test_only_what_is_a_number_is_a_record():
    cells = [new_code_cell("", outputs=[])]
    good = {"name": "a", "value": 1, "note": "n"}
    bad = [
        3,
        {"name": "a"},
        {"name": 3, "value": 1.0},
        good | {"value": "1"},
        good | {"value": math.nan},
    ]
    bad += [good | {"value": True}, good | {"note": 3}]
    for said in [good, *bad]:
        data = {lesson.MIME: said, "text/plain": ""}
        cells[0].outputs.append(nbformat.v4.new_output("display_data", data))
    cells[0].outputs.append(nbformat.v4.new_output("stream", text="a: 3"))
    assert list(runs.records(new_notebook(cells=cells))) == [good] and paths.MIME == lesson.MIME


def test_a_kernel_of_another_python_is_not_taken(tmp_path, monkeypatch):
    from lessons_lib.press.kernels import KernelManager

    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        '{"argv": ["false"], "display_name": "x", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert KernelManager(kernel_name="python3").kernel_spec.argv[0] == sys.executable


# ---------------------------------------------------------------- tables


def test_a_table_s_rows_are_numbers_with_all_parameters(tmp_path):
    out = tmp_path / "out"
    for i, run in enumerate(asked(saved(tmp_path), "steps=100,20", "eta=0,1")):
        left(out, run, [("b", i, "x,\n“y”"), ("a", 0.1, ""), ("b", 2.0, "")], error="no" * (i == 3))
    tables.write(out, tables.collect(out)[0])
    table = pd.read_parquet(out / "results.parquet")
    assert list(table.columns[:5]) == ["lesson", "name", "value", "note", "nth"]
    assert list(table.steps[::3]) == [20, 100, 100]
    assert (
        list(table.name[:3]) == ["b", "a", "b"]
        and list(table.nth[:3]) == [0, 0, 1]
        and len(table) == 9
    )
    assert str(table.steps.dtype) == "Int64" and str(table.eta.dtype) == "Float64"
    assert (
        table.etas[0] == "[0, 0.5]" and table["parameter name"].isna().all() and not table.fast[0]
    )
    pivot = table[table.name == "a"].pivot_table(index="steps", columns="eta", values="value")
    assert pivot.shape == (2, 2) and pivot.loc[20, 1.0] is not None
    again = pd.read_csv(out / "results.csv")
    assert list(again.value) == list(table.value) and again.note[0] == "x,\n“y”"
    assert list(pd.read_csv(out / "runs.csv").error.dropna()) == ["no"]


def test_of_one_setting_the_newest_counts_or_the_one_asked_for(tmp_path):
    path, out = saved(tmp_path), tmp_path / "out"
    (old,) = asked(path)
    saved(tmp_path, "1")
    (new,) = asked(path)
    left(out, old, ended=1.0), left(out, new, ended=2.0)
    assert [r["run"] for r in tables.collect(out)[0]] == [new.digest] and tables.collect(out)[
        1
    ] == 1
    assert [r["run"] for r in tables.collect(out, {old.digest})[0]] == [old.digest]


def test_tables_do_not_say_when_or_in_which_order(tmp_path):
    found = asked(saved(tmp_path), "steps=3,20,100", "word=b,a")
    for turn, out in enumerate((tmp_path / "a", tmp_path / "b")):
        for i, run in enumerate(found[:: 1 - 2 * turn]):
            left(out, run, [("n", run.parameters["steps"], "")], ended=float(i + turn))
        tables.write(out, tables.collect(out)[0])
    for name in ("results.csv", "results.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# ---------------------------------------------------------------- the page


def test_no_text_becomes_html_and_nothing_is_fetched(tmp_path):
    out = tmp_path / "out"
    path = saved(tmp_path, name="<b>&'")
    for run in asked(path, f"word={BAD},b"):
        left(
            out,
            run,
            [(BAD, 1.0, BAD), ("</script>", 2.0, "")],
            error=BAD * (run.parameters["word"] == "b"),
        )
    html = page.html(tables.collect(out)[0])
    assert (
        BAD not in html
        and html.count("</script>") == 2
        and html.count("<script") == 2
        and "<b>" not in html
    )
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html) and "default-src 'none'" in html
    (data,) = re.findall(r'id="data">(.*?)</script>', html)
    assert json.loads(data)["runs"][0]["numbers"] == [[BAD, 1.0], ["</script>", 2.0]]


def test_nothing_leads_outside_the_folder(tmp_path):
    path, out = saved(tmp_path, parameters='name = "a"\nword = "b"'), tmp_path / "out"
    for run in asked(path, "name=../../x,/etc/passwd,..", "word=%2e%2e"):
        folder = left(out, run)
        assert folder.resolve().parent == (out / "runs").resolve()
    html = page.html(tables.collect(out)[0])
    for link in re.findall(r'href="([^"]*)"', html):
        assert (out / link).resolve().is_file() and (out / link).resolve().is_relative_to(
            out.resolve()
        )


# ---------------------------------------------------------------- the command


def shown(terminal):
    said = io.StringIO()
    table = board.Board(4, 1, 1, lambda: 2)
    table.console = Console(file=said, force_terminal=terminal, width=90, color_system=None)
    return table, said


def test_the_board_counts():
    table, said = shown(False)
    with table:
        table.ended("one steps=[b]3[/b]", "", 2.0)
        table.ended("two", "no", 2.0)
    lines = said.getvalue().splitlines()
    assert lines == [
        "4 runs: 1 were there, 3 to do, 2 at a time",
        "[2/4] one steps=[b]3[/b]: ok (2.0 s)",
        "[3/4] two: no (2.0 s)",
    ]
    table.console.print(table)
    cells = re.findall(r"│\s*(\S+)\s*" * 4, said.getvalue())
    assert cells == [("1", "2", "1", "0")]


def command(capsys, *words):
    code = sweep.main([str(w) for w in words])
    return code, capsys.readouterr()


@pytest.mark.slow
def test_a_sweep_from_end_to_end(tmp_path, capsys):
    """On two workers: a failure, going on, trying again, and a line of --jobs by hand."""
    flag, out = tmp_path / "flag", tmp_path / "out"
    fails = f"import os\nassert steps < 30 or os.path.exists({str(flag)!r}), 'too many'"
    words = [saved(tmp_path, NUMBERS, fails), "-p", "steps=20,50", "--out", out]
    code, said = command(capsys, *words, "--workers", "2")
    assert code == 1 and "failed: tiny steps=50: in [5]" in said.out and "too many" in said.out
    assert len(pd.read_csv(out / "results.csv")) == 3
    when = {p: p.stat().st_mtime_ns for p in (out / "runs").glob("*/result.json")}
    code, said = command(capsys, *words)
    assert code == 1 and "all 2 runs are there already" in said.out
    assert when == {p: p.stat().st_mtime_ns for p in (out / "runs").glob("*/result.json")}
    assert command(capsys, *words, "--jobs")[1].out.strip() == ""
    flag.touch()
    (line,) = command(capsys, *words, "--retry-failed", "--jobs")[1].out.strip().splitlines()
    assert len(pd.read_csv(out / "results.csv")) == 3
    run = subprocess.run(
        shlex.split(line), capture_output=True, text=True, cwd=tmp_path, env=here()
    )
    assert run.returncode == 0 and run.stdout == "tiny steps=50: ok\n", run.stderr
    code, said = command(capsys, "--collect", "--out", out)
    assert code == 0 and len(pd.read_parquet(out / "results.parquet")) == 6
    assert '"numbers"' in (out / "index.html").read_text(encoding="utf-8")


def here():
    return os.environ | {"PYTHONPATH": str(Path(sweep.__file__).parents[1])}


@pytest.mark.slow
def test_a_scheduler_elsewhere_does_the_runs(tmp_path, capsys):
    from distributed import LocalCluster

    path, out = saved(tmp_path, NUMBERS), tmp_path / "out"
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        code, said = command(
            capsys, path, "-p", "steps=3", "--out", out, "--scheduler", cluster.scheduler_address
        )
    assert code == 0 and "1 at a time" in said.out
    assert list(pd.read_csv(out / "results.csv").value) == [9.5, 0.5, 0.0]
