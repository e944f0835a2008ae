"""Metrics against closed forms, other libraries, and critics that read exactly."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity
from torch import nn
from torch.testing import assert_close

from lessons_lib.judges import metrics
from lessons_lib.judges.counterfactual import (
    baselines,
    counterfactual_scores,
    manifold_distance,
    nearest_factors,
)
from lessons_lib.judges.evaluators import load_critic
from lessons_lib.worlds import WORLDS, Factor, World
from small import randn


def images(n=4, size=32, seed=0, dtype=torch.float32):
    return randn(n, 3, size, size, seed=seed, dtype=dtype).clamp(-1, 1)


class FirstPixels(nn.Module):
    """A critic whose features are an image's first values."""

    def __init__(self, size=4):
        super().__init__()
        self.feature_size = size

    def features(self, x):
        return x.flatten(1)[:, : self.feature_size]


def pictures_of(features):
    """32-pixel images whose first values are these (N, F)."""
    x = torch.zeros(len(features), 3 * 32 * 32)
    x[:, : features.shape[1]] = features
    return x.view(-1, 3, 32, 32)


class SmallTrunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.channels = [5, 7]
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 7, 3, stride=2)

    def trunk(self, x):
        first = self.one(x)
        return [first, self.two(first.tanh())]

    def identity(self, x):
        return F.normalize(x.mean((2, 3)))

    def mask(self, x, world):
        return (x[:, 0] > 0).long() * 2 + (x[:, 1] > 0.5)


COLOURS = {"red": [1, 0, 0], "green": [0, 1, 0], "yellow": [1, 1, 0], "blue": [0, 0, 1]}


class Colours(nn.Module):
    """A clip whose embeddings are mean colours; sentences name them."""

    def image(self, x):
        return F.normalize(x.mean((2, 3)))

    def text(self, texts):
        return F.normalize(torch.tensor([COLOURS[t] for t in texts]).float())


def flat(*rgb):
    return torch.tensor(rgb, dtype=torch.float32).view(-1, 3, 1, 1).expand(-1, 3, 32, 32)


# ---------------------------------------------------------------- two images


@given(st.floats(1e-3, 2))
def test_psnr_of_a_shift(shift):
    x = torch.full((2, 3, 4, 5), -1.0, dtype=torch.float64)
    assert_close(metrics.psnr(x, x + shift), torch.full((2,), 20 * math.log10(2 / shift)).double())


def test_psnr_is_of_each_image_and_infinite_for_equal_ones():
    x = images(3)
    y = x.clone()
    y[1, 0, 0, 0] += 0.5
    want = 10 * math.log10(4 / (0.25 / (3 * 32 * 32)))
    assert metrics.psnr(x, y).tolist() == [math.inf, pytest.approx(want, abs=1e-4), math.inf]


@pytest.mark.parametrize("shape", [(3, 11, 11), (3, 40, 33), (1, 24, 24)])
def test_ssim_agrees_with_scikit_image(shape):
    x = randn(3, *shape, seed=1).clamp(-1, 1)
    y = (x + 0.3 * randn(3, *shape, seed=2)).clamp(-1, 1)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    want = [
        structural_similarity(a.numpy(), b.numpy(), channel_axis=0, data_range=2, **settings)
        for a, b in zip(x, y, strict=True)
    ]
    assert_close(metrics.ssim(x, y), torch.tensor(want), atol=1e-9, rtol=0)
    assert_close(metrics.ssim(x.float(), y.float()), torch.tensor(want).float(), atol=1e-4, rtol=0)
    assert_close(metrics.ssim(x, x), torch.ones(3).double())


def test_perceptual_distance_is_its_formula():
    critic, x, y = SmallTrunk(), images(seed=1), images(seed=2)
    distance = metrics.perceptual_distance(critic)
    want = sum(
        (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean((1, 2))
        for a, b in zip(critic.trunk(x), critic.trunk(y), strict=True)
    )
    assert_close(distance(x, y), want)
    assert_close(distance(y, x), want)
    assert (want > 0.1).all()
    assert_close(distance(x, x), torch.zeros(4))
    assert distance(x.double(), 3 * randn(4, 3, 32, 32)).isfinite().all()  # a noisy x_t is welcome


def test_perceptual_distance_grows_with_the_change_and_passes_gradients():
    distance, x = metrics.perceptual_distance(SmallTrunk()), images()
    noise = images(seed=3)
    steps = torch.stack([distance(x, x + s * noise) for s in (0.01, 0.1, 1.0)])
    assert (steps.diff(dim=0) > 0).all()
    y = (x + 0.1 * noise).requires_grad_()
    distance(x, y).sum().backward()
    assert y.grad.isfinite().all() and y.grad.abs().max() > 0


def test_perceptual_distance_has_a_gradient_where_nothing_fires():
    class Rectified(SmallTrunk):
        def trunk(self, x):
            return [x.relu()] * 2

    x, y = flat([-1, -1, -1], [1, 0, 0]), flat([1, 0, 0], [-1, -1, -1]).clone().requires_grad_()
    got = metrics.perceptual_distance(Rectified())(x, y)
    got.sum().backward()
    assert_close(got.detach(), torch.tensor([2.0, 2.0]), atol=1e-2, rtol=0)
    assert y.grad.isfinite().all()


def test_perceptual_distance_leaves_the_random_numbers_alone():
    critic = SmallTrunk()
    torch.manual_seed(0)
    want = torch.rand(1)
    torch.manual_seed(0)
    metrics.perceptual_distance(critic)
    assert_close(torch.rand(1), want)


def test_real_lpips_is_never_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(FileNotFoundError, match=r"alexnet-owt.*offline"):
        metrics.lpips_alex()


def test_real_lpips_with_its_weights_there(monkeypatch, tmp_path):
    import lpips.pretrained_networks as backbones
    from torchvision.models import AlexNet

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    monkeypatch.setattr(backbones.tv, "alexnet", lambda pretrained: AlexNet())
    distance, x = metrics.lpips_alex(), images()
    assert_close(distance(x, x), torch.zeros(4))
    assert (distance(x, images(seed=1)) > 0).all()


def test_segmentation_consistency_by_hand():
    x = flat([-1, -1, 0], [-1, -1, 0], [1, -1, 0]).clone()
    y = x.clone()
    y[1, 0, :, :8] = 1  # a quarter of class 0 became class 2: (3/4 + 0) / 2
    y[2, 0, :16] = -1  # half of class 2 became class 0: (1/2 + 0) / 2
    got = metrics.segmentation_consistency(x, y, SmallTrunk(), "faces")
    assert_close(got, torch.tensor([1, 0.375, 0.25]))
    assert_close(metrics.segmentation_consistency(y, x, SmallTrunk(), "faces"), got)


def test_identity_similarity_is_the_cosine():
    x, y = flat([1, 0, 0], [1, 0, 0], [1, 0, 0]), flat([0.5, 0, 0], [0, 1, 0], [-1, 0, 0])
    got = metrics.identity_similarity(x, y, SmallTrunk())
    assert_close(got, torch.tensor([1.0, 0, -1]))


# ---------------------------------------------------------------- images and sentences


def test_s_clip_is_the_cosine():
    x = flat([1, 0, 0], [0, 1, 0])
    assert_close(metrics.s_clip(x, "red", Colours()), torch.tensor([1.0, 0]))
    assert_close(metrics.s_clip(x, ["yellow", "green"], Colours()), torch.tensor([0.5**0.5, 1]))


def test_s_dir_of_known_directions():
    source = flat([1, 0, 0]).expand(4, -1, -1, -1)
    edited = flat([0, 1, 0], [1, 0, 0], [0, 0, 1], [0.5, 0.5, 0])
    along = metrics.s_dir(source, edited, "red", "green", Colours())
    halfway = math.cos(math.radians(67.5 - 45))  # a chord of 45 degrees against one of 90
    assert_close(along, torch.tensor([1.0, 0, 0.5, halfway]))
    back = metrics.s_dir(source, edited, ["green"] * 4, ["red"] * 4, Colours())
    assert_close(back, -along)


def test_s_dir_ignores_rounding():
    x, y = flat([1, 0, 0], [1, 0, 0]), flat([1, 0, 0], [1, 1e-6, 0])
    assert metrics.s_dir(x, y, "red", "green", Colours()).tolist() == [0, 0]
    assert metrics.s_dir(x, flat([1, 0, 0], [1, 1e-3, 0]), "red", "green", Colours())[1] > 0.7


# ---------------------------------------------------------------- two sets of images


def exact(mean, covariance, n=40, seed=0):
    """Features (n, F) whose own mean and covariance are these."""
    x = randn(n, len(mean), seed=seed)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T
    return x @ torch.linalg.cholesky(covariance).T + mean


def gaussians():
    a, b = randn(4, 4, seed=3), randn(4, 4, seed=4)
    return (randn(4, seed=1), a @ a.T + torch.eye(4)), (randn(4, seed=2), b @ b.T + torch.eye(4))


def test_fid_of_gaussians_is_the_closed_form():
    (m, S), (n, T) = gaussians()
    want = (m - n).square().sum() + (S + T).trace() - 2 * np.trace(sqrtm((S @ T).numpy())).real
    x, y = exact(m, S) / 4, exact(n, T, n=50, seed=9) / 4  # a scale of 4 keeps the values small
    got = metrics.fid(pictures_of(x), pictures_of(y), FirstPixels())
    assert got * 16 == pytest.approx(want.item(), rel=1e-5)
    assert metrics.fid(pictures_of(y), pictures_of(x), FirstPixels()) == pytest.approx(got)


def test_fid_is_the_same_for_turned_and_shifted_features():
    (m, S), (n, T) = gaussians()
    x, y = exact(m, S) / 4, exact(n, T) / 4
    turn = torch.linalg.qr(randn(4, 4, seed=8)).Q
    got = [
        metrics.fid(pictures_of(a), pictures_of(b), FirstPixels())
        for a, b in ((x, y), (x @ turn + 1, y @ turn + 1), (x.flip(0), y))
    ]
    assert got == pytest.approx([got[0]] * 3, rel=1e-4)
    assert metrics.fid(pictures_of(x), pictures_of(x), FirstPixels()) == pytest.approx(0, abs=1e-5)


def test_fid_floor_falls_with_the_number_of_images_and_needs_no_shuffling():
    x = randn(2000, 4)
    x[1000:] += 3  # sorted by kind, as pictures of several worlds are
    floors = [metrics.fid_floor(pictures_of(x[::s]), FirstPixels()) for s in (1, 20)]
    assert 0 < floors[0] < 0.1 < floors[1]


def mmd(x, y):
    """The unbiased squared discrepancy, by its definition."""
    k = [[[(a @ b / len(a) + 1) ** 3 for b in v] for a in u] for u, v in ((x, x), (y, y), (x, y))]
    xx, yy, xy = (torch.tensor(rows) for rows in k)
    n, m = len(x), len(y)
    within = sum((v.sum() - v.trace()) / (len(v) * (len(v) - 1)) for v in (xx, yy))
    return (within - 2 * xy.sum() / (n * m)).item()


def test_kid_is_its_definition():
    x, y = randn(12, 4, seed=1), randn(12, 4, seed=2) + 0.5
    got, spread = metrics.kid(pictures_of(x), pictures_of(y), FirstPixels(), 1, 12)
    assert got == pytest.approx(mmd(x.float().double(), y.float().double()), rel=1e-6)
    assert spread == 0


def test_kid_is_unbiased_for_few_images_and_fid_is_not():
    pairs = [
        (pictures_of(randn(16, 4, seed=i)), pictures_of(randn(16, 4, seed=99 + i)))
        for i in range(60)
    ]
    kids = torch.tensor([metrics.kid(x, y, FirstPixels(), 1, 16)[0] for x, y in pairs])
    fids = torch.tensor([metrics.fid(x, y, FirstPixels()) for x, y in pairs])
    assert kids.mean().abs() < 3 * kids.std() / 60**0.5
    assert kids.min() < 0 < kids.max()
    assert fids.mean() > 10 * fids.std() / 60**0.5


def test_kid_is_seeded_and_leaves_the_random_numbers_alone():
    x, y = pictures_of(randn(30, 4)), pictures_of(randn(30, 4, seed=1))
    torch.manual_seed(5)
    want = torch.rand(1)
    torch.manual_seed(5)
    one, again, other = (metrics.kid(x, y, FirstPixels(), 5, 10, seed=s) for s in (0, 0, 1))
    assert one == again != other
    assert_close(torch.rand(1), want)


def test_features_do_not_depend_on_how_many_are_read_together():
    x = images(metrics.AT_ONCE + 3)
    assert_close(metrics.features(x, FirstPixels()), x.flatten(1)[:, :4].double())


# ---------------------------------------------------------------- true counterfactuals


def draw_bands(factors, size):
    """Each factor is the grey of one quarter of the height: read exactly from any picture."""
    from lessons_lib.worlds.draw import Canvas

    canvas = Canvas(len(factors["a"]), size, 4, factors["a"].device)
    for i, f in enumerate(BANDS.factors):
        level = (factors[f.name] - f.low) / (f.high - f.low)
        here = ((canvas.y + 1) * 2).floor() == i
        canvas.paint(here.float(), level.view(-1, 1, 1, 1).expand(-1, 3, 1, 1), i)
    return canvas


BANDS = World(
    "bands",
    (
        Factor("a", "x", -1, 1, "continuous"),
        Factor("b", "x", 0, 2, "continuous"),
        Factor("flag", "x", 0, 1, "binary", binary=0.5),
        Factor.choice("kind", "x", ("one", "two", "three")),
    ),
    ("a", "b", "flag", "kind"),
    draw_bands,
    lambda factors, rng: "",
)


class Reader(nn.Module):
    """Reads the bands exactly; a gain below 1 reads `a` too weakly, a bias always too high."""

    def __init__(self, gain=1.0, bias=0.0):
        super().__init__()
        self.gain, self.bias = gain, bias

    def read(self, x, world):
        levels = (x.mean(1).unflatten(1, (4, -1)).mean((2, 3)) + 1) / 2
        out = {f.name: f.low + levels[:, i] * (f.high - f.low) for i, f in enumerate(BANDS.factors)}
        return out | {"a": self.gain * out["a"] + self.bias, "kind": out["kind"].round()}


@pytest.fixture(autouse=True)
def bands(monkeypatch):
    monkeypatch.setitem(WORLDS, "bands", BANDS)


def far(x, y):
    return (x - y).abs().flatten(1).mean(1)


SOURCE = {
    "a": torch.tensor([-1.0, 0.0, 0.5]),
    "b": torch.tensor([0.0, 1.0, 2.0]),
    "flag": torch.tensor([0.0, 0.0, 1.0]),
    "kind": torch.tensor([0.0, 1.0, 2.0]),
}


def scores(edit, wanted, critic=None):
    return counterfactual_scores(
        BANDS.render(SOURCE | edit, 32), SOURCE, wanted, "bands", critic or Reader(), far
    )


@pytest.mark.parametrize("wanted", [{"a": 1.0}, {"b": 0.7, "a": -0.3}, {"flag": 0.5, "a": 1.0}])
def test_the_true_counterfactual_achieves_all_and_drifts_by_nothing(wanted):
    got = scores(wanted, wanted)
    assert got.psnr.tolist() == [math.inf] * 3
    assert_close(got.distance, torch.zeros(3))
    assert_close(got.achieved, torch.ones(3))
    assert_close(got.drift, torch.zeros(3))


@pytest.mark.parametrize("share", [-0.2, 0.0, 0.25, 1.0])
def test_part_of_a_change_is_that_share(share):
    goal = torch.tensor([0.5, 0.6, -0.5])
    got = scores({"a": SOURCE["a"].lerp(goal, share).clamp(-1, 1)}, {"a": goal})
    want = torch.full((3,), share)
    want[0] = max(share, 0)  # it was at the end of the range
    assert_close(got.achieved, want)
    assert_close(got.drift, torch.zeros(3))
    assert_close(got.distance, (1 - want) * (goal - SOURCE["a"]).abs() / 4)  # a quarter of the area


def test_drift_is_in_units_of_ranges():
    got = scores({"b": SOURCE["b"] * 0.5, "kind": 0.0}, {"a": 1.0})
    assert_close(got.achieved, torch.zeros(3))
    assert_close(got.drift, torch.tensor([0, 0.25 + 1, 0.5 + 1]) / 3)  # b, flag, kind


def test_choices_are_right_or_wrong_and_no_change_is_nan():
    wanted = {"kind": torch.tensor([1.0, 2.0, 2.0])}
    got = scores({"kind": torch.tensor([1.0, 0.0, 2.0])}, wanted).achieved
    assert_close(got, torch.tensor([1, 0, math.nan]), equal_nan=True)
    small = scores({}, {"a": SOURCE["a"] + 0.1}).achieved
    assert small.isnan().all()


def test_a_choice_that_is_always_misread_is_no_achievement():
    class Stuck(Reader):
        def read(self, x, world):
            return super().read(x, world) | {"kind": torch.ones(len(x))}

    assert_close(scores({}, {"kind": torch.tensor([1.0, 0, 1])}, Stuck()).achieved, torch.zeros(3))


def test_a_wanted_factor_without_change_does_not_count():
    got = scores({"a": 1.0}, {"a": 1.0, "flag": 1.0}).achieved
    assert_close(got, torch.tensor([0.5, 0.5, 1.0]))


def test_a_biased_critic_cancels_and_a_weak_one_shows_in_the_baselines():
    wanted = {"a": torch.tensor([1.0, -1.0, -1.0])}
    for critic, most in ((Reader(bias=0.3), 1.0), (Reader(gain=0.5), 0.5)):
        found = baselines(SOURCE, wanted, "bands", critic, far, size=32)
        assert_close(found["no edit"].achieved, torch.zeros(3))
        assert_close(found["true counterfactual"].achieved, torch.full((3,), most))


def test_baselines_are_ordered():
    found = baselines(SOURCE, {"flag": 1 - SOURCE["flag"]}, "bands", Reader(), far, 32)
    assert list(found) == ["no edit", "random image", "true counterfactual"]
    nothing, chance, goal = found.values()
    assert_close(nothing.drift, torch.zeros(3))
    assert_close(nothing.distance, torch.full((3,), 0.5))  # two units on a quarter of the area
    assert (chance.drift > 0.05).all() and (chance.distance > 0).all()
    assert goal.psnr.tolist() == [math.inf] * 3
    assert baselines(SOURCE, {"a": 1.0}, "bands", Reader(), far, 32, seed=1)[
        "random image"
    ].drift.tolist() != pytest.approx(chance.drift.tolist())


def test_factors_that_a_world_fixes_do_not_dilute_the_drift(monkeypatch):
    monkeypatch.setitem(WORLDS, "part", BANDS.where("part", kind=0))
    edited = BANDS.render(SOURCE | {"b": 2.0, "kind": 0.0}, 32)
    got = counterfactual_scores(edited, SOURCE, {"a": 1.0}, "part", Reader(), far)
    assert_close(got.drift, torch.tensor([1, 0.5, 0]) / 2)  # b and flag
    with pytest.raises(ValueError, match=r"kind.*every picture of part"):
        counterfactual_scores(edited, SOURCE, {"kind": 1.0}, "part", Reader(), far)


def test_manifold_distance_of_the_world_and_off_it():
    x = BANDS.render(BANDS.sample_factors(3, 0), 64)
    assert (manifold_distance(x, "bands", Reader()) > 100).all()
    for noise in (0.1, 0.2):
        off = manifold_distance(x + noise * randn(*x.shape, dtype=torch.float32), "bands", Reader())
        assert_close(off, torch.full((3,), 20 * math.log10(2 / noise)), atol=0.3, rtol=0)


def test_nearest_factors_mend_a_reading_and_never_spoil_it():
    f = BANDS.sample_factors(3, 0) | {"a": torch.tensor([-0.5, 0.1, 0.4])}
    x = BANDS.render(f, 32)
    found = nearest_factors(x, "bands", Reader(bias=0.4))
    assert_close(found["a"], f["a"], atol=0.02, rtol=0)
    assert_close(found["kind"], f["kind"])
    noise = 0.1 * randn(*x.shape, dtype=torch.float32)
    read, nearest = (
        manifold_distance(x + noise, "bands", Reader(bias=0.4), r) for r in (None, nearest_factors)
    )
    assert_close(nearest, torch.full((3,), 20 * math.log10(2 / 0.1)), atol=0.3, rtol=0)
    assert (nearest > read).all()
    best = manifold_distance(x, "bands", Reader(), lambda *a: nearest_factors(*a, steps=1))
    assert (best > 100).all()


def test_a_world_s_own_picture_has_a_drawing_that_is_all_but_itself():
    critic, drawn = load_critic(), WORLDS["cats"].sample(4, 77, 32)
    found = nearest_factors(drawn.image, "cats", critic, steps=60)
    assert (manifold_distance(drawn.image, "cats", critic) < 40).all()
    assert (metrics.psnr(WORLDS["cats"].render(found, 32), drawn.image) > 50).all()
    for name in ("yaw", "zoom", "fur", "light", "background"):
        assert_close(found[name], drawn.factors[name], atol=0.01, rtol=0)


def test_counterfactuals_of_faces_are_drawn():
    faces = WORLDS["faces"]
    f = faces.sample_factors(2, 3)
    wanted = {"smile": 1.0, "glasses": 1.0}

    class Knows(nn.Module):
        def __init__(self):
            super().__init__()
            self.known = [dict(f), faces.complete(f | wanted)]
            self.seen = [faces.render(k, 48) for k in self.known]

        def read(self, x, world):
            which = [torch.allclose(x, seen) for seen in self.seen].index(True)
            return self.known[which]

    target = faces.render(f | wanted, 48)
    got = counterfactual_scores(target, f, wanted, "faces", Knows(), far)
    assert_close(got.achieved, torch.ones(2))
    assert_close(got.drift, torch.zeros(2))
    assert (manifold_distance(target, "faces", Knows()) == math.inf).all()


# ---------------------------------------------------------------- intervals


def test_bootstrap_is_seeded_and_holds_the_mean():
    values = randn(50)
    found = metrics.bootstrap(values, seed=0)
    assert found == metrics.bootstrap(values, seed=0) != metrics.bootstrap(values, seed=1)
    assert found.low < found.mean < found.high
    half = 1.96 * values.std().item() / 50**0.5
    assert found.mean == pytest.approx(values.mean().item())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    narrow = metrics.bootstrap(values, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high
    assert metrics.bootstrap([2.0] * 5) == (2, 2, 2)


def test_bootstrap_intervals_hold_the_truth_as_often_as_they_say():
    found = [metrics.bootstrap(randn(20, seed=i), seed=i, n=300) for i in range(300)]
    assert 0.89 < sum(low < 0 < high for _, low, high in found) / 300 < 0.965


# ---------------------------------------------------------------- what is refused

X, LEVELS = images(2), (images(2) + 1) * 127.5
BAD_IMAGES = {
    "not a tensor": (X.numpy(), ["ndarray", "tensor"]),
    "one image": (X[0], ["(3, 32, 32)", "(B, C, H, W)"]),
    "none": (X[:0], ["(0, 3, 32, 32)", "at least one"]),
    "bytes": (LEVELS.byte(), ["uint8", "[-1, 1]"]),
    "levels": (LEVELS, ["255", "/ 127.5 - 1"]),
    "nan": (X.where(X < 0.5, torch.nan), ["NaN", "finite"]),
}
CRITIC, CLIP = SmallTrunk(), Colours()
CRITIC.features = lambda x: x.flatten(1)[:, :4]
PAIRS = {
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "perceptual": metrics.perceptual_distance(CRITIC),
    "sc": lambda x, y: metrics.segmentation_consistency(x, y, CRITIC, "faces"),
    "identity": lambda x, y: metrics.identity_similarity(x, y, CRITIC),
    "s_dir": lambda x, y: metrics.s_dir(x, y, "red", "green", CLIP),
}
SINGLES = {
    "s_clip": lambda x: metrics.s_clip(x, "red", CLIP),
    "fid": lambda x: metrics.fid(x, x, CRITIC),
    "kid": lambda x: metrics.kid(x, x, CRITIC, subset_size=2),
    "floor": lambda x: metrics.fid_floor(x, CRITIC),
    "manifold": lambda x: manifold_distance(x, "bands", Reader()),
    "counterfactual": lambda x: counterfactual_scores(
        x, SOURCE, {"a": 1.0}, "bands", Reader(), far
    ),
}


def refused(call, words):
    with pytest.raises(ValueError) as info:
        call()
    message = str(info.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and len(message) < 300 and "\n" not in message


@pytest.mark.parametrize("name", [*PAIRS, *SINGLES])
@pytest.mark.parametrize("bad", BAD_IMAGES)
def test_images_that_are_none_are_refused(name, bad):
    x, words = BAD_IMAGES[bad]
    if name in PAIRS:
        refused(lambda: PAIRS[name](X, x), words)
        refused(lambda: PAIRS[name](x, X), words)
    else:
        refused(lambda: SINGLES[name](x), words)


@pytest.mark.parametrize("name", PAIRS)
def test_images_of_two_shapes_are_refused(name):
    refused(lambda: PAIRS[name](X, X[:1]), ["(2, 3, 32, 32)", "(1, 3, 32, 32)", "one shape"])


BAD = {
    "ssim of small images": (
        lambda: metrics.ssim(X[..., :10], X[..., :10]),
        ["32×10", "at least 11×11"],
    ),
    "texts that do not match": (
        lambda: metrics.s_clip(X, ["red", "green", "blue"], CLIP),
        ["3 texts", "2 images"],
    ),
    "no direction": (
        lambda: metrics.s_dir(X, -X, "red", "red", CLIP),
        ["'red'", "texts that differ"],
    ),
    "few images for FID": (
        lambda: metrics.fid(images(9), images(4), FirstPixels()),
        ["4 features", "at least 5", "9 and 4", "kid"],
    ),
    "few images for a floor": (lambda: metrics.fid_floor(images(9), FirstPixels()), ["5 and 4"]),
    "few images for KID": (
        lambda: metrics.kid(images(9), images(4), FirstPixels()),
        ["subset_size is 100", "2 to 4"],
    ),
    "one value": (lambda: metrics.bootstrap([1.0]), ["(1,)", "at least 2"]),
    "an infinite value": (lambda: metrics.bootstrap([1.0, math.inf, 2.0]), ["finite"]),
    "a table": (lambda: metrics.bootstrap(torch.zeros(3, 2)), ["(3, 2)"]),
    "level in per cent": (lambda: metrics.bootstrap([1.0, 2.0], level=95), ["level is 95", "0.95"]),
    "no such world": (lambda: manifold_distance(X, "trees", Reader()), ["'trees'", "faces"]),
    "not square": (
        lambda: manifold_distance(images(2, 64)[..., :40], "bands", Reader()),
        ["(2, 3, 64, 40)", "(B, 3, S, S)"],
    ),
    "the source as a random image": (
        lambda: baselines(BANDS.sample_factors(2, 5), {"a": 1.0}, "bands", Reader(), far, 32, 5),
        ["seed 5", "another"],
    ),
    "no such factor": (lambda: scores({}, {"c": 1.0}), ["'c'", "a, b, flag, kind"]),
    "nothing wanted": (lambda: scores({}, {}), ["0 of the 4", "at least one"]),
    "everything wanted": (lambda: scores(SOURCE, SOURCE), ["4 of the 4", "leave"]),
    "another number of factors": (lambda: SINGLES["counterfactual"](X), ["2 edited", "of 3"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(case):
    refused(*BAD[case])


def test_every_world_has_what_the_scores_need():
    for name, world in WORLDS.items():
        free = [f for f in world.factors if f.name not in world.fixed]
        assert len(free) > 1 and all(f.high > f.low for f in free), name


@pytest.mark.parametrize(
    "shape", [(2, 1, 28, 28), (2, 1, 32, 32), (2, 3, 28, 28), (2, 1, 8, 8), (2, 1, 40, 40)]
)
def test_grey_and_small_pictures_are_made_legible(shape):
    x, critic = randn(*shape, dtype=torch.float32).clamp(-1, 1), load_critic()
    far = metrics.perceptual_distance(critic)(x, -x)
    assert far.shape == (2,) and (far > 0).all()
    assert torch.equal(
        metrics.features(x, critic), metrics.features(x.expand(-1, 3, -1, -1), critic)
    )
    assert metrics.identity_similarity(x, x, critic).sub(1).abs().max() < 1e-5
    with pytest.raises(ValueError, match=r"\(2, 2, 8, 8\)"):
        critic(torch.zeros(2, 2, 8, 8))
