"""Bad inputs: each is refused in one sentence that names what is wrong."""
# ruff: noqa: E501

import pytest
import torch

from lessons_lib import Code, Sampler, load, worlds
from lessons_lib.encoder import invert, lockstep
from lessons_lib.methods import bounds
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.models.unet import UNet
from lessons_lib.schedule import (
    Schedule,
    even,
    linear_alpha_bar,
    scaled_linear_alpha_bar,
    sigma,
    trailing,
)
from small import ALPHA_BAR, mixture, randn, says_in_a_sentence, tiny_net, tiny_unet

MIX = mixture(labels=torch.tensor([0, 1, 1, 0]))
NET, LABELLED = tiny_unet(), tiny_unet(num_class_embeds=3)
DDIM, DDPM, PIXEL = Sampler(MIX, 5, 0.0), Sampler(MIX, 5, 1.0), Sampler(NET, 5, 1.0)
X, IMAGE = randn(2, 3), randn(2, 3, 8, 8)
Z = DDPM.draw(2, 0)
FACTORS = worlds.faces.sample_factors(2, 0)
NAN = float("nan")
bad_x = X.clone()
bad_x[0, 0] = NAN


def unet_with(**config):
    return UNet(tiny_net(**config), ALPHA_BAR)


BAD = {
    # schedules
    "no steps": (lambda: Sampler(MIX, 0), ["steps is 0", "1 to 1000"]),
    "negative steps": (lambda: Sampler(MIX, -5), ["steps is -5"]),
    "too many steps": (lambda: Sampler(MIX, 1001), ["steps is 1001", "1000"]),
    "fractional steps": (lambda: Sampler(MIX, 10.0), ["steps is 10.0", "whole"]),
    "steps True": (lambda: Sampler(MIX, True), ["steps is True", "whole"]),
    "steps in words": (lambda: Sampler(MIX, "50"), ["steps is '50'", "whole"]),
    "trailing 0": (lambda: trailing(1000, 0), ["steps is 0"]),
    "trailing True": (lambda: trailing(1000, True), ["steps is True"]),
    "first time too late": (lambda: even(1000, 5, first=1000), ["1000", "999"]),
    "first time half": (lambda: even(1000, 5, first=99.5), ["99.5"]),
    "times rise": (lambda: Schedule.of(ALPHA_BAR, [0, 5]), ["fall strictly"]),
    "times repeat": (lambda: Schedule.of(ALPHA_BAR, [5, 5, 0]), ["fall strictly"]),
    "no times": (lambda: Schedule.of(ALPHA_BAR, []), ["fall strictly"]),
    "times too late": (lambda: Schedule.of(ALPHA_BAR, [1000, 0]), ["999"]),
    "times negative": (lambda: Schedule.of(ALPHA_BAR, [10, -1]), ["least 0"]),
    "times half": (lambda: Schedule.of(ALPHA_BAR, [10.5, 3.0]), ["times"]),
    "last level too low": (lambda: Schedule.of(ALPHA_BAR, [10], 0.5), ["last_alpha_bar is 0.5"]),
    "last level above 1": (lambda: Schedule.of(ALPHA_BAR, [10], 1.1), ["last_alpha_bar is 1.1"]),
    "last level nan": (lambda: Schedule.of(ALPHA_BAR, [10], NAN), ["last_alpha_bar is nan"]),
    "alpha_bar rises": (lambda: Schedule.of(ALPHA_BAR.flip(0), [10]), ["alpha_bar", "falls"]),
    "alpha_bar empty": (lambda: Schedule.of(torch.ones(0), [10]), ["alpha_bar"]),
    "alpha_bar a number": (lambda: Schedule.of(torch.tensor(0.5), [0]), ["alpha_bar"]),
    "alpha_bar 2-D": (lambda: Schedule.of(ALPHA_BAR[None], [0]), ["alpha_bar"]),
    "betas swapped": (lambda: linear_alpha_bar(1000, 0.02, 1e-4), ["beta_start", "beta_end"]),
    "beta above 1": (lambda: scaled_linear_alpha_bar(1000, 0.1, 1.5), ["beta_end=1.5"]),
    "no training steps": (lambda: linear_alpha_bar(0), ["train_steps is 0"]),
    "negative training steps": (lambda: scaled_linear_alpha_bar(-1), ["train_steps is -1"]),
    # eta and dtype
    "eta nan": (lambda: Sampler(MIX, 5, NAN), ["eta is nan"]),
    "eta above 1": (lambda: Sampler(MIX, 5, 1.5), ["eta is 1.5", "DDPM"]),
    "eta negative": (lambda: DDIM.with_eta(-0.1), ["eta is -0.1", "DDIM"]),
    "eta in words": (lambda: Sampler(MIX, 5, "1"), ["eta is '1'"]),
    "eta None": (lambda: sigma(ALPHA_BAR[:1], ALPHA_BAR[:1], None), ["eta is None"]),
    "an integer state": (lambda: Sampler(MIX, 5, dtype=torch.int64), ["dtype", "floating"]),
    # codes
    "draw 0": (lambda: DDIM.draw(0, 0), ["n is 0"]),
    "draw 1.5": (lambda: DDIM.draw(1.5, 0), ["n is 1.5"]),
    "seed None": (lambda: DDIM.draw(1, None), ["seed is None"]),
    "seed -1": (lambda: DDPM.encode(X, seed=-1), ["seed is -1"]),
    "a code of other steps": (lambda: Sampler(MIX, 6, 1.0).decode(Z), ["5 steps", "6"]),
    "a code of other images": (lambda: PIXEL.decode(Z), ["(3,)", "(3, 8, 8)"]),
    "a code without noise": (lambda: DDPM.decode(Code(X)), ["no noise", "eta"]),
    "a code with a nan": (lambda: DDIM.decode(Code(bad_x)), ["not finite"]),
    "noise with a nan": (lambda: DDPM.decode(Code(X, Z.eps / 0)), ["not finite"]),
    "noise of another batch": (lambda: DDPM.decode(Code(X, Z.eps[:, :1])), ["(1, 3)", "(2, 3)"]),
    "a tensor for a code": (lambda: DDIM.decode(X), ["z is a Tensor", "Code"]),
    "labels for an edit": (lambda: DDPM.decode(Z, torch.tensor([0, 1])), ["edit is a Tensor"]),
    # images
    "bytes": (lambda: PIXEL.encode(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)), ["uint8", "[-1, 1]"]),
    "one channel": (lambda: PIXEL.encode(IMAGE[:, :1]), ["(2, 1, 8, 8)", "(B, 3, 8, 8)"]),
    "another size": (lambda: PIXEL.encode(randn(1, 3, 16, 16)), ["(1, 3, 16, 16)"]),
    "no batch": (lambda: PIXEL.encode(IMAGE[0]), ["(3, 8, 8)"]),
    "no images": (lambda: PIXEL.encode(IMAGE[:0]), ["(0, 3, 8, 8)"]),
    "a nan": (lambda: DDPM.encode(bad_x), ["not finite"]),
    "an array": (lambda: DDPM.encode(X.numpy()), ["ndarray", "tensor"]),
    "at_once 0": (lambda: DDPM.encode(X, at_once=0), ["at_once is 0"]),
    "at_once -1": (lambda: DDPM.encode(X, at_once=-1), ["at_once is -1"]),
    "inversion at eta 1": (lambda: invert(DDPM, X), ["eta=0", "encode"]),
    "refine -1": (lambda: invert(DDIM, X, refine=-1), ["refine is -1"]),
    "lockstep, other steps": (lambda: next(lockstep(DDPM, X, Sampler(MIX, 6, 1.0))), ["same times"]),
    "lockstep, other images": (lambda: next(lockstep(DDPM, X, PIXEL)), ["(2, 3)", "(B, 3, 8, 8)"]),
    # denoisers
    "bytes to a network": (lambda: NET(IMAGE.byte(), 5), ["uint8"]),
    "wrong channels to a network": (lambda: NET(IMAGE[:, :2], 5), ["(2, 2, 8, 8)"]),
    "t too late": (lambda: NET(IMAGE, 1000), ["t is 1000", "999"]),
    "t negative": (lambda: MIX(X, -1), ["t is -1", "0 to 999"]),
    "t half": (lambda: NET(IMAGE, 0.5), ["t is 0.5", "whole"]),
    "t of another batch": (lambda: NET(IMAGE, torch.tensor([1, 2, 3])), ["2 images"]),
    "cond of another batch": (lambda: LABELLED(IMAGE, 5, torch.tensor([1, 2, 0])), ["3 conditions", "2 images"]),
    "encode, cond of another batch": (
        lambda: DDPM.encode(X, cond=torch.tensor([0, 1, 1, 0])), ["4 conditions", "2 images"]),
    "decode, cond of another batch": (
        lambda: DDPM.decode(Z, cond=torch.tensor([0, 1, 1])), ["3 conditions", "2 images"]),
    "cond a number": (lambda: LABELLED(IMAGE, 5, 1), ["cond is 1", "tensor"]),
    "a label too high": (lambda: LABELLED(IMAGE, 5, torch.tensor([0, 3])), ["[0, 3]", "to 2"]),
    "labels as floats": (lambda: LABELLED(IMAGE, 5, torch.tensor([0.0, 1.0])), ["labels", "embeddings"]),
    "cond without classes": (lambda: NET(IMAGE, 5, torch.tensor([0, 1])), ["without conditions"]),
    "an embedding too high": (lambda: LABELLED.embedding(3), ["label 3", "3 labels"]),
    "an embedding without classes": (lambda: NET.embedding(0), ["0 labels"]),
    "an unknown prediction": (lambda: UNet(tiny_net(), ALPHA_BAR, "eps"), ["'eps'", "v_prediction"]),
    "unshuffle 2 of 3 channels": (lambda: UNet(tiny_net(), ALPHA_BAR, unshuffle=2), ["unshuffle is 2"]),
    "fourier times": (lambda: unet_with(time_embedding_type="fourier"), ["not supported"]),
    "no mid block": (lambda: unet_with(mid_block_type=None), ["no bottleneck"]),
    "skipping blocks": (
        lambda: unet_with(down_block_types=("SkipDownBlock2D", "DownBlock2D"),
                          up_block_types=("UpBlock2D", "SkipUpBlock2D"), block_out_channels=(32, 32)),
        ["bottleneck"]),
    "a mixture's label": (lambda: MIX(X, 5, torch.tensor([0, 7])), ["[0, 7]", "[0, 1]"]),
    "labels to a plain mixture": (lambda: mixture()(X, 5, torch.tensor([0, 1])), ["no labels"]),
    "labels too few": (lambda: mixture(labels=torch.tensor([0, 1])), ["labels must be 4"]),
    "variance 0": (lambda: GaussianMixture(X, 0.0), ["positive"]),
    "variance and covariance": (lambda: GaussianMixture(X, 1.0, torch.eye(3).expand(2, 3, 3)), ["either"]),
    "a covariance that is none": (lambda: GaussianMixture(X, covariance=-torch.eye(3).expand(2, 3, 3)), ["positive"]),
    "weights negative": (lambda: GaussianMixture(X, 1.0, weights=[1.0, -1.0]), ["weights", "negative"]),
    "means nan": (lambda: GaussianMixture(bad_x, 1.0), ["means", "finite"]),
    "means 1-D": (lambda: GaussianMixture([0.0, 1.0], 1.0), ["means"]),
    # bounds
    "K negative": (lambda: bounds.propagate(-torch.ones(3), torch.ones(3)), ["negative"]),
    "S nan": (lambda: bounds.propagate(torch.ones(3), torch.ones(3) * NAN), ["NaN"]),
    "K and S differ": (lambda: bounds.propagate(torch.ones(2), torch.ones(3)), ["same length"]),
    "proof of full covariances": (lambda: bounds.proved_K(mixture(full=True), DDIM), ["isotropic"]),
    "proof of no condition": (lambda: bounds.proved_S(MIX, DDIM, 0, 5), ["condition 5", "[0, 1]"]),
    "no rounds": (lambda: bounds.estimated_K(DDIM, X, 0, rounds=0), ["rounds is 0"]),
    # worlds
    "no pictures": (lambda: worlds.faces.sample(0, 0), ["n is 0"]),
    "half a picture": (lambda: worlds.faces.sample(1.5, 0), ["n is 1.5"]),
    "a seed in words": (lambda: worlds.faces.sample(1, "a"), ["seed is 'a'"]),
    "tiny pictures": (lambda: worlds.faces.sample(1, 0, size=4), ["size is 4"]),
    "a fractional size": (lambda: worlds.faces.sample(1, 0, size=32.5), ["size is 32.5", "whole"]),
    "an unknown factor": (lambda: worlds.faces.render(FACTORS | {"smle": 1.0}), ["unknown ['smle']", "smile"]),
    "a missing factor": (lambda: worlds.faces.render({"smile": 1.0}), ["missing 22", "yaw"]),
    "a factor nan": (lambda: worlds.faces.render(FACTORS | {"smile": NAN}), ["smile", "finite"]),
    "factors of two batches": (
        lambda: worlds.faces.render(FACTORS | {"smile": torch.zeros(3)}), ["[2, 3]", "each image"]),
    # checkpoints (more in test_checkpoints.py)
    "an unknown model": (lambda: load("facs"), ["no model 'facs'"]),
    "an unknown device": (lambda: load("digits", device="gpu0"), ["no device 'gpu0'", "cpu"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_one_sentence(name):
    says_in_a_sentence(*BAD[name], most=400)
