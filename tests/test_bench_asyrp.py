"""The benchmark of the asymmetric step runs, and says what it must reach."""

import time

import torch

from lessons_lib import bench
from small import tiny_unet


def test_asyrp_is_measured_inside_and_outside_the_interval(capsys):
    bench.asyrp(tiny_unet(), batch=1, repeats=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("batch 1")[0].strip() for line in lines] == [
        "asyrp step inside,", "asyrp step outside,", "two whole passes,",
    ]  # fmt: skip
    assert [line.split("]")[1].strip() for line in lines] == [
        "at most 1.75", "at most 1.02", "at least 1.15",
    ]  # fmt: skip


def test_two_whole_passes_are_the_same_step(monkeypatch):
    asked = []
    monkeypatch.setattr(bench, "ratios", lambda a, b, n: asked.append((a(), b())) or [1.0])
    bench.asyrp(tiny_unet(), batch=2, repeats=1)
    (inside, plain), (outside, same), (two, one) = asked
    assert (two.x_to - one.x_to).abs().max() < 1e-10 < (inside.x_to - plain.x_to).abs().max()
    assert (outside.x_to == same.x_to).all()


def test_the_rate_is_that_of_the_quickest_and_flops_are_counted():
    a = torch.randn(64, 64)
    work = {"slow": lambda: [a @ a, time.sleep(0.02)][0], "quick": lambda: a @ a}
    assert bench.quickest(work)[0] == "quick"
    assert bench.flops(work["quick"]) == 2 * 64**3
    known = bench.known_work(torch.device("cpu"))
    assert bench.flops(known["matmul 256"]) == 2 * 256**3
    assert bench.flops(known["convolution"]) == 2 * 8 * 128 * 128 * 9 * 32**2
    assert set(known) == {"matmul 256", "matmul 512", "matmul 1024", "matmul 2048", "convolution"}


def test_a_network_is_held_against_it(capsys):
    product = lambda: torch.ones(8, 8) @ torch.ones(8, 8)  # noqa: E731
    bench.rate_share(tiny_unet(dtype=torch.float32), 1, 1, "product", product)
    line = capsys.readouterr().out
    assert "network at batch 1 / product, FLOP/s" in line and "% [" in line


def test_the_layouts_and_precisions_are_what_they_are_called(monkeypatch):
    asked = []
    monkeypatch.setattr(bench, "ratios", lambda a, b, n: asked.append((a(), b())) or [1.0])
    bench.forms(tiny_unet(dtype=torch.float32), 2, 1)
    (last, first), (half, whole) = asked
    assert (last - first).abs().max() < 1e-4 < (half - whole).abs().max() < 0.2
