import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.methods import bounds
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.schedule import Schedule, even, linear_alpha_bar
from small import (
    PROMPTS,
    etas,
    mixture,
    randn,
    says_in_a_sentence,
    tiny_pipeline,
    tiny_unet,
)

LABELS = torch.tensor([0, 0, 1, 1])
MIX = mixture(labels=LABELS)


def jacobian(g, x, i, cond=None):
    return torch.autograd.functional.jacobian(lambda y: g.mean(y, i, cond), x).flatten(1)


@given(etas, st.integers(0, 9), st.sampled_from([False, True]))
def test_local_K_is_the_jacobians_largest_singular_value(eta, i, full):
    m = mixture(full=full)
    g, x = Sampler(m, 10, eta), randn(3, 3, seed=i)
    for k in range(3):
        J = jacobian(g, x[k : k + 1], i).view(3, 3)
        assert_close(
            bounds.local_K(m, g, x, i)[k], torch.linalg.svdvals(J)[0], rtol=1e-7, atol=1e-9
        )


def test_the_mean_is_the_step_without_noise():
    g = Sampler(MIX, 10, 0.7)
    for step in g.trajectory(g.draw(2, seed=0)):
        assert_close(g.mean(step.x, step.i), step.x_to - step.noise)


def test_products_are_the_jacobians():
    g, x = Sampler(MIX, 10, 0.5), randn(1, 3)
    J, v = jacobian(g, x, 4).view(3, 3), randn(1, 3, seed=1)
    push, pull = bounds.products(g, x, 4)
    assert_close(push(v)[0].double(), J @ v[0], rtol=1e-4, atol=1e-5)
    assert_close(pull(v)[0].double(), J.T @ v[0], rtol=1e-4, atol=1e-5)


def test_images_of_one_code_are_held_against_another_code_s():
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    same, another = bounds.apart(x, x + torch.tensor([0.0, 4.0]))
    assert same.tolist() == [4.0, 4.0] and another.tolist() == [5.0, 5.0]


def test_a_bound_is_vacuous_from_where_it_says_less():
    t, reach = torch.tensor([9, 5]), torch.tensor([0.0, 1.0, 1.0])
    found = [
        bounds.vacuous_from(torch.tensor(B), reach, t)
        for B in ([0.0, 2.0, 0.0], [1.0, 2.0, 0.0], [0.0, 1.0, 9.0])
    ]
    assert found == [5, 9, -1]


def test_estimated_K_rises_to_local_K():
    m = mixture(d=6, k=5)
    g, x = Sampler(m, 10, 0.5), randn(4, 6)
    for i in (0, 5, 9):
        exact = bounds.local_K(m, g, x, i)
        found = torch.stack(
            [bounds.estimated_K(g, x, i, rounds=n) for n in (1, 3, 10, 200)]
        ).double()
        assert (found <= exact * (1 + 1e-4)).all()
        assert (found.diff(dim=0) >= -1e-5).all()
        assert_close(found[-1], exact, rtol=1e-2, atol=1e-5)


def test_estimated_K_of_a_network_is_its_jacobians():
    g = Sampler(tiny_unet(dtype=torch.float32, sample_size=4), 10, 0.0, dtype=torch.float32)
    x = randn(2, 3, 4, 4, dtype=torch.float32)
    found = bounds.estimated_K(g, x, 4, rounds=100)
    for k in range(2):
        J = jacobian(g, x[k : k + 1], 4).view(48, 48)
        assert_close(found[k], torch.linalg.svdvals(J)[0], rtol=1e-2, atol=0)


@given(etas, st.integers(0, 9), st.integers(0, 1000), st.sampled_from([None, 0, 1]))
def test_proved_K_is_above_local_K_everywhere(eta, i, seed, label):
    g, x = Sampler(MIX, 10, eta), 3 * randn(16, 3, seed=seed)
    cond = None if label is None else torch.full((16,), label)
    proved = bounds.proved_K(MIX, g, label)[i]
    assert (bounds.local_K(MIX, g, x, i, cond) <= proved * (1 + 1e-12)).all()


def test_proved_K_is_reached_between_two_means():
    # Half way between two points the weights are ½ and ½, where variance is diam²/4: tight.
    m = GaussianMixture(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.01)
    g = Sampler(m, 10, 0.5)
    for i in range(10):
        local = bounds.local_K(m, g, torch.zeros(1, 2, dtype=torch.float64), i)
        assert_close(local[0], bounds.proved_K(m, g)[i], rtol=1e-9, atol=0)


@given(etas, st.integers(0, 1000))
def test_the_bound_bounds(eta, seed):
    """Identity of SCIENCE §5, in all its forms, with everything measured on the same paths."""
    g = Sampler(MIX, 10, eta)
    z = g.draw(4, seed)
    cond, other = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    x, y, S = bounds.two_paths(g, z, cond, other)
    distance = bounds.distances(x, y)
    assert not distance[0].any() and torch.equal(y[-1], g.decode(z, cond=other))
    assert torch.equal(x[-1], g.decode(z, cond=cond))
    K_proved, S_proved = bounds.proved_K(MIX, g, 0), bounds.proved_S(MIX, g, 0, 1)
    assert (S_proved[:, None] * (1 + 1e-9) + 1e-12 >= S).all()
    for k in range(4):
        tight, loose = bounds.propagate(K_proved, S[:, k])
        assert (distance[:, k] <= tight * (1 + 1e-9) + 1e-12).all()
        assert (tight <= loose).all()
    tight, loose = bounds.propagate(K_proved, S_proved)
    assert (distance.amax(1) <= tight * (1 + 1e-9)).all() and tight.dtype == torch.float64


def test_one_step_obeys_the_local_K_along_its_segment():
    g = Sampler(MIX, 10, 0.5)
    x, y, S = bounds.two_paths(g, g.draw(1, 0), torch.tensor([0]), torch.tensor([1]))
    distance = bounds.distances(x, y)
    for i in range(10):
        points = bounds.along(x[i], y[i], 200)
        K = bounds.local_K(MIX, g, points, i, torch.zeros(200, dtype=torch.int64)).max()
        assert distance[i + 1, 0] <= (K * distance[i, 0] + S[i, 0]) * 1.001


@given(st.lists(st.floats(0, 3), min_size=1, max_size=8), st.floats(0, 3))
def test_propagate_is_its_recurrence(K, s):
    K = torch.tensor(K, dtype=torch.float64)
    S = torch.full_like(K, s)
    tight, loose = bounds.propagate(K, S)
    assert tight[0] == loose[0] == 0 and len(tight) == len(K) + 1
    wanted = sum(s * K[j + 1 :].prod() for j in range(len(K)))
    assert_close(tight[-1], torch.as_tensor(wanted, dtype=torch.float64))
    assert_close(loose[-1], torch.as_tensor(sum(s * (K[j + 1 :] + 1).prod() for j in range(len(K))),
                                            dtype=torch.float64))  # fmt: skip


def test_along_and_distances():
    x, y = randn(2, 3), randn(2, 3, seed=1)
    points = bounds.along(x, y, 5).view(5, 2, 3)
    assert_close(points[0], x), assert_close(points[-1], y), assert_close(points[2], (x + y) / 2)
    assert_close(bounds.distances(x[None], y[None])[0], (x - y).norm(dim=1))


def test_the_diameter_is_exact():
    # Far from the origin the matrix form of cdist loses it: 1e4 + small differences.
    points = 1e4 + randn(40, 3) * 1e-3
    wanted = (points[:, None] - points[None]).norm(dim=2).max().item()
    assert bounds.diameter(points) == pytest.approx(wanted, rel=1e-9)


def test_a_condition_only_narrows():
    g = Sampler(MIX, schedule=Schedule.of(linear_alpha_bar(), even(1000, 20)))
    assert (bounds.proved_K(MIX, g, 0) <= bounds.proved_K(MIX, g)).all()


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("shift", "width"), [(0.05, 0.3), (0.5, 1.0), (2.0, 0.5)])
def test_the_bounds_for_a_moved_condition_hold(eta, shift, width):
    """S_t for a condition moved by an offset, the propagated bound, and √ᾱ D, which needs no K."""
    means = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    offset = torch.tensor([shift, 0.0], dtype=torch.float64)
    labels = torch.arange(2).repeat_interleave(4)
    m = GaussianMixture(torch.cat([means, means + offset]), width**2, labels=labels)
    g = Sampler(m, steps=15, eta=eta)
    c, other = torch.tensor([0]), torch.tensor([1])
    a, b, S = bounds.two_paths(g, g.draw(20, seed=1), c, other)
    proved = bounds.proved_S_moved(m, g, 0, offset)
    assert (proved[:, None] * (1 + 1e-9) >= S).all()
    assert (proved <= bounds.proved_S(m, g, 0, 1) * (1 + 1e-9)).all()
    distance = bounds.distances(a, b)
    tight, _ = bounds.propagate(bounds.proved_K(m, g, 0), proved)
    reach = bounds.reach(g, bounds.diameter(means, means + offset))
    assert (distance <= tight[:, None] + 1e-12).all()
    assert (distance <= reach[:, None] + 1e-12).all()


def test_segments_take_the_largest_of_their_points():
    m = load("moons")
    g = Sampler(m, steps=6, eta=0.5)
    a, b, _ = bounds.two_paths(g, g.draw(2, seed=0), torch.tensor([0]), torch.tensor([1]))
    local = bounds.local_on_segments(m, g, a, b, torch.tensor([0]), points=5)
    ends = bounds.local_K(m, g, a[3], 3, torch.tensor([0, 0]))
    assert (local[3] >= ends - 1e-12).all()
    estimated = bounds.estimated_on_segments(g, a, b, torch.tensor([0]), points=5, rounds=30)
    torch.testing.assert_close(estimated, local.float(), rtol=2e-3, atol=2e-3)


def test_two_conditions_are_two_labels_or_two_texts(tmp_path):
    digits = load("digits")
    c, other = bounds.two_conditions(digits, [3, 8])
    assert (c.item(), other.item()) == (3, 8)
    c, other = bounds.two_conditions(digits, [3, 8], ("5", ""))
    assert (c.item(), other.item()) == (5, 8)
    assert bounds.names_of(digits, [3, 8], ("5", "")) == ["label 5", "label 8"]
    faces = load("faces")
    assert bounds.names_of(faces, [1, 2], ("", "")) == ["without glasses", "with glasses"]
    tiny_pipeline(tmp_path)
    model = load(tmp_path)
    c, other = bounds.two_conditions(model, [3, 8], (PROMPTS[0], ""))
    assert torch.equal(c, model.prompts(PROMPTS[:1])) and torch.equal(other, model.prompts.empty)
    assert bounds.names_of(model, [3, 8], (PROMPTS[0], "")) == [PROMPTS[0], "no text"]
    assert bounds.embedded(model, c) is c and bounds.embedded(digits, torch.tensor([3])) is None


def test_a_model_without_two_conditions_is_refused(tmp_path):
    net, digits = tiny_unet(), load("digits")
    says_in_a_sentence(lambda: bounds.two_conditions(net, [0, 1]), ["no two conditions"], 300)
    for labels, texts in (([3, 3], ("", "")), ([3, 8], ("8", "")), ([3, 8], ("a cat", ""))):
        refused = lambda labels=labels, texts=texts: bounds.two_conditions(digits, labels, texts)  # noqa: E731
        says_in_a_sentence(refused, ["two different labels"], 300)
    tiny_pipeline(tmp_path)
    says_in_a_sentence(
        lambda: bounds.two_conditions(load(tmp_path), [0, 1]), ["both ''", "other_prompt"], 300
    )
