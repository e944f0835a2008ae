"""The project's files agree: dependencies, notebooks and their text, no place on one machine."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from jupyter_core.paths import jupyter_path
from jupyterlab.commands import get_app_dir
from jupyterlab_server.settings_utils import get_settings
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lessons_lib.press import runner

ROOT = Path(__file__).resolve().parents[1]
IMPORTED_AS = {
    "bs4": "beautifulsoup4",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
BROUGHT_ALONG = {  # by a dependency that needs them
    "IPython": "ipykernel",
    "jinja2": "nbconvert",
    "jupyter_core": "jupyterlab",
    "jupyter_server": "jupyterlab",
    "jupyterlab_server": "jupyterlab",
}


# ---------------------------------------------------------------- dependencies


def requirements(root):
    """Every direct dependency of pyproject.toml, extras included, by name."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(r) for r in sum(extras, project["dependencies"])]
    return {canonicalize_name(r.name): r for r in asked}


def pins(root):
    """constraints.txt as {name: version}; it may hold exact pins only."""
    lines = [
        line.split("#")[0].strip() for line in (root / "constraints.txt").read_text().splitlines()
    ]
    found = {}
    for line in filter(None, lines):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][0-9a-z.]*)", line)
        assert match, f"constraints.txt: {line!r} is no exact pin"
        assert canonicalize_name(match[1]) not in found, f"constraints.txt pins {match[1]} twice"
        found[canonicalize_name(match[1])] = match[2]
    return found


def check_pins(root):
    """Each direct dependency is pinned once, within its range."""
    pinned = pins(root)
    for name, requirement in requirements(root).items():
        assert requirement.specifier, f"pyproject.toml: {name} has no range"
        assert name in pinned, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pinned[name]), (
            f"{requirement} excludes {pinned[name]}"
        )


def check_environment(root):
    """environment.yml: a Python in the range, and the project at the same constraints."""
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["requires-python"]
    environment = yaml.safe_load((root / "environment.yml").read_text())
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    python = next(d.removeprefix("python").strip() for d in conda if re.match(r"python\b", d))
    assert SpecifierSet(python) == SpecifierSet(wanted), f"environment.yml: python {python}"
    assert {d.split()[0] for d in conda} == {"python", "pip"}, "only python and pip are conda's"
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-c constraints.txt", "-e .[lab,test]"]
    assert environment["channels"][0] == "conda-forge"


def check_imports(root):
    """What the code imports is what the project asks for."""
    asked, unasked = requirements(root), set()
    ours = set(sys.stdlib_module_names) | {"lessons_lib", "tests", "conftest"}
    ours |= {p.stem for p in (root / "tests").glob("*.py")}
    for path in [*(root / "lessons_lib").rglob("*.py"), *(root / "tests").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for top in {n.split(".")[0] for n in names} - ours:
                package = BROUGHT_ALONG.get(top) or IMPORTED_AS.get(top, top)
                if canonicalize_name(package) not in asked:
                    unasked.add(f"{path.name} imports {top}")
    assert not unasked, sorted(unasked)


def test_every_dependency_is_pinned_within_its_range():
    check_pins(ROOT)


def test_environment_installs_the_same():
    check_environment(ROOT)


def test_every_import_is_a_dependency():
    check_imports(ROOT)


def test_the_python_that_runs_this_is_in_the_range():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert SpecifierSet(wanted).contains(".".join(map(str, sys.version_info[:3])))


@pytest.mark.parametrize(
    ("file", "old", "new", "check"),
    [
        ("constraints.txt", "torch==2", "torch==1", check_pins),
        ("constraints.txt", "numpy==", "numpy>=", check_pins),
        ("constraints.txt", "nbmake==", "nbmaker==", check_pins),
        ("pyproject.toml", '"nbmake>=1.5.5,<2"', '"nbmake"', check_pins),
        ("environment.yml", "-c constraints.txt", "-c other.txt", check_environment),
        ("environment.yml", ">=3.11,<3.14", ">=3.14", check_environment),
        ("environment.yml", "lab,test", "lab", check_environment),
        ("pyproject.toml", '"lpips>=', '"pips>=', check_imports),
    ],
)
def test_a_disagreement_is_found(tmp_path, file, old, new, check):
    for name in ("pyproject.toml", "constraints.txt", "environment.yml"):
        text = (ROOT / name).read_text()
        assert name != file or old in text
        (tmp_path / name).write_text(text.replace(old, new, 1) if name == file else text)
    (tmp_path / "lessons_lib").mkdir()
    (tmp_path / "lessons_lib" / "uses.py").write_text(
        "import lpips.pretrained_networks\nimport torch"
    )
    with pytest.raises(AssertionError):
        check(tmp_path)


# ---------------------------------------------------------------- JupyterLab's settings


def test_jupyterlab_keeps_pictures_and_shows_no_news(tmp_path):
    """`make lab` names a folder whose settings JupyterLab reads, and its schemas know each of them."""
    (folder,) = re.findall(r"--LabApp\.app_settings_dir=(\S+)", (ROOT / "Makefile").read_text())

    def default(plugin, name):
        found, _ = get_settings(
            str(ROOT / folder),
            str(Path(get_app_dir()) / "schemas"),
            str(tmp_path),  # the user's own, of which there are none
            schema_name=plugin,
            labextensions_path=jupyter_path("labextensions"),
        )
        return found["schema"]["properties"][name]["default"]

    assert default("@jupyter-widgets/jupyterlab-manager:plugin", "saveState") is True
    assert default("@jupyterlab/apputils-extension:notification", "fetchNews") == "false"
    overrides = json.loads((ROOT / folder / "overrides.json").read_text())
    for plugin, values in overrides.items():
        assert {name: default(plugin, name) for name in values} == values


# ---------------------------------------------------------------- notebooks

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_lesson_holds_what_papermill_says_of_a_failed_run(path):
    assert "papermill-error" not in path.with_suffix(".py").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_parameters_are_literals_that_papermill_knows(path):
    from papermill import inspect_notebook

    ours = runner.defaults_of(nbformat.read(path, as_version=4))
    assert {"checkpoint", "device", "seed"} <= set(ours)
    assert set(inspect_notebook(str(path))) == set(ours)


# ---------------------------------------------------------------- nothing of one machine

# Written so that this file does not match itself.
STRAY = re.compile(
    r"(?<![\w.}/])/(?:work|opt|root|home/\w+|Users/\w+)/"
    + r"|(?<![\w/])shared"
    + r"/(?=[A-Z]\w*\.md|\w+\.md)"
)


def committed(root):
    """The text files that git tracks."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            try:
                yield name, (root / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def strays(files):
    """Where a file names a place on one machine."""
    return [f"{name}: {m.group()}" for name, text in files for m in STRAY.finditer(text)]


def test_no_file_names_a_place_on_one_machine():
    assert strays(committed(ROOT)) == []


@pytest.mark.parametrize("place", ["work/main/x", "opt/wheels", "home/ann/x", "Users/ann/x"])
def test_a_place_on_one_machine_is_found(place):
    assert strays([("a.py", f'x = "{"/" + place}"')])
    assert strays([("a.md", "see shared" + "/DESIGN.md")])
    assert not strays([("a.md", "https://example.org/work/x, build/opt/x, a/b shared code")])
