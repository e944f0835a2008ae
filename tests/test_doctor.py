"""The doctor says what is wrong in one line, and never ends in a traceback."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from lessons_lib import doctor
from lessons_lib.paths import ROOT


@pytest.fixture
def folder(tmp_path):
    """A folder of checkpoints with one in it."""
    checkpoint = tmp_path / "checkpoints" / "toy"
    (checkpoint / "unet").mkdir(parents=True)
    (checkpoint / "unet" / "weights").write_bytes(b"weights")
    files = {"unet/weights": hashlib.sha256(b"weights").hexdigest()}
    (checkpoint / "card.json").write_text(json.dumps({"files": files}))
    return tmp_path / "checkpoints"


def lines(monkeypatch, capsys, folder):
    """What the doctor prints of the checkpoints there, and its exit code."""
    monkeypatch.setattr(doctor, "sample", lambda: "sampled")
    code = doctor.main(folder)
    return code, [line for line in capsys.readouterr().out.splitlines() if "toy" in line]


def test_a_whole_checkpoint_is_well(monkeypatch, capsys, folder):
    _, said = lines(monkeypatch, capsys, folder)
    assert said == ["ok       checkpoint toy: 1 files as its card lists them"]


def corrupt(toy):
    (toy / "unet" / "weights").write_bytes(b"weightz")


def remove(toy):
    (toy / "unet" / "weights").unlink()


def no_card(toy):
    (toy / "card.json").unlink()


def no_json(toy):
    (toy / "card.json").write_text("{")


def no_files(toy):
    (toy / "card.json").write_text("{}")


def another_format(toy):
    said = json.loads((toy / "card.json").read_text())
    (toy / "card.json").write_text(json.dumps({"format": 2} | said))


@pytest.mark.parametrize("harm", [corrupt, remove, no_card, no_json, no_files, another_format])
def test_a_broken_checkpoint_is_a_problem(monkeypatch, capsys, folder, harm):
    shutil.copytree(folder / "toy", folder / "whole")
    harm(folder / "toy")
    code, said = lines(monkeypatch, capsys, folder)
    assert code == 1
    assert len(said) == 1 and said[0].startswith("problem")


def test_a_check_that_raises_is_a_problem():
    assert doctor.examine(lambda: 1 / 0) == (False, "problem  ZeroDivisionError: division by zero")


def test_another_python_s_kernel_is_a_problem(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = ["/usr/bin/another-python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    well, line = doctor.examine(doctor.kernel)
    assert not well and "another-python" in line


def test_every_check_but_the_network_s_is_well_here():
    for check in (doctor.python, doctor.packages, doctor.torch_pair, doctor.kernel, doctor.device):
        well, line = doctor.examine(check)
        assert well, line


def test_it_runs_without_torch():
    program = (
        "import sys; sys.modules['torch'] = None; from lessons_lib import doctor; doctor.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "problem  torch is not installed: run `make setup`" in done.stdout
    assert done.stdout.count("problem") == 2  # and the line that says where to look
