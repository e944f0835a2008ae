"""The rooms: who may import whom. What the README says of the layout is held here."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lessons_lib"
# From the bottom up; of a room each module may import what is below, and its neighbours without a circle.
FLOORS = [
    {"paths", "checks", "_torchvision", "worlds", "plots", "lesson", "answers", "guesses", "press"},
    {"widgets", "schedule", "cards", "streams", "pictures"},
    {"devices"},
    {"denoisers"},
    {"code", "estimate"},
    {"encoder"},
    {"sampler"},
    {"models"},
    {"weights"},
    {"hub"},
    {"checkpoints"},
    {"judges"},
    {"methods"},
    {"studies"},
    {"sweeps"},
    {
        "pages",
        "bench",
        "chains",
        "classroom",
        "convert",
        "demo",
        "direction",
        "doctor",
        "edit",
        "pairing",
        "scoreboard",
        "sweep",
        "recipes",
    },
    {"gallery", "handouts"},
]
# These import each other at most.
BESIDE = {
    "worlds",
    "plots",
    "lesson",
    "answers",
    "guesses",
    "press",
    "widgets",
}
LONGEST = 400  # lines of a library file


def modules():
    """Each module's dotted name within the package, and its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def checking_types(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def statements(node):
    """Every statement that runs, those in functions too; none that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not checking_types(child):
            yield child
            yield from statements(child)


def imported(name, text):
    """The package's modules that a module imports, by their dotted names."""
    package = [*name.split(".")] if MODULES[name].stem == "__init__" else name.split(".")[:-1]
    for node in statements(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = [*package[: len(package) - node.level + 1], node.module or ""]
        elif (node.module or "").split(".")[0] == "lessons_lib":
            base = node.module.split(".")[1:]
        else:
            continue
        home = ".".join(part for part in base if part)
        for alias in node.names:
            inner = f"{home}.{alias.name}" if home else alias.name
            yield inner if inner in MODULES else home


def floor(name):
    (found,) = [i for i, names in enumerate(FLOORS) if name.split(".")[0] in names]
    return found


def faults(name, others):
    """A sentence for each import that goes up, or out of what stands beside."""
    room = name.split(".")[0]
    for other in others:
        target = other.split(".")[0]
        if not target or target == room:
            continue
        if target == "recipes":
            yield f"{name} imports {other}: nothing but recipes does"
        elif room in BESIDE and target not in BESIDE | {"paths", "checks", "_torchvision"}:
            yield f"{name} imports {other}, and stands beside"
        elif floor(target) >= floor(name) and target not in FLOORS[0] | BESIDE:
            yield f"{name} imports {other}, which is not below it"


GRAPH = {
    name: set(imported(name, path.read_text(encoding="utf-8"))) - {""}
    for name, path in MODULES.items()
    if name
}


def test_imports_run_one_way():
    assert [said for name, others in GRAPH.items() for said in faults(name, others)] == []


def test_there_is_no_circle():
    inside = {name: others - {name} for name, others in GRAPH.items()}
    assert len(list(TopologicalSorter(inside).static_order())) == len(inside)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("schedule", "from .denoisers import predict"),
        ("methods.rivals", "def f():\n    from ..studies.text import Cases"),
        ("judges.metrics", "from lessons_lib.methods import rivals"),
        ("studies.zoo", "from ..recipes.loop import train"),
        ("worlds.base", "from ..sampler import Sampler"),
        ("plots", "from . import checkpoints"),
    ],
)
def test_an_import_against_the_order_is_found(name, text):
    assert list(faults(name, imported(name, text)))


def test_what_only_a_type_checker_reads_does_not_count():
    text = "if TYPE_CHECKING:\n    from .sampler import Sampler"
    assert not list(imported("checks", text))


def test_no_library_file_is_too_long():
    lines = {n: len(p.read_text(encoding="utf-8").splitlines()) for n, p in MODULES.items()}
    assert {n: k for n, k in lines.items() if k > LONGEST} == {}


def test_lessons_do_not_import_recipes():
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.py")):
        assert "lessons_lib.recipes import" not in path.read_text(encoding="utf-8"), path.name
