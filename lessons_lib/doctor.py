"""Say whether this installation works: `python -m lessons_lib.doctor`.

One line a check, 'ok' or 'problem' with what to do about it; fails if there is any problem.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from .paths import EMBEDDED

INSTALL = 'run `make setup`, or `python -m pip install -c constraints.txt -e ".[lab,test]"`'


class Problem(Exception):
    """What is wrong, and what to do."""


def python() -> str:
    """The interpreter is one that the project supports; raises Problem for another."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Problem(f"Python {platform.python_version()}: use 3.11, 3.12 or 3.13")
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def packages() -> str:
    """Everything the project asks for is installed, at a version in its range; raises Problem if not."""
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(line) for line in requires("lessons_lib") or ()]
    except PackageNotFoundError:
        raise Problem(f"lessons_lib is not installed here: {INSTALL}") from None
    wrong = []
    for one in asked:
        try:
            have = version(one.name)
        except PackageNotFoundError:
            have = None
        if have is None or not one.specifier.contains(have, prereleases=True):
            wrong.append(f"{one.name}{one.specifier} ({have or 'missing'})")
    if wrong:
        raise Problem(f"{', '.join(wrong)}: {INSTALL}")
    told = ("torch", "diffusers", "transformers", "numpy", "ipywidgets", "papermill")
    return ", ".join(f"{name} {version(name)}" for name in told)


def torch_pair() -> str:
    """torch and torchvision load together, by themselves or mended by `_torchvision`; raises Problem else."""
    import torch

    try:
        importlib.import_module("lessons_lib._torchvision")  # first: see there
        import torchvision
    except Exception as error:
        raise Problem(f"torchvision does not load ({error}): {INSTALL}") from None
    pair = f"torch {torch.__version__} with torchvision {torchvision.__version__}"
    # A matched pair brings a compiled kernel for this operator, a mended one its schema only.
    compiled = torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::nms", "CPU")
    return (
        pair
        if compiled
        else f"{pair}: of different builds, mended (only their operators are missing)"
    )


def kernel() -> str:
    """Jupyter's `python3` kernel is this Python; raises Problem if there is none, or it is another."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        raise Problem(f"Jupyter is not installed: {INSTALL}") from None
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        raise Problem(
            "there is no kernel python3: run `python -m ipykernel install --sys-prefix`"
        ) from None
    # Jupyter reads a bare "python" as the interpreter that it runs on itself.
    program = spec.argv[0]
    if (
        program not in {"python", "python3"}
        and Path(program).absolute() != Path(sys.executable).absolute()
    ):
        raise Problem(
            f"the kernel python3 is {program}, not {sys.executable}: "
            "run `python -m ipykernel install --sys-prefix`, and set JUPYTER_PREFER_ENV_PATH=1"
        )
    return f"kernel python3 in {spec.resource_dir}"


def checkpoint(folder: Path) -> str:
    """A checkpoint's files are those that its card lists; raises Problem if not."""
    from .cards import card, verify

    try:
        verify(folder)
        files = card(folder).get("files", {})
    except (ValueError, OSError) as error:
        raise Problem(str(error)) from None
    if not files:
        raise Problem(f"the card of {folder} lists no files: run its recipe again")
    return f"checkpoint {folder.name}: {len(files)} files as its card lists them"


def device() -> str:
    """The fastest device that torch sees."""
    import torch

    if torch.cuda.is_available():
        return f"device cuda: {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "device mps, where states are float32 (cpu keeps float64)"
    return f"device cpu, {torch.get_num_threads()} threads (a GPU is not needed)"


def sample() -> str:
    """One image in two steps, through the whole library; raises Problem for one that is not finite."""
    from . import Sampler, load

    start = time.perf_counter()
    g = Sampler(load("faces"), steps=2)
    loaded = time.perf_counter()
    x = g.decode(g.draw(1, seed=0))
    if not x.isfinite().all():
        raise Problem("two steps of `faces` give numbers that are not finite: report this")
    took = time.perf_counter() - loaded
    return f"two steps of faces: {tuple(x.shape)} in {took:.2f} s, loaded in {loaded - start:.1f} s"


def checks(folder: Path = EMBEDDED) -> list[Callable[[], str]]:
    """The checks in order, with one for each embedded checkpoint; without torch, those that need none."""
    if find_spec("torch") is None:  # then nothing else can be said but this
        return [python, packages, torch_pair, kernel]
    embedded = [p for p in sorted(folder.glob("*")) if p.is_dir() and p.name[0] != "."]
    each = [lambda p=p: checkpoint(p) for p in embedded]
    return [python, packages, torch_pair, kernel, device, *each, sample]


def examine(check: Callable[[], str]) -> tuple[bool, str]:
    """Whether a check went well, and its line."""
    try:
        return True, f"ok       {check()}"
    except Problem as problem:
        return False, f"problem  {problem}"
    except ModuleNotFoundError as error:
        return False, f"problem  {error.name} is not installed: {INSTALL}"
    except Exception as error:  # a check never ends in a traceback
        return (
            False,
            f"problem  {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        )


def main(folder: Path = EMBEDDED) -> int:
    """Print every check's line as it is made."""
    well = True
    for check in checks(folder):
        good, line = examine(check)
        print(line, flush=True)
        well &= good
    print("all is well" if well else "see the lines that begin with 'problem'")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
