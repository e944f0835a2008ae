"""The pages of docs/ that are lists: each paper cited is listed, and each term is of the lesson named."""

import re

from lessons_lib.paths import NOTEBOOKS, ROOT, number_of

DOCS = ROOT / "docs"
AUTHOR = r"[A-ZÀ-Ž][\w'’-]*[a-zà-ž]"
VENUE = r"(?:(?:ICLR|ICCV|ICML|CVPR|ECCV|NeurIPS|SIGGRAPH|FG) )?"
SEVERAL = re.compile(
    rf"({AUTHOR})(?: et al\.,?| (?:&|and) (?:De la )?{AUTHOR},?) \(?{VENUE}((?:19|20)\d\d)"
)
ALONE = re.compile(r"[(,;] ?([A-ZÀ-Ž][a-zà-ž]+) ((?:19|20)\d\d)[),;]")
ENTRY = re.compile(r"^- \*\*(.*)\.\*\* \S", re.MULTILINE)
TERM = re.compile(r"^\| \*\*(.+)\*\* \| (.+) \| (\w+) \|$", re.MULTILINE)


def cited(text):
    """(first author, year) of each paper that a text cites by its authors and the year."""
    text = re.sub(r"\s*\n\s*#?\s*", " ", text)
    return {*SEVERAL.findall(text), *ALONE.findall(text)}


def everywhere():
    """What cites: lessons, README, the other pages of docs/, and the library's code with its docstrings."""
    paths = [
        *NOTEBOOKS.glob("[0-9]*.py"),
        ROOT / "README.md",
        *(ROOT / "lessons_lib").rglob("*.py"),
    ]
    paths += [p for p in DOCS.rglob("*.md") if p.name != "references.md"]
    return {c for path in paths for c in cited(path.read_text(encoding="utf-8"))}


def listed():
    """The papers of the list, in its order."""
    entries = ENTRY.findall((DOCS / "references.md").read_text(encoding="utf-8"))
    found = [next(iter(cited(f"({entry})")), entry) for entry in entries]
    assert all(isinstance(one, tuple) for one in found)
    return found


def test_every_paper_that_is_cited_is_listed_and_no_other():
    assert len(everywhere()) > 50
    assert sorted(everywhere() - set(listed())) == []
    assert sorted(set(listed()) - everywhere()) == []


def test_the_list_is_in_order_and_names_each_once():
    letters = [name[0] for name, _ in listed()]
    assert letters == sorted(letters) and len(set(listed())) == len(listed())


def test_citations_are_found_in_all_their_forms():
    text = """# by Kwon et al. (ICLR 2023, arXiv 2210.10960), Wu & De la Torre (2023), and (Meng et
    # al., ICLR 2022); the bootstrap (Efron 1979); Zhao et al. 2020's; Ho and Salimans 2022. In May 2021."""
    years = {"Kwon": 2023, "Wu": 2023, "Meng": 2022, "Efron": 1979, "Zhao": 2020, "Ho": 2022}
    assert cited(text) == {(name, str(year)) for name, year in years.items()}


def terms():
    return TERM.findall((DOCS / "glossary.md").read_text(encoding="utf-8"))


def words_of(path):
    """A lesson's text, on one line."""
    return re.sub(r"\s*\n(# )?", " ", path.read_text(encoding="utf-8"))


def is_a_word(term, text):
    """Whether a text has a term as a whole word or words; its plural counts."""
    return re.search(rf"(?<!\w){re.escape(term)}s?(?!\w)", text, re.IGNORECASE)


def test_every_term_is_a_word_of_the_lesson_that_introduces_it():
    assert len(terms()) > 50
    texts = {number_of(path.stem): words_of(path) for path in NOTEBOOKS.glob("[0-9]*.py")}
    assert [(term, n) for term, _, n in terms() if not is_a_word(term, texts.get(n, ""))] == []
    assert not is_a_word("code", "encoder") and is_a_word("look", "the looks")


def test_the_glossary_is_in_order_and_has_one_meaning_each():
    names = [term.lower() for term, _, _ in terms()]
    assert names == sorted(set(names))
    rows = (DOCS / "glossary.md").read_text(encoding="utf-8").count("\n| **")
    assert rows == len(names)
