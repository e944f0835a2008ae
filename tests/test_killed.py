"""Commands killed at random moments: what they leave is refused or whole, and started again they finish
as if nothing had happened. With KILLS=20 in the environment, each command is killed so often.
"""

import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

import nbformat
import pytest
import torch

from lessons_lib import checkpoints, load, pages, scoreboard
from lessons_lib.cards import CheckpointError
from lessons_lib.paths import EMBEDDED
from lessons_lib.recipes import __main__ as recipes
from lessons_lib.recipes import figures, loop, pools
from lessons_lib.recipes.cards import export
from lessons_lib.recipes.loop import Run
from lessons_lib.recipes.pixel import Pixel
from test_notebooks import lesson

KILLS = int(os.environ.get("KILLS", "1"))
OFTEN = KILLS > 1
TIMES = {"training_seconds", "measured in seconds", "seconds", "peak_mib", "papermill", "execution"}


@dataclass(frozen=True)
class Noisy(Pixel):
    """A recipe whose loss draws noise of its own, as that of `DenoisingGans`."""

    def loss(self, net, x, *more):
        return super().loss(net, x + 0.1 * torch.randn_like(x), *more)


TINY = Noisy(
    "tiny", world="animals", label="species", unlabelled=0.15, views=("cats", "dogs"), size=32,
    channels=(32, 32), attention=(1,), images=64, pool=48, batch=8, warmup=2, compiled=False,
)  # fmt: skip


def train(home):
    pools.CHUNK, loop.CURVE = 16, 5
    recipes.RECIPES, recipes.BUILD = {"tiny": TINY}, home / "build"
    recipes.train = partial(loop.train, save_every=0)
    sys.argv = ["recipes", "tiny", "--out", str(home / "out")]
    recipes.main()


def measure(home):
    checkpoints.EMBEDDED = figures.EMBEDDED = home / "out"
    figures.KEPT = home / "kept"
    figures.samples = partial(figures.samples, kept=figures.KEPT)
    figures.STEPS, figures.NEAREST, figures.AT_ONCE, figures.LEAST = 2, 4, 16, 64
    figures.fidelity = lambda *asked: {"samples": len(asked[0])}  # it needs 257 images
    sys.argv = ["figures", "tiny", "--samples", "64"]
    figures.main()


def some_of(edits):
    """The first two methods, each with its first two settings where the command is killed often."""

    def some(*args):
        found = islice(edits(*args).items(), 2)
        return {name: dict(islice(v.items(), 2 if OFTEN else 1)) for name, v in found}

    return some


def tabulate(home):
    scoreboard.AT_ONCE = scoreboard.CHOOSING = 2
    scoreboard.COMPARED_WITH = 8
    scoreboard.translations = some_of(scoreboard.translations)
    scoreboard.text_edits = some_of(scoreboard.text_edits)
    out = ["--out", str(home / "out" / "board.json"), "--cache", str(home / "cache")]
    tables = [] if OFTEN else ["text"]
    sys.argv = ["scoreboard", *tables, "--images", "2", "--steps", "2", *out]
    scoreboard.main()


def render(home):
    pages.main([str(home / "09_try.ipynb"), "--out", str(home / "out")])


LESSON = lesson(
    "import os\nfrom pathlib import Path\nPath('pids', str(os.getpid())).touch()",
    "import time\ntime.sleep(0.3)",
    "steps",
)
COMMANDS = {"recipes": train, "figures": measure, "scoreboard": tabulate, "pages": render}


def prepared(command, home):
    """A folder in which the command can run."""
    home.mkdir()
    if command == "figures":
        export(Run.resume(TINY, home / "none"), home / "out" / "tiny")
        shutil.copytree(EMBEDDED / "critic", home / "out" / "critic")
    if command == "pages":
        (home / "pids").mkdir()
        nbformat.write(LESSON, home / "09_try.ipynb")
    return home


def begun(command, home):
    process = multiprocessing.get_context("fork").Process(target=COMMANDS[command], args=(home,))
    process.start()
    return process


def finished(command, home):
    process = begun(command, home)
    process.join()
    assert process.exitcode == 0


def killed(command, home, after):
    """Whether the command was killed so many seconds after its start; False if it had finished."""
    process = begun(command, home)
    process.join(after)
    running = process.exitcode is None
    process.kill()
    process.join()
    assert running or process.exitcode == 0
    return running


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def results(home):
    """What each file in the folder of results holds, but for times; what is hidden is nobody's result."""
    found = {}
    for path in (home / "out").rglob("*"):
        name = path.relative_to(home / "out").as_posix()
        if path.is_dir() or name.startswith(".") or "/." in name:
            continue
        content = path.read_bytes()
        if path.suffix in (".json", ".ipynb"):
            content = without_times(json.loads(content))
        if path.suffix == ".html":
            content = re.sub(r"\d+(\.\d+)? (s|MiB)\b", "", content.decode())
        found[name] = content
    return found


def check_left(found, before, final, home):
    """What was left are files of before or of the end, and checkpoints that are whole or refused."""
    for name, content in found.items():
        part = isinstance(content, dict) and content.items() <= final[name].items()
        assert part or content in (before.get(name), final[name]), name
    for name in ("tiny", *TINY.views):
        if (home / "out" / name).exists():
            try:
                load(home / "out" / name)
            except CheckpointError:
                continue
            wanted = {k for k in final if k.startswith(("tiny/", f"{name}/")) and ".png" not in k}
            assert wanted <= found.keys()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def imported():
    """What the commands import late is here before the first fork, and costs its time once."""
    import lessons_lib._torchvision  # noqa: F401

    import accelerate  # noqa: F401
    import torchmetrics  # noqa: F401
    from diffusers.models.autoencoders import autoencoder_kl  # noqa: F401
    from diffusers.models.unets import unet_2d, unet_2d_condition  # noqa: F401
    from diffusers.schedulers import scheduling_ddim  # noqa: F401
    from diffusers.training_utils import EMAModel  # noqa: F401
    from transformers.models.clip import modeling_clip, tokenization_clip  # noqa: F401


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed in POSIX's way")
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_random_moments_a_command_finishes_as_if_it_had_not_been(
    command, imported, tmp_path
):
    whole, random_moment = prepared(command, tmp_path / "whole"), random.Random(command)
    start = time.monotonic()
    finished(command, whole)
    takes, final, kills = time.monotonic() - start, results(whole), 0
    for turn in count():
        home = prepared(command, tmp_path / str(turn))
        before, running = results(home), True
        while running and kills < KILLS:
            running = killed(command, home, random_moment.uniform(0, 0.9 * takes))
            kills += running
            check_left(results(home), before, final, home)
        if running:
            finished(command, home)
        assert results(home) == final
        if kills == KILLS:
            break
    deadline = time.monotonic() + 20
    for pid in (int(path.name) for path in tmp_path.glob("*/pids/*")):
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not alive(pid), "the kernel outlives the command"
