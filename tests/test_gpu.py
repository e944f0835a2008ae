"""On an accelerator that is there: the same numbers as on a CPU, and lessons to their end."""

import matplotlib
import pytest
import torch
from torch.testing import assert_close

from families_by_lessons import run
from lessons_lib import Sampler, load, worlds

HERE = [d for d in ("cuda", "mps") if getattr(torch, d).is_available()]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HERE, reason="There is no cuda or mps device here."),
]


@pytest.mark.parametrize(
    ("precision", "within"), [("float32", 1e-2), ("float16", 0.1), ("bfloat16", 0.3)]
)
def test_it_draws_what_a_cpu_draws(precision, within):
    there, here = (
        Sampler(load("faces", d, precision=precision if d in HERE else "float32"), 10, 1.0)
        for d in (HERE[0], "cpu")
    )
    a, b = there.decode(there.draw(4, 0)), here.decode(here.draw(4, 0))
    assert a.device.type == HERE[0] and (a.cpu().double() - b).abs().max() < within


@pytest.mark.parametrize(
    ("precision", "within"), [("float32", 1e-5), ("float16", 1e-9), ("bfloat16", 1e-9)]
)
def test_what_is_encoded_comes_back(precision, within):
    if HERE[0] == "mps" and precision != "float32":
        pytest.skip("States of float32 are rounded otherwise both ways.")
    g = Sampler(load("faces", HERE[0], precision=precision), 20, 1.0)
    x = worlds.faces.sample(3, 0, g.denoiser.shape[-1]).image.to(HERE[0], g.dtype)
    assert_close(g.decode(g.encode(x)), x, rtol=0, atol=within)


@pytest.mark.parametrize("number", ["00", "01", "05", "10"])
def test_a_lesson_runs(number):
    matplotlib.use("Agg")
    outcome = run(number, "", HERE[0], HERE[0], real=True)
    assert outcome.kind == "runs", outcome
