"""A recipe's run: the rate's shape, resuming, warm start, and a saved model that loads."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.checkpoints import card, verify
from lessons_lib.recipes import pixel
from lessons_lib.recipes.pixel import Recipe, Run, export, learning_rate, noisy_pair

TINY = Recipe(
    "tiny", world="faces", size=16, channels=(32, 32), attention=(1,), images=40, pool=32, batch=8,
    warmup=2,
)  # fmt: skip


@pytest.fixture
def quick(monkeypatch):
    """Training without compiling, on a small pool."""
    monkeypatch.setattr(pixel, "CHUNK", 512)
    monkeypatch.setattr(torch, "compile", lambda net: net)


def test_the_rate_rises_rests_and_falls_to_zero():
    recipe = replace(TINY, images=8000, warmup=10, cooldown=0.3)
    rates = [learning_rate(recipe, step) for step in range(1001)]
    assert rates[0] == pytest.approx(recipe.learning_rate / 10)
    assert rates[10] == rates[699] == recipe.learning_rate
    assert rates[850] == pytest.approx(recipe.learning_rate / 2)
    assert rates[1000] == 0


def test_the_target_is_the_velocity():
    """v = √ᾱ ε - √(1-ᾱ) x gives x back as √ᾱ x_t - √(1-ᾱ) v."""
    x, alpha_bar = torch.randn(6, 3, 4, 4), pixel.scheduler().alphas_cumprod
    x_t, t, v = noisy_pair(x, alpha_bar, torch.Generator().manual_seed(0))
    a = alpha_bar[t].view(-1, 1, 1, 1)
    assert_close(a.sqrt() * x_t - (1 - a).sqrt() * v, x)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(quick, tmp_path):
    whole = Run.resume(TINY, tmp_path / "whole")
    pixel.train(whole, tmp_path / "whole")
    # The same rate at each step: only where the run is cut differs.
    part = Run.resume(TINY, tmp_path / "part")
    part.recipe = replace(TINY, images=16, cooldown=TINY.cooldown * 40 / 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel, "learning_rate", lambda _, step: learning_rate(TINY, step))
        pixel.train(part, tmp_path / "part")
    again = Run.resume(TINY, tmp_path / "part")
    assert again.step == 2
    pixel.train(again, tmp_path / "part")
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert_close(a, b)


def test_what_is_exported_loads_samples_and_warms_the_next(quick, tmp_path):
    run = Run.resume(TINY, tmp_path / "run")
    pixel.train(run, tmp_path / "run")
    export(run, tmp_path / "tiny")
    verify(tmp_path / "tiny")
    said = card(tmp_path / "tiny")
    assert said["recipe"]["images"] == 40 and said["world"] == "faces"
    model = load(tmp_path / "tiny")
    assert model.shape == (3, 16, 16) and model.world == "faces"
    g = Sampler(model, steps=2)
    assert g.decode(g.draw(1, seed=0)).isfinite().all()
    warm = Run.resume(TINY, tmp_path / "next", warm_start=tmp_path / "tiny")
    for a, b in zip(warm.net.parameters(), model.net.parameters(), strict=True):
        assert_close(a, b)
