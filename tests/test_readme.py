"""The README is true: its code runs, and whatever it names is there."""

import re
from functools import reduce
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from torch.testing import assert_close

from lessons_lib.methods.asyrp import asymmetric
from test_layout import BESIDE, FLOORS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lessons_lib"
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NOTATION = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
SYMBOLS = "| Symbol | Name | In the papers | In the code | Where |"
EQUATIONS = "| Equation | Symbol | In the code | Where |"
COMMANDS = "| | Linux, macOS | Windows (PowerShell or cmd) |"


def rows(text, head):
    """The cells of each row of the tables that begin with this line."""
    inside = False
    for line in text.splitlines():
        inside = line == head or (inside and line.startswith("|"))
        if inside and line != head and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def fenced(text, language=""):
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


# ---------------------------------------------------------------- from equation to code


def is_there(place):
    """Whether `file:function` is a file of the package that has such a thing."""
    file, _, chain = place.partition(":")
    if not chain or not (PACKAGE / file).is_file():
        return False
    module = import_module(f"lessons_lib.{file.removesuffix('.py').replace('/', '.')}")
    try:
        reduce(getattr, chain.split("."), module)
    except AttributeError:
        return False
    return True


def equation_faults(text):
    """A sentence for each place that is missing, and each name that its file does not hold."""
    for equation, _, names, places in rows(text, EQUATIONS):
        places = quoted(places)
        if not places or not quoted(names):
            yield f"{equation} names nothing"
            continue
        missing = [place for place in places if not is_there(place)]
        yield from (f"{place} is not there" for place in missing)
        sources = [(PACKAGE / p.partition(":")[0]) for p in places if p not in missing]
        words = set(re.findall(r"\w+", "".join(s.read_text(encoding="utf-8") for s in sources)))
        for word in re.findall(r"\w+", " ".join(quoted(names))):
            if not missing and word not in words:
                yield f"{word} is not in {', '.join(places)}"


def symbols_as_equations(text):
    """The rows of the table of symbols, as those of an equation."""
    cells = [(row[0], row[0], *row[3:]) for row in rows(text, SYMBOLS)]
    return "\n".join([EQUATIONS, *("| " + " | ".join(row) + " |" for row in cells)])


def test_every_equation_is_where_the_table_says():
    assert len(list(rows(NOTATION, EQUATIONS))) > 49
    assert list(equation_faults(NOTATION)) == []


def test_every_symbol_is_where_the_table_says():
    assert len(list(rows(NOTATION, SYMBOLS))) > 20
    assert list(equation_faults(symbols_as_equations(NOTATION))) == []


def test_a_symbol_stands_once():
    symbols = [row[0] for row in rows(NOTATION, SYMBOLS)]
    assert sorted(set(symbols)) == sorted(symbols)


@pytest.mark.parametrize(
    ("names", "places", "said"),
    [
        ("`sigma`", "`schedule.py:sigmas`", "schedule.py:sigmas is not there"),
        ("`sigma`", "`schedule.py:Schedule.sigmas`", "schedule.py:Schedule.sigmas is not there"),
        ("`sigma`", "`schedules.py:sigma`", "schedules.py:sigma is not there"),
        ("`shift`", "`asyrp.py:Asyrp.shift`", "asyrp.py:Asyrp.shift is not there"),
        ("`sigma`", "`schedule.py`", "schedule.py is not there"),
        ("`sigma`", "`schedule.py:sigma`, `code.py:sigma`", "code.py:sigma is not there"),
        ("`sigmas`", "`schedule.py:sigma`", "sigmas is not in schedule.py:sigma"),
        ("`sigma`", "schedule.py", "Song eq. 16 names nothing"),
    ],
)
def test_a_made_up_function_is_found_missing(names, places, said):
    table = f"{EQUATIONS}\n|---|---|---|---|\n| Song eq. 16 | σ_t(η) | {names} | {places} |\n"
    assert list(equation_faults(table)) == [said]


def test_a_row_of_another_table_is_no_equation():
    assert list(rows("| Lesson |\n|---|\n| 01 |\n", EQUATIONS)) == []


# ---------------------------------------------------------------- the code


@pytest.fixture(scope="module")
def blocks():
    return fenced(README, "python")


@pytest.fixture(scope="module")
def ten_lines(blocks):
    names = {}
    exec(blocks[0], names)
    return names


@pytest.fixture(scope="module")
def h_space(blocks, ten_lines):
    names = dict(ten_lines)
    exec(blocks[1], names)
    return names


def test_there_are_two_examples(blocks):
    assert len(blocks) == 2


def test_the_ten_lines_run(ten_lines):
    assert ten_lines["new"].isfinite().all()
    assert ten_lines["predicted"].shape == ten_lines["x"].shape


def test_h_is_where_the_example_finds_it(h_space):
    shape = str(tuple(h_space["b"].h.shape))
    assert f"b.h: {shape}" in README
    assert len(h_space["hs"]) == len(h_space["g"].schedule)
    assert_close(h_space["eps"], h_space["faces"](h_space["x"], 500))
    assert (h_space["moved"] - h_space["eps"]).abs().max() > 0.01


def test_the_example_s_edit_is_asyrp_s_step(h_space):
    def ours(model, x, t, cond=None):
        b = model.encode(x, t, cond)
        return asymmetric(model, b, b.h.flip(0) - b.h)

    assert_close(h_space["g"].decode(h_space["z"], ours), h_space["x1"], atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["x1", "x2"])
def test_the_example_s_edits_change_the_pictures(h_space, name):
    change = (h_space[name] - h_space["x"]).abs().mean()
    assert 0.01 < change < 1


# ---------------------------------------------------------------- layout


def block_with(text, words):
    (block,) = (b for b in fenced(text) if words in b)
    return block


def laid_out(block):
    """The paths of a layout: what is indented lies within the folder above."""
    folder = ""
    for line in block.splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        inside = line.startswith(" ")
        folder = folder if inside else names[0]
        yield from (folder + name if inside else name for name in names)


def on_disk():
    """The rooms and the modules of the package that a layout must name."""
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" and not path.name.startswith("_"):
            yield f"lessons_lib/{path.name}"
        elif (path / "__init__.py").is_file():
            yield f"lessons_lib/{path.name}/"


def layout_faults(block):
    named, there = set(laid_out(block)), set(on_disk())
    yield from (f"{path} is not there" for path in sorted(named) if not (ROOT / path).exists())
    yield from (f"{path} is not named" for path in sorted(there - named))


def test_the_layout_is_that_of_the_disk():
    assert list(layout_faults(block_with(README, "lessons_lib/ "))) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  judges/ ", "  jury/ ", ["jury/ is not there", "judges/ is not named"]),
        ("  code.py ", "  codes.py ", ["codes.py is not there", "code.py is not named"]),
        (" plots.py ", " ", ["plots.py is not named"]),
    ],
)
def test_a_layout_of_another_disk_is_found(old, new, said):
    block = block_with(README, "lessons_lib/ ")
    assert block.count(old) == 1
    found = list(layout_faults(block.replace(old, new)))
    assert found == [f"lessons_lib/{one}" for one in said]


def import_order(text):
    (line,) = block_with(text, " → ").splitlines()
    return [set(step.split(", ")) for step in line.split(" → ")]


def test_the_order_of_imports_is_that_of_the_floors():
    assert import_order(README) == [floor - BESIDE for floor in FLOORS[1:]]


def test_another_order_of_imports_is_found():
    swapped = README.replace("judges → methods", "methods → judges")
    assert import_order(swapped) != import_order(README)


# ---------------------------------------------------------------- commands


def recipe(target):
    """The commands of a target of the Makefile, as somebody without make would type them."""
    (body,) = re.findall(rf"^{re.escape(target)}: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    for line in re.findall(r"\$\(PY(?:THON)?\).*", body):
        line = re.sub(r" (\$\((ARGS|LIMITS)\)|--quiet)", "", line).replace("'", '"')
        line = line.replace("$(PYTHON)", "python3").replace("$(PY)", ".venv/bin/python")
        yield line.replace("$(VENV)", ".venv")


def for_windows(command):
    command = command.replace("python3 -m", "py -3.12 -m")
    return command.replace(".venv/bin/", ".venv\\Scripts\\")


SET_UP = [
    "set up",
    "then",
]  # a row each: `&&` is unknown to one of Windows' shells, `;` to the other


def command_faults(text):
    for name, unix, windows in rows(text, COMMANDS):
        if name in SET_UP:
            wanted = list(recipe("$(STAMP)"))[SET_UP.index(name)]
        else:
            (wanted,) = recipe(name.strip("`").removeprefix("make "))
        if (quoted(unix), quoted(windows)) != ([wanted], [for_windows(wanted)]):
            yield name


def test_the_commands_without_make_are_the_makefile_s():
    assert len(list(rows(README, COMMANDS))) == 9
    assert list(command_faults(README)) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("bin/python -m lessons_lib.pages`", "bin/python -m lessons_lib.page`", "`make lessons`"),
        ("Scripts\\python -m lessons_lib.bench", "Scripts\\python -m bench", "`make bench`"),
        ("-n 2 --nbmake tests notebooks` | `", "-n 2 tests notebooks` | `", "`make test`"),
        ("python3 -m venv", "python -m venv", "set up"),
    ],
)
def test_a_command_that_differs_is_found(old, new, name):
    assert README.count(old) == 1
    assert list(command_faults(README.replace(old, new))) == [name]


def test_a_newcomer_first_sees_the_two_commands():
    title, paragraph, picture, heading, _, block = README.split("\n\n")[:6]
    assert title.startswith("# ") and paragraph[0].isalpha() and picture.startswith("![")
    assert heading == "## Two commands"
    assert re.findall(r"^make \w+", block, re.MULTILINE) == ["make lessons", "make test"]


def test_every_target_that_is_named_is_in_the_makefile():
    named = set(re.findall(r"(?:`|^)make (\w+)", README, re.MULTILINE))
    assert {"lab", "lessons", "test", "bench", "doctor", "format"} <= named
    assert named <= set(re.search(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)[1].split())


# ---------------------------------------------------------------- names and links


def dotted(text):
    return set(re.findall(r"\blessons_lib(?:\.\w+)+", text))


def test_every_module_that_is_named_is_there():
    assert len(dotted(README)) > 5
    assert [name for name in dotted(README) if find_spec(name) is None] == []


def test_a_module_of_another_room_is_found():
    (name,) = dotted("see `lessons_lib.counterfactual` for it")
    assert find_spec(name) is None


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    headings = {"#" + h.lower().replace(" ", "-") for h in re.findall(r"^## (.*)", README, re.M)}
    lost = [link for link in links if link not in headings and not (ROOT / link).is_file()]
    assert links and lost == []


def test_the_lessons_are_listed():
    listed = re.findall(r"\]\(notebooks/(\w+)\.ipynb\) \|.*\| (\d+) \|", README)
    there = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert [name for name, _ in listed] == [path.stem for path in there]
    for path, (_, minutes) in zip(there, listed, strict=True):
        first = nbformat.read(path, as_version=4).cells[0].source
        assert f"{minutes} minutes" in first, f"{path.stem} does not take {minutes} minutes"
