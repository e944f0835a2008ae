"""What a run takes: counted and measured, and said where it is much or too much."""

import pytest
import torch
from torch import nn

from lessons_lib import Sampler, estimate, weights
from lessons_lib.denoisers import Denoiser, Guided
from lessons_lib.estimate import Cost, cost, duration, images_at_once, size, timed
from lessons_lib.models.unet import UNet
from published import ddpm
from small import ALPHA_BAR, randn, says_in_a_sentence, tiny_net, tiny_pipeline, tiny_unet

GIB = 2**30


class Layers(Denoiser):
    """Of 1 MiB an image a layer: two are alive at once."""

    shape, alpha_bar, device = torch.Size((1, 512, 512)), ALPHA_BAR, torch.device("cpu")

    def __init__(self, layers=5):
        self.net, self.layers = nn.Linear(100, 10), layers

    def __call__(self, x, t, cond=None):
        for _ in range(self.layers):
            x = x.float() + 1
        return x


def large(**config):
    """A network of pictures of 128 pixels."""
    return UNet(tiny_net(sample_size=128, **config), ALPHA_BAR)


@pytest.fixture
def free(monkeypatch):
    """Sets how much memory is free."""
    return lambda n: monkeypatch.setattr(estimate, "free_memory", lambda device="cpu": int(n))


@pytest.mark.parametrize("layers", [2, 9])
def test_what_is_alive_at_once_is_counted(layers):
    model = Layers(layers)
    found = cost(model)
    assert found.image == 2 * 512 * 512 * 4  # not one for each layer
    assert found.weights == (1000 + 10) * 4 and found.seconds > 0
    assert cost(model) is found


@torch.no_grad()
def test_of_a_network_memory_grows_with_pictures_and_passes():
    small, twice = (cost(UNet(tiny_net(sample_size=s), ALPHA_BAR)) for s in (32, 64))
    assert 3.5 < twice.image / small.image < 4.5 and twice.weights == small.weights
    net = tiny_unet(num_class_embeds=3)
    guided = cost(Guided(net, 3.0, 0), torch.tensor([1]))
    assert 1.7 < guided.image / cost(net, torch.tensor([1])).image < 2.3


def test_a_model_that_reads_is_measured_without_a_text(tmp_path):
    from lessons_lib import load

    tiny_pipeline(tmp_path)
    assert cost(load(tmp_path)).image > 0
    assert cost(UNet(tiny_net(num_class_embeds=3), ALPHA_BAR)).image > 0


def test_how_many_at_once_follows_size_and_memory(free):
    free(100 * GIB)
    assert images_at_once(tiny_unet()) == 64 and images_at_once(large()) == 16
    assert images_at_once(UNet(tiny_net(sample_size=256), ALPHA_BAR)) == 4
    model = large()
    each = cost(model).image
    free(12 * each)
    assert images_at_once(model) == 6
    free(each / 2)
    assert images_at_once(model) == 1


@torch.no_grad()
def test_encode_takes_as_many_as_there_is_room_for(free):
    model, sizes = large(), []
    cost(model)
    free(6 * cost(model).image)
    model.encode, inner = (lambda x, *rest: sizes.append(len(x)) or inner(x, *rest)), model.encode
    Sampler(model, 4, 1.0).encode(randn(1, 3, 128, 128).clamp(-1, 1))
    assert max(sizes) == 3


TOO_MUCH = {
    "a code": (
        lambda g: g.draw(100, 0), 1.0,
        ["A code of 100 images in 50 steps", "GiB are free", "24 images", "12 steps", "lockstep"]),
    "a batch": (lambda g: g.decode(g.draw(400, 0)), 0.0, ["A pass of 400 images", "at a time"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_does_not_fit_is_one_sentence(free, name):
    call, eta, words = TOO_MUCH[name]
    model = large()
    cost(model)
    free(24.5 * 50 * 3 * 3 * 128 * 128 * 8)
    says_in_a_sentence(lambda: call(Sampler(model, 50, eta)), words, 400)


def test_encoding_what_does_not_fit(free):
    g = Sampler(large(), 999, 1.0)
    free(2**28)
    words = ["A code of 1 images in 999 steps", "steps", "lockstep"]
    says_in_a_sentence(lambda: g.encode(randn(1, 3, 128, 128).clamp(-1, 1)), words, 400)


def test_weights_that_do_not_fit(tmp_path, free, monkeypatch):
    ddpm(tmp_path, block_out_channels=(8, 16))
    file = tmp_path / weights.WEIGHTS
    with file.open("ab") as out:
        out.truncate(2**28)
    free(2**20)
    says_in_a_sentence(
        lambda: weights.network(tmp_path, "UNet2DModel"), ["Loading", "0.5 GiB", "1 MiB"], 400
    )


def test_a_large_model_is_announced_in_a_line(capsys, monkeypatch):
    estimate.announce(tiny_unet(), "small", 50)
    assert capsys.readouterr().out == ""
    model = large()
    monkeypatch.setitem(estimate._known, model, Cost(GIB, GIB // 2, 6.0))
    estimate.announce(model, "big", 50, 1000)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and said.endswith(".\n")
    for word in (
        "big",
        "3×128×128",
        "1.0 GiB of weights",
        "0.5 GiB an image",
        "50 steps",
        "5 min",
        "1.7 h",
    ):
        assert word in said


@pytest.mark.parametrize(
    ("took", "count", "says"), [(0.1, 50, False), (0.5, 50, True), (6.0, 3, False)]
)
def test_long_work_says_how_long(monkeypatch, capsys, took, count, says):
    clock = [0.0]
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: clock[0])
    seen = []
    for i in timed(range(count), count):
        clock[0] += 60.0 if i == 0 else took  # the first is slow
        seen.append(i)
    out = capsys.readouterr()
    assert seen == list(range(count))
    assert (f"{count} steps, about {duration(took * (count - 2))} to go." in out.out) == says
    assert bool(out.err) == says  # the bar


def test_a_walk_that_is_left_early_closes_its_bar(monkeypatch):
    bars = []

    class Bar:
        n = 0
        closed = False

        def update(self, more):
            self.n += more

        def close(self):
            self.closed = True

    monkeypatch.setattr(estimate, "_bar", lambda *_: bars.append(Bar()) or bars[-1])
    monkeypatch.setattr(estimate, "LONG", 0.0)
    g = Sampler(tiny_unet(), 9)
    for step in g.trajectory(g.draw(1, 0)):
        if step.i == 4:
            break
    del step
    g.decode(g.draw(1, 0))
    assert [b.closed for b in bars] == [True, True] and [b.n for b in bars] == [4, 9]


def test_words_for_numbers():
    assert [duration(s) for s in (3, 89, 120, 5400)] == ["3 s", "89 s", "2 min", "1.5 h"]
    assert [size(b) for b in (2**20, GIB // 2, 3 * GIB)] == ["1 MiB", "0.5 GiB", "3.0 GiB"]
    assert estimate.free_memory() > 2**20
