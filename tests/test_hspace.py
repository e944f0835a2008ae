"""Directions in h that need no training, held against explicit Jacobians and known data."""

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler
from lessons_lib.methods.asyrp import Asyrp, Conv
from lessons_lib.methods.hspace import (
    constant,
    global_edit,
    linearity,
    principal,
    r_squared,
    singular,
)
from small import randn, tiny_unet

H = (16, 4, 4)


@pytest.fixture(scope="module")
def model():
    return tiny_unet(dtype=torch.float32)


def jacobian(model, x, t):
    """∂ε/∂h at each image, written out, (B, values of ε, values of h)."""
    rows = []
    for i in range(len(x)):
        b = model.encode(x[i : i + 1], t)
        J = torch.autograd.functional.jacobian(
            lambda d, b=b: model.decode(b, d), torch.zeros_like(b.h)
        )
        rows.append(J.flatten(0, 3).flatten(1))
    return torch.stack(rows)


@pytest.mark.parametrize("n", [1, 3])
def test_singular_vectors_are_those_of_the_whole_jacobian(model, n):
    x = randn(n, 3, 8, 8, dtype=torch.float32)
    J = jacobian(model, x, 600)
    _, values, vectors = torch.linalg.svd(J.flatten(0, 1), full_matrices=False)
    v, found = singular(model, x, 600, k=3, rounds=30)
    assert_close(found, values[:3] / n**0.5, rtol=2e-2, atol=0)
    assert_close(v.flatten(1) @ v.flatten(1).T, torch.eye(3), rtol=0, atol=1e-4)
    assert abs(v[0].flatten() @ vectors[0]) > 0.95
    stretched = (J @ v[1].flatten()).square().sum(1).mean().sqrt()
    assert_close(stretched, values[1] / n**0.5, rtol=2e-2, atol=0)


def test_principal_directions_are_those_of_the_data():
    axes = torch.linalg.qr(randn(256, 3)).Q
    h = (randn(500, 3, seed=1) * torch.tensor([5.0, 2.0, 0.5])) @ axes.T + 7
    v, shares = principal(h.view(500, *H), 3)
    for i, spread in enumerate((5.0, 2.0, 0.5)):
        assert v[i].norm().item() == pytest.approx(spread, rel=0.1)
        assert abs(v[i].flatten() @ axes[:, i]) / v[i].norm() > 0.99
    assert shares.sum().item() == pytest.approx(1)


def test_the_global_direction_is_the_mean_of_what_each_image_gets(model):
    g = Sampler(model, steps=6)
    z = g.draw(4, seed=0)
    torch.manual_seed(0)
    edit = Asyrp.of(Conv(16, 32), 900, 300) * 2.0
    mean = global_edit(g, z, edit)
    (_, d), = mean.terms  # fmt: skip
    assert (d.first, d.last, d.visits) == (799, 400, 3)
    b = model.encode(z.x_T, 799)
    x = list(g.trajectory(z, edit))[1].x
    b = model.encode(x, 799)
    assert_close(mean.shift(b, 799)[0], edit.shift(b, 799).mean(0))
    same = constant(randn(*H, dtype=torch.float32), 900, 300)
    assert_close(g.decode(z, global_edit(g, z, same)), g.decode(z, same), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="at no step"):
        global_edit(g, z, edit.within(10, 5))


def test_impossible_wishes_are_refused_in_a_sentence(model):
    with pytest.raises(ValueError, match="of 3 images there are 1 to 2"):
        principal(randn(3, *H), 3)
    with pytest.raises(ValueError, match="rounds is 0"):
        singular(model, randn(1, 3, 8, 8), 5, 1, rounds=0)
    with pytest.raises(ValueError, match="h has 256 directions"):
        singular(model, randn(1, 3, 8, 8), 5, 257)


def test_r_squared_is_that_of_a_least_squares_line():
    x, y = torch.linspace(-2, 2, 9).double(), randn(4, 9)
    A = torch.stack([x, torch.ones(9).double()], 1)
    left = y.T - A @ torch.linalg.lstsq(A, y.T).solution
    assert_close(r_squared(x, y), 1 - left.var(0) / y.var(1))
    assert_close(r_squared(x, 3 - 2 * x), torch.tensor(1.0).double())
    assert r_squared(x, torch.ones(9)) == 0


def test_linearity_is_of_the_mean_and_its_interval_shrinks_with_more_images():
    x = torch.linspace(-1, 1, 5)
    few, many = (linearity(x, x[:, None] + randn(5, n).float(), seed=1) for n in (6, 600))
    assert few.low < few.mean and few.high - few.low > 5 * (many.high - many.low)
    assert many.mean > 0.98 and many.low <= many.mean <= many.high
    assert linearity(x, (x**2)[:, None].repeat(1, 3)).mean == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="at least 3 scales"):
        linearity(x[:2], torch.zeros(2, 4))
