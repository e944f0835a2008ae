"""Sweeps disturbed: processes killed at random moments, a full disk, two at a time, spoilt results. What has
ended is kept, nothing half-written counts, and the tables are those of an undisturbed sweep, byte for byte.

With KILLS=20 in the environment, each kind of process is killed so often.
"""

import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest

from lessons_lib import sweep
from lessons_lib.sweeps import grid, runs, tables
from test_sweep import NUMBERS, asked, here, saved

KILLS = int(os.environ.get("KILLS", "1"))
COUNT = "open(f'{steps}.tries', 'a').write('x')"
TIMES = ("ended", "seconds")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed in POSIX's way"),
]


def begun(home):
    words = [str(home / "tiny.ipynb"), "-p", "steps=3,20,100", "--out", str(home / "out")]
    command = [
        sys.executable,
        "-m",
        "lessons_lib.sweep",
        *words,
        "--workers",
        "2",
        "--retry-failed",
    ]
    return subprocess.Popen(command, env=here(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def prepared(home):
    home.mkdir()
    saved(home, COUNT, NUMBERS)
    return home


def finished(home):
    process = begun(home)
    said = process.communicate()[0].decode()
    return process.returncode, said


def kept(home):
    """What each whole result says, but for times."""
    found = map(runs.result_of, (home / "out" / "runs").glob("*"))
    return {
        r["run"]: {k: v for k, v in r.items() if k not in (*TIMES, "notebook")} for r in found if r
    }


def in_tables(home):
    return [(home / "out" / name).read_bytes() for name in ("results.csv", "results.parquet")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    home, start = prepared(tmp_path_factory.mktemp("sweep") / "whole"), time.monotonic()
    code, said = finished(home)
    assert code == 0, said
    return kept(home), in_tables(home), time.monotonic() - start


VICTIMS = {"a worker": "spawn_main", "a kernel": "ipykernel_launcher"}


def killed(kind, process, after):
    """Whether a process of this kind was killed, so many seconds from now or as soon as there is one."""
    time.sleep(after)
    while process.poll() is None:
        found = [process.pid]
        if kind != "the sweep":
            found = [p.pid for p in descendants(process) if VICTIMS[kind] in name_of(p)]
        if found:
            try:
                os.kill(random.Random(after).choice(found), signal.SIGKILL)
                return True
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    return False


def descendants(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def name_of(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.parametrize("kind", ["the sweep", *VICTIMS])
def test_a_sweep_goes_on_after_kills(kind, undisturbed, tmp_path):
    whole, wanted, takes = undisturbed
    kills, turn, moment = 0, 0, random.Random(kind)
    while kills < KILLS:
        home, turn = prepared(tmp_path / str(turn)), turn + 1
        for _ in range(20):
            process = begun(home)
            alive = descendants(process)
            while kills < KILLS and killed(kind, process, moment.uniform(0, 0.9 * takes)):
                kills += 1
                alive = descendants(process)
                if kind == "the sweep":
                    break
            said = process.communicate()[0].decode()
            assert kept(home).items() <= whole.items(), said
            if process.returncode == 0:
                break
        assert process.returncode == 0 and kept(home) == whole and in_tables(home) == wanted, said
        psutil.wait_procs(alive, timeout=20)
        assert not [p for p in alive if p.is_running()], "a process outlives the sweep"


@pytest.mark.parametrize("file", [1, 2000, 100_000])
def test_a_full_disk_ends_in_a_sentence_and_nothing_is_lost(file, tmp_path, capsys):
    """Files of more than so many bytes find no room: results, notebooks, pages."""
    import resource

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file, resource.RLIM_INFINITY))

    path, out = saved(tmp_path, NUMBERS), tmp_path / "out"
    words = [str(path), "--out", str(out), "--one", '{"steps": 3}']
    command = [sys.executable, "-m", "lessons_lib.sweep", *words]
    run = subprocess.run(command, env=here(), capture_output=True, text=True, preexec_fn=limited)
    assert run.returncode == 1 and run.stdout == "", run.stdout + run.stderr
    assert "no room" in run.stderr and run.stderr.count("\n") == 1 and "kept" in run.stderr
    assert not list((out / "runs").glob("*/result.json"))
    assert sweep.main(words) == 0 and len(tables.collect(out)[0]) == 1


def test_two_at_a_time_do_a_run_once(tmp_path):
    (run,) = asked(saved(tmp_path, COUNT, NUMBERS), "steps=7")
    arguments = tmp_path / "out", run, None, 60.0
    both = [get_context("spawn").Process(target=runs.do, args=arguments) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert (tmp_path / "7.tries").read_text() == "x" and len(
        tables.collect(tmp_path / "out")[0]
    ) == 1


def test_a_spoilt_result_is_done_again(tmp_path, capsys):
    (run,) = asked(saved(tmp_path, COUNT, NUMBERS), "steps=7")
    words = [str(tmp_path / "tiny.ipynb"), "--out", str(tmp_path / "out"), "--one", '{"steps": 7}']
    assert sweep.main(words) == 0
    file = runs.folder_of(tmp_path / "out", run.digest) / runs.RESULT
    before, content = tables.collect(tmp_path / "out")[0][0]["records"], file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    (file.parent / ".00.part.page.html").write_text("half")  # what a killed process leaves
    assert sweep.main(words) == 0
    assert tables.collect(tmp_path / "out")[0][0]["records"] == before
    assert (tmp_path / "7.tries").read_text() == "xx" and not list(file.parent.glob(".*.part.*"))
    assert grid.read(Path(file.parent / "notebook.ipynb")).cells
