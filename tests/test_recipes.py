"""Recipes: the rate's shape, resuming, warm starts, and saved networks of every kind that load."""

import os
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.cards import CheckpointError, card, verify, write_card
from lessons_lib.judges.evaluators import HEADS, columns, load_clip, load_critic
from lessons_lib.recipes import clip, critic, figures, loop, pools, text, text_to_image
from lessons_lib.recipes.__main__ import RECIPES
from lessons_lib.recipes.cards import export
from lessons_lib.recipes.clip import Clips
from lessons_lib.recipes.critic import Critics, factor_loss, same_person, targets
from lessons_lib.recipes.loop import (
    Run,
    accelerator,
    check_gradients,
    learning_rate,
    mixed_precision,
)
from lessons_lib.recipes.pixel import Pixel, scheduler, times, velocity
from lessons_lib.schedule import linear_alpha_bar
from lessons_lib.worlds import WORLDS

TINY = Pixel(
    "tiny", world="faces", label="glasses", size=16, channels=(32, 32), attention=(1,), images=40,
    pool=32, batch=8, warmup=2,
)  # fmt: skip


SENTENCES = text.sentences
few_sentences = cache(lambda names: SENTENCES(names, 1024))  # they hold every word


@pytest.fixture
def quick(monkeypatch):
    """Chunks of 16 pictures, and few captions to learn the words from."""
    for module in (pools, critic, clip):
        monkeypatch.setattr(module, "CHUNK", 16)
    monkeypatch.setattr(text, "sentences", few_sentences)


def train(run, folder):
    loop.train(run, folder, accelerator(compiled=False))


def trained(recipe, tmp_path):
    run = Run.resume(recipe, tmp_path / "run")
    train(run, tmp_path / "run")
    export(run, tmp_path / recipe.name)
    verify(tmp_path / recipe.name)
    return tmp_path / recipe.name


def test_the_rate_rises_rests_and_falls_to_zero():
    recipe = replace(TINY, images=8000, warmup=10, cooldown=0.3)
    rates = [learning_rate(recipe, step) for step in range(1001)]
    assert rates[0] == pytest.approx(recipe.learning_rate / 10)
    assert rates[10] == rates[699] == recipe.learning_rate
    assert rates[850] == pytest.approx(recipe.learning_rate / 2)
    assert rates[1000] == 0


@pytest.mark.parametrize("has", [{"amx_bf16": True}, {"avx512_bf16": True}, {"bf16": True}])
def test_bf16_is_for_processors_that_compute_in_it(has, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert mixed_precision("cpu") == "bf16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(has, False))
    assert (mixed_precision("cpu"), mixed_precision("cuda")) == ("no", "bf16")


def test_gradients_lost_on_the_way_stop_the_run():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    net[1](net[0](torch.ones(1, 2)).detach()).sum().backward()
    with pytest.raises(RuntimeError, match="2 of 4 parameters got no gradient"):
        check_gradients(net)
    net(torch.ones(1, 2)).sum().backward()
    check_gradients(net)


@pytest.mark.parametrize("focus", [0.0, 0.5, 1.0])
def test_the_focus_is_on_the_noise_of_karras(focus):
    """ln σ ~ N(-1.2, 1.2²) for that share of the times, and all times equally likely for the rest."""
    t = times(100_000, torch.Generator().manual_seed(0), focus)
    assert t.min() >= 0 and t.max() <= 999
    log_sigma = (1 / linear_alpha_bar() - 1).log() / 2
    edges = torch.tensor([-2.4, -1.2, 0.0])
    focused = torch.special.ndtr((edges + 1.2) / 1.2)
    evenly = (log_sigma[None] < edges[:, None]).double().mean(1)
    below = (log_sigma[t][None] < edges[:, None]).double().mean(1)
    assert_close(below, focus * focused.double() + (1 - focus) * evenly, rtol=0, atol=0.01)


def test_the_target_is_the_velocity():
    """v = √ᾱ ε - √(1-ᾱ) x gives x back as √ᾱ x_t - √(1-ᾱ) v."""
    x, eps, t = (
        torch.randn(6, 3, 4, 4),
        torch.randn(6, 3, 4, 4),
        torch.tensor([0, 9, 99, 400, 800, 999]),
    )
    x_t, v = velocity(x, eps, t)
    a = scheduler().alphas_cumprod[t].view(-1, 1, 1, 1)
    assert_close(a.sqrt() * x_t - (1 - a).sqrt() * v, x, rtol=0, atol=1e-5)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(quick, tmp_path):
    whole = Run.resume(TINY, tmp_path / "whole")
    train(whole, tmp_path / "whole")
    # The same rate at each step: only where the run is cut differs.
    part = Run.resume(TINY, tmp_path / "part")
    part.recipe = replace(TINY, images=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "learning_rate", lambda _, step: learning_rate(TINY, step))
        train(part, tmp_path / "part")
    again = Run.resume(TINY, tmp_path / "part")
    assert again.step == 2
    train(again, tmp_path / "part")
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert_close(a, b)


def test_the_loss_curve_and_the_loss_s_own_noise_outlast_a_stop(quick, tmp_path, monkeypatch):
    class Noisy(Pixel):
        def loss(self, net, x, *more):
            return super().loss(net, x + 0.1 * torch.randn_like(x), *more)

    def stopped(step):
        if step == 4 and not stopped.once:
            stopped.once = True
            raise KeyboardInterrupt
        return learning_rate(recipe, step)

    recipe = Noisy(**vars(TINY))
    monkeypatch.setattr(loop, "CURVE", 3)
    whole = Run.resume(recipe, tmp_path / "whole")
    train(whole, tmp_path / "whole")
    stopped.once = False
    monkeypatch.setattr(loop, "learning_rate", lambda _, step: stopped(step))
    part = Run.resume(recipe, tmp_path / "part")
    with pytest.raises(KeyboardInterrupt):
        loop.train(part, tmp_path / "part", accelerator(compiled=False), save_every=0)
    again = Run.resume(recipe, tmp_path / "part")
    assert again.step == 4
    train(again, tmp_path / "part")
    assert again.curve == whole.curve
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_run_of_another_recipe_or_beginning_is_not_gone_on_with(quick, tmp_path):
    Run.resume(TINY, tmp_path / "run").save(tmp_path / "run")
    Run.resume(replace(TINY, images=80), tmp_path / "run")
    with pytest.raises(ValueError, match=r"another learning_rate \(0.0004, not 1.0\): delete"):
        Run.resume(replace(TINY, learning_rate=1.0), tmp_path / "run")
    with pytest.raises(ValueError, match="another warm start"):
        Run.resume(TINY, tmp_path / "run", warm_start="faces")


@pytest.mark.parametrize("moved", range(4))
def test_an_export_that_stopped_between_two_files_is_refused_until_the_next(
    tmp_path, monkeypatch, moved
):
    def untrained(seed):
        return Run.resume(replace(TINY, seed=seed), tmp_path / "none")

    def stopped(*paths, left=[moved]):  # noqa: B006
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(*paths)

    folder, rename = tmp_path / "tiny", os.replace
    export(untrained(0), folder)
    before = load(folder).net.state_dict()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", stopped)
        export(untrained(1), folder)
    if moved:
        with pytest.raises(CheckpointError, match="is corrupt"):
            load(folder)
    else:
        assert_close(load(folder).net.state_dict(), before)
    export(untrained(1), folder)
    export(untrained(1), tmp_path / "whole")
    assert_close(load(folder).net.state_dict(), load(tmp_path / "whole").net.state_dict())
    assert {p.name for p in folder.rglob("*")} == {p.name for p in (tmp_path / "whole").rglob("*")}


def test_what_is_exported_is_exported_beside_nothing_else(tmp_path):
    """A file that an earlier network had is gone; what nobody listed, as a sheet of samples, stays."""
    run, folder = Run.resume(TINY, tmp_path / "none"), tmp_path / "tiny"
    export(run, folder)
    (folder / "unet" / "older.bin").touch()
    (folder / "sheet.png").touch()
    said = card(folder)
    write_card(folder, said | {"files": said["files"] | {"unet/older.bin": ""}})
    export(Run.resume(TINY, tmp_path / "none"), folder)
    verify(folder)
    assert not (folder / "unet" / "older.bin").exists() and (folder / "sheet.png").exists()


def test_what_is_exported_loads_samples_and_warms_the_next(quick, tmp_path):
    folder = trained(TINY, tmp_path)
    said = card(folder)
    assert said["recipe"]["images"] == 40 and said["world"] == "faces"
    assert said["worlds"] == {"faces": WORLDS["faces"].version}
    model = load(folder)
    assert model.shape == (3, 16, 16) and model.world == "faces"
    g = Sampler(model, steps=2)
    assert g.decode(g.draw(1, seed=0)).isfinite().all()
    warm = Run.resume(TINY, tmp_path / "next", warm_start=folder)
    assert warm.earlier["recipe"]["images"] == 40 and said["earlier"] == {}
    for a, b in zip(warm.net.parameters(), model.net.parameters(), strict=True):
        assert_close(a, b)


def test_a_grown_network_keeps_what_fits_and_first_learns_only_the_rest(quick, tmp_path):
    small = load(trained(TINY, tmp_path)).net
    large = replace(
        TINY, name="large", unshuffle=1, channels=(16, 32, 32), attention=(2,), embedding=128
    )
    assert large.network().sample_size == 16 and small.sample_size == 8
    run = Run.resume(
        replace(large, held=2, images=16), tmp_path / "large", warm_start=tmp_path / "tiny"
    )
    before = {k: v.clone() for k, v in run.net.state_dict().items()}
    inner = {"mid_block.resnets.0.conv1.weight": "mid_block.resnets.0.conv1.weight",
             "down_blocks.2.resnets.0.conv1.weight": "down_blocks.1.resnets.0.conv1.weight",
             "up_blocks.0.resnets.0.conv1.weight": "up_blocks.0.resnets.0.conv1.weight",
             "class_embedding.weight": "class_embedding.weight"}  # fmt: skip
    for name, its in inner.items():
        assert name in run.parts
        assert_close(before[name], small.state_dict()[its])
    first = "time_embedding.linear_1.weight"
    assert_close(before[first], 2 * small.state_dict()[first][:, ::2])
    t = torch.tensor([0, 7, 500, 999])
    assert_close(run.net.time_proj(t), small.time_proj(t)[:, ::2])  # the frequencies that stay
    assert {"conv_in.weight", "conv_out.weight"}.isdisjoint(run.parts)
    train(run, tmp_path / "large")
    same = {k for k, v in run.net.state_dict().items() if torch.equal(v, before[k])}
    assert same == set(run.parts)
    again = Run.resume(replace(large, held=2, images=24), tmp_path / "large")
    assert again.parts == run.parts
    train(again, tmp_path / "large")
    assert not any(torch.equal(again.net.state_dict()[k], before[k]) for k in inner)
    with pytest.raises(ValueError, match="large-half"):
        Run.resume(replace(large, held=2), tmp_path / "alone")
    for other in (
        large,
        replace(TINY, held=2, channels=(32, 32, 32, 32)),
    ):  # not told to; two levels more
        with pytest.raises(RuntimeError, match="Error\\(s\\) in loading"):
            Run.resume(other, tmp_path / "other", warm_start=tmp_path / "tiny")


def test_a_shorter_caption_is_a_part_of_it_and_keeps_its_subject():
    whole = "a dog with brown fur, a cream muzzle and long ears, leaning left, on green"
    scene = "a red house on the left and a cow in the middle, in winter at night"
    gen = torch.Generator().manual_seed(0)
    some = [text_to_image.shorter(whole, gen) for _ in range(200)]
    assert all(s.startswith("a dog") for s in some) and {"a dog", whole} <= set(some)
    words = set(whole.replace(",", "").split())
    assert all(set(s.replace(",", "").split()) <= words for s in some)
    some = {text_to_image.shorter(scene, gen) for _ in range(500)}
    assert {"a red house", "a house in winter at night", "a cow, in winter at night", scene} <= some


def test_only_the_text_encoder_learns_if_so_asked(quick):
    net = replace(RECIPES["t2i-words"], channels=(32, 32), attention=(1,)).network()
    assert not any(p.requires_grad for p in net.unet.parameters())
    assert all(p.requires_grad for p in net.text_encoder.parameters())


def test_a_view_is_its_network_with_one_label_fixed(quick, tmp_path):
    species = {"world": "animals", "label": "species", "views": ("cats", "dogs", "wild")}
    folder = trained(replace(TINY, **species), tmp_path)
    both, dogs = load(folder), load(tmp_path / "dogs")
    x = torch.randn(2, 3, 16, 16)
    two = torch.tensor([2, 2])
    assert_close(dogs(x, 700), both(x, 700, two))
    assert not torch.allclose(dogs(x, 700), both(x, 700), atol=1e-4)
    assert dogs.world == "dogs" and dogs.labels == () and both.labels == (0, 1, 2, 3)
    with pytest.raises(ValueError, match="without conditions"):
        dogs(x, 700, two)
    assert card(tmp_path / "wild")["worlds"] == {"wild": WORLDS["wild"].version}
    weights = next(folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match=r"/tiny/unet/.* is corrupt"):
        load(tmp_path / "cats")


def test_a_pool_is_drawn_once_and_again_when_the_renderer_changes(quick, tmp_path, monkeypatch):
    pool = pools.Pool(WORLDS["faces"], 16, tmp_path)
    assert pool.grow(17) == 32 and len(list(tmp_path.iterdir())) == 2
    image, mask, factors = pool.take([0, 20])
    drawn, painted = WORLDS["faces"].paint(factors, 16)
    assert_close(image, drawn, rtol=0, atol=1 / 127)
    assert torch.equal(mask, painted)
    pools.Pool(WORLDS["faces"], 16, tmp_path).grow(32)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(type(pool.world), "version", "another")
    pools.Pool(WORLDS["faces"], 16, tmp_path).grow(16)
    assert len(list(tmp_path.iterdir())) == 3


def test_people_again_keep_their_identity_and_nothing_else(quick):
    looks = WORLDS["looks"]
    one, two = pools.drawn(WORLDS["faces"], 3), critic.again(looks, 3)
    for f in looks.factors:
        same = f.name in one and torch.equal(one[f.name], two[f.name])
        assert same == (f.group == "identity"), f.name


def test_twins_differ_in_one_told_factor_across_its_middle(quick):
    world = WORLDS["faces"]
    one, two = pools.drawn(world, 0), clip.twins(world, 0)
    differ = [[f for f in world.factors if one[f.name][i] != two[f.name][i]] for i in range(16)]
    assert all(len(moved) == 1 and moved[0].name in clip.TOLD for moved in differ)
    for i, (f,) in enumerate(differ):
        middle = (f.low + f.high) / 2
        assert (one[f.name][i] < middle) != (two[f.name][i] < middle)
        assert f.low <= two[f.name][i] <= f.high


@pytest.mark.parametrize("head", HEADS)
def test_a_perfect_reading_has_no_loss(head):
    world = WORLDS[head]
    wanted = targets(world, world.sample_factors(8, 0))
    perfect, wrong = wanted.clone(), wanted.clone()
    for f, place in columns(world):
        if f.choices or f.binary is not None:
            perfect[:, place] = (wanted[:, place] - 0.5) * 60
            wrong[:, place] = -perfect[:, place]
    assert factor_loss(world, perfect, wanted) < 1e-6 < factor_loss(world, wrong, wanted)


def test_one_person_is_told_from_others():
    unit = torch.eye(8)
    assert same_person(unit, unit) < 0.01 < same_person(unit, unit.flip(0))


def test_a_critic_is_trained_saved_and_read(quick, tmp_path):
    folder = trained(Critics("critic", images=32, batch=16, pool=16, channels=(8, 8, 8)), tmp_path)
    judge = load_critic(folder)
    for name, world in WORLDS.items():
        read = judge.read(world.sample(2, 0, 40).image, name)
        assert list(read) == [f.name for f in world.factors]
        for f in world.factors:
            assert f.low <= read[f.name].min() and read[f.name].max() <= f.high
        assert world.render(read, 32).shape == (2, 3, 32, 32)
        assert judge.mask(world.sample(1, 0, 32).image, name).max() < len(world.classes)
    assert_close(judge.identity(torch.zeros(1, 3, 32, 32)).norm(), torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"shape \(1, 2, 32, 32\).*grey ones"):
        judge.features(torch.zeros(1, 2, 32, 32))
    with pytest.raises(CheckpointError, match="a critic, not a clip"):
        load_clip(folder)


def test_a_clip_is_trained_saved_and_compares(quick, tmp_path):
    small = {"width": 32, "layers": 1, "text_width": 32, "text_layers": 1, "embedding": 16}
    folder = trained(Clips("clip", images=16, batch=8, pool=16, **small), tmp_path)
    judge = load_clip(folder)
    image, words = judge.image(torch.zeros(2, 3, 64, 64)), judge.text(["a cat", "a red house"])
    assert image.shape == words.shape == (2, 16)
    assert_close(words.norm(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match="empty"):
        judge.text([" "])
    with pytest.raises(ValueError, match=r"never shown: hose, spaceship\. .* such as .*house"):
        judge.text(["a red hose, a spaceship"])
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is corrupt"):
        load_clip(folder)


def test_text_to_image_is_a_stable_diffusion_folder(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(text_to_image, "codec_folder", lambda: tmp_path / "codec")
    codec = text_to_image.Codecs("codec", images=6, batch=6, pool=16, channels=(16, 16, 16))
    trained(codec, tmp_path)
    tiny = {"channels": (32, 32), "attention": (1,), "text_width": 32, "text_layers": 1}
    recipe = text_to_image.TextToImage("t2i", images=6, batch=6, pool=16, **tiny)
    folder = tmp_path / "t2i"
    run = Run.resume(recipe, tmp_path / "t2i-run")
    train(run, tmp_path / "t2i-run")
    export(run, folder)
    model = load(folder)
    assert model.shape == (4, 16, 16)
    g = Sampler(model, steps=2)
    z = g.decode(g.draw(1, seed=0), cond=model.prompts(["a red house in winter"]))
    assert model.codec.decode(z.float()).shape == (1, 3, 64, 64)
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    out = pipeline("a dog", num_inference_steps=2, guidance_scale=1.0, output_type="np").images
    assert out.shape == (1, 64, 64, 3)


def test_a_card_lists_the_worlds_learnt():
    assert TINY.learns() == ("faces",)
    assert text_to_image.TextToImage("t2i").learns() == ("animals", "faces", "scenes")
    assert Critics("critic").learns() == tuple(sorted(WORLDS))


def test_what_a_stopped_measurement_had_drawn_is_not_drawn_again(monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "STEPS", 2)
    monkeypatch.setattr(figures, "AT_ONCE", 2)
    whole, _ = figures.samples("cats", 5, kept=tmp_path / "whole")
    drawn, decoded = [], figures.decoded

    def stopped(g, model, z, captions):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(len(z))
        return decoded(g, model, z, captions)

    monkeypatch.setattr(figures, "decoded", stopped)
    with pytest.raises(KeyboardInterrupt):
        figures.samples("cats", 5, kept=tmp_path)
    drawn.clear()
    resumed, _ = figures.samples("cats", 5, kept=tmp_path)
    assert drawn == [1]
    assert_close(resumed, whole)
