"""The benchmark of the asymmetric step runs, and says what it must reach."""

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
