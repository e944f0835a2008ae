"""Against the public codes of CycleDiffusion: equal where they are right, right where they are not.

Each bug in a few lines that a lesson can show: ChenWu98/cycle-diffusion (ddpm_ddim_wrapper.py, on the
exact model of the digits), then diffusers' CycleDiffusionPipeline, on a random checkpoint.
"""

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Code, Sampler, load
from lessons_lib.denoisers import Guided
from lessons_lib.encoder import posterior
from lessons_lib.methods.editing import cycle_diffusion, sdedit, start_at
from lessons_lib.models.mixture import digits
from lessons_lib.schedule import Schedule, mean_coefficients, noised
from lessons_lib.streams import Streams
from small import ALPHA_BAR, PROMPTS, randn, tiny_pipeline

DIGITS = digits()
SWAPPED = PROMPTS[::-1]


# The authors' code


def counted_in_steps(g, x, streams):
    """Bug 1: x_T is noised to time len(steps) - 1, as if steps were times."""
    s, c = g.schedule, mean_coefficients(g.schedule.a, g.schedule.a_to, g.sigma)
    x_t = noised(x, streams.normal(x), ALPHA_BAR[len(s) - 1].item())
    yield x_t
    for i in range(len(s) - 1):
        x_t = c[0][i] * x_t + c[1][i] * x + g.sigma[i] * streams.normal(x)
        yield x_t
    yield x


def test_bug_1_the_start_is_too_clean_unless_every_time_is_visited():
    x = DIGITS.means[:1].view(1, 1, 8, 8).expand(500, -1, -1, -1)
    for steps, too_clean in ((100, True), (1000, False)):
        g = start_at(Sampler(DIGITS, steps, 0.1), 850)
        right, wrong = (
            next(path(g, x, Streams(0, len(x)))).std(0).mean()
            for path in (posterior, counted_in_steps)
        )
        assert_close(right, (1 - g.schedule.a[0]).sqrt(), rtol=0.02, atol=0)
        assert wrong < 0.4 if too_clean else wrong == right


def test_bug_2_the_last_code_is_dropped_and_with_it_the_last_of_the_image():
    g, x = Sampler(DIGITS, 50, 0.1), DIGITS.means[:2].view(2, 1, 8, 8)
    z = g.encode(x)
    dropped = Code(z.x_T, torch.cat([z.eps[:-1], torch.zeros_like(z.eps[:1])]), z.residual)
    assert (g.decode(z) - x).abs().max() < 1e-12
    assert (g.decode(dropped) - x).abs().max() > 1e-3


def test_bug_3_a_clean_up_inside_the_decoder_is_no_inverse_of_the_encoder():
    g, x = Sampler(DIGITS, 50, 0.1), DIGITS.means[:2].view(2, 1, 8, 8)
    back = g.decode(g.encode(x))
    cleaned = sdedit(back, start_at(g, 100).with_eta(1.0), seed=1)
    assert (back - x).abs().max() < 1e-12 and (cleaned - x).abs().max() > 0.05


# diffusers' pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("t2i")
    tiny_pipeline(where, prediction_type="epsilon")
    return where


@pytest.fixture(autouse=True)
def same_noise(monkeypatch):
    """Our chain draws its noise in float32, as the pipeline does."""

    def normal(self, like):
        return torch.stack([torch.randn(like.shape[1:], generator=g) for g in self.generators]).to(
            like
        )

    monkeypatch.setattr(Streams, "normal", normal)


def pipeline(folder, **scheduler):
    from diffusers import CycleDiffusionPipeline, DDIMScheduler

    pipe = CycleDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    )
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def theirs(pipe, latents, source, target, scale=3.0, eta=0.1):
    """10 steps, of which the first two are skipped."""
    return pipe(
        prompt=target, source_prompt=source, image=latents, guidance_scale=scale, eta=eta,
        source_guidance_scale=1.5, num_inference_steps=10, strength=0.8,
        generator=[torch.Generator().manual_seed(5) for _ in source] if len(source) > 1
        else torch.manual_seed(5), output_type="latent",
    ).images  # fmt: skip


@torch.no_grad()
def ours(model, latents, source, target, scale=3.0, eta=0.1, last=None):
    """The same times, and by default the same end: the first noise level, not the image."""
    last = model.alpha_bar[0].item() if last is None else last
    schedule = Schedule.of(model.alpha_bar, list(range(701, 0, -100)), last)
    one, two = (
        Sampler(Guided(model, w, model.prompts.empty), eta=eta, schedule=schedule)
        for w in (1.5, scale)
    )
    texts = model.prompts(source), model.prompts(target)
    return cycle_diffusion(latents, one, two, [5] * len(latents), posterior, *texts).float()


@pytest.mark.parametrize("eta", [0.1, 1.0])
@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_one_image_is_edited_as_the_pipeline_does(folder, scale, eta):
    x = randn(1, 4, 8, 8, dtype=torch.float32)
    expected = theirs(pipeline(folder), x, PROMPTS[:1], PROMPTS[1:], scale, eta)
    found = ours(load(folder), x, PROMPTS[:1], PROMPTS[1:], scale, eta)
    assert_close(found, expected, rtol=0, atol=1e-4)
    assert (found - x).abs().max() > 1e-2


def test_bug_4_a_guided_batch_is_silently_wrong_and_ours_is_its_singles(folder):
    pipe, x = pipeline(folder), randn(2, 4, 8, 8, dtype=torch.float32)
    single = torch.cat(
        [theirs(pipe, x[i : i + 1], PROMPTS[i : i + 1], SWAPPED[i : i + 1]) for i in range(2)]
    )
    batch = theirs(pipe, x, PROMPTS, SWAPPED)
    assert batch.shape == single.shape and batch.isfinite().all()
    assert (batch - single).abs().mean() > 0.1
    found = ours(load(folder), x, PROMPTS, SWAPPED)
    assert_close(found, single, rtol=0, atol=1e-4)


def test_bug_4_does_not_show_in_a_reconstruction(folder):
    """Any ε cancels where source and target agree: an identity is no test of the network's calls."""
    x = randn(2, 4, 8, 8, dtype=torch.float32)
    batch = theirs(pipeline(folder), x, PROMPTS, PROMPTS, scale=1.5)
    assert_close(batch, x, rtol=0, atol=1e-4)


def test_bug_5_a_schedule_that_ends_at_the_image_gives_nan(folder):
    x = randn(1, 4, 8, 8, dtype=torch.float32)
    pipe = pipeline(folder, set_alpha_to_one=True)
    assert theirs(pipe, x, PROMPTS[:1], PROMPTS[:1], scale=1.5).isnan().all()
    model = load(folder)
    assert_close(ours(model, x, PROMPTS[:1], PROMPTS[:1], 1.5, last=1.0), x, rtol=0, atol=1e-5)
    assert ours(model, x, PROMPTS[:1], PROMPTS[1:], last=1.0).isfinite().all()


def test_bug_6_at_eta_0_the_codes_are_infinite_and_dropped(folder):
    """Each code is divided by 0, and none is added: what comes out is SDEdit at η = 0."""
    x, pipe, model = randn(1, 4, 8, 8, dtype=torch.float32), pipeline(folder), load(folder)
    lost = theirs(pipe, x, PROMPTS[:1], PROMPTS[1:], eta=0.0)
    schedule = Schedule.of(model.alpha_bar, list(range(701, 0, -100)), model.alpha_bar[0].item())
    g = Sampler(Guided(model, 3.0, model.prompts.empty), schedule=schedule)
    x_T = next(posterior(g, x.double(), Streams(5, len(x))))
    assert_close(
        g.decode(Code(x_T), cond=model.prompts(PROMPTS[1:])).float(), lost, rtol=0, atol=1e-4
    )
    assert_close(ours(model, x, PROMPTS[:1], PROMPTS[:1], 1.5, eta=0.0), x, rtol=0, atol=1e-5)
    near, at = (ours(model, x, PROMPTS[:1], PROMPTS[1:], eta=eta) for eta in (1e-6, 0.0))
    assert_close(near, at, rtol=0, atol=1e-4)
    assert (lost - at).abs().max() > 0.1


def test_bug_7_every_network_is_taken_for_one_that_predicts_noise(tmp_path):
    """Of a v-prediction network, the pipeline decodes by v and encodes as if v were ε."""
    tiny_pipeline(tmp_path, prediction_type="v_prediction")
    x, same = randn(1, 4, 8, 8, dtype=torch.float32), (PROMPTS[:1], PROMPTS[:1])
    assert (theirs(pipeline(tmp_path), x, *same, scale=1.5) - x).abs().max() > 0.1
    assert_close(ours(load(tmp_path), x, *same, scale=1.5), x, rtol=0, atol=1e-5)
