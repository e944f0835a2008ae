"""Pushes and pulls: products with a Jacobian, against the Jacobian itself."""

import torch
from torch.testing import assert_close

from lessons_lib.methods.linear import push_and_pull
from small import randn


def test_pushes_and_pulls_are_products_with_the_jacobian():
    mix, x = randn(4, 6, seed=1), randn(6)
    f = lambda v: torch.tanh(mix @ v) ** 2  # noqa: E731
    J = torch.autograd.functional.jacobian(f, x)
    push, pull = push_and_pull(f, x)
    v, u = randn(6, seed=2), randn(4, seed=3)
    assert_close(push(v), J @ v)
    assert_close(pull(u), J.T @ u)
