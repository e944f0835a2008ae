"""What a run is: one digest of its notebook, parameters, code and weights. Another digest is another run."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..paths import CARD, DATA, EMBEDDED, ROOT
from ..press.runner import read

PACKAGE = Path(__file__).resolve().parents[1]
DIGITS = 20  # of a run's digest


@dataclass(frozen=True)
class Run:
    """One run of a grid, as it is asked for."""

    path: Path  # the notebook
    given: dict  # the parameters that the grid sets
    parameters: dict  # all of them
    weights: dict[str, str]  # of each network that they name, a digest
    code: str  # see `code`
    digest: str  # of all this, in hexadecimal: the name of its folder

    @property
    def lesson(self) -> str:
        return self.path.stem


def identify(lessons: dict[Path, dict], runs: list[tuple[Path, dict]]) -> list[Run]:
    """Each run with its digest, as this copy of the project would do it now.

    lessons: of each notebook, its parameters' defaults.
    Raises ValueError for a notebook that cannot be read, CheckpointError for networks that are not there.
    """
    states, version = {path: state(path) for path in lessons}, code()
    found = []
    for path, given in runs:
        parameters = dict(sorted((lessons[path] | given).items()))
        weights = weights_of(parameters)
        digest = digest_of([states[path], parameters, weights])[:DIGITS]
        found.append(Run(path, given, parameters, weights, version, digest))
    return found


def is_here(run: Run) -> bool:
    """Whether this process would do the run that is asked for: of this notebook, code and weights."""
    try:
        weights = {name: _fingerprint(name) for name in run.weights if not _embedded(name)}
        now = digest_of([state(run.path), run.parameters, run.weights | weights])
    except (ValueError, OSError):
        return False
    return now[:DIGITS] == run.digest


def state(path: Path) -> str:
    """A digest of a notebook, of the library's sources, and of all networks and tables that it brings."""
    cells = [(c.cell_type, c.source) for c in read(path).cells]
    cards = sorted([*DATA.glob(f"*/*/{CARD}"), *DATA.glob("*.json")])
    return digest_of([path.stem, cells, _of_texts(PACKAGE.rglob("*.py")), _of_texts(cards)])


def digest_of(value: object) -> str:
    """A SHA-256, in hexadecimal, of what JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def code() -> str:
    """The code's version: the commit (or the package's number), and a digest of its sources."""
    return f"{commit()}+{_of_texts(PACKAGE.rglob('*.py'))[:12]}"


def _of_texts(files: Iterable[Path]) -> str:
    return digest_of(
        [(f.relative_to(ROOT).as_posix(), f.read_text("utf-8")) for f in sorted(files)]
    )


@cache
def commit() -> str:
    """The first 12 digits of git's commit; the package's version where there is no git checkout."""
    try:
        said = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"], cwd=ROOT, capture_output=True, text=True,
            check=True, timeout=10,
        ).stdout.split("\n")  # fmt: skip
        if Path(said[0]).resolve() == ROOT:
            return said[1][:12]
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return version("lessons_lib")
    except PackageNotFoundError:
        return "unknown"


def weights_of(parameters: dict) -> dict[str, str]:
    """A digest of each network that the parameters name and that has weights."""
    from ..checkpoints import EXACT
    from ..studies.inputs import NAMED

    named = {parameters.get(n) for n in NAMED} - {None, "", *EXACT}
    return {name: _fingerprint(name) for name in sorted(named)}


@cache
def _embedded(name: str) -> bool:
    return "/" not in name and (EMBEDDED / name / CARD).is_file()


def _fingerprint(name: str) -> str:
    """As `checkpoints.fingerprint`; of a folder without a card, of its files."""
    from ..checkpoints import find, fingerprint, has_card

    folder = find(name)
    if has_card(folder):
        return fingerprint(name)
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt"))
    return digest_of([(p.relative_to(folder).as_posix(), _of_file(p)) for p in files])[:12]


def _of_file(path: Path) -> str:
    # The hub's cache holds links to files that are named by their content.
    if path.is_symlink() and path.resolve().parent.name == "blobs":
        return path.resolve().name
    said = path.stat()
    return _of_content(path, said.st_size, said.st_mtime_ns)


@cache
def _of_content(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
