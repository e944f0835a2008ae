"""The page over a sweep: any recorded number against any parameter, in small multiples, and every run.

It is one file that asks nothing of any other host. What runs and lessons are called is written into it as
text, never as HTML, and figures are drawn in the browser from the numbers that the page holds.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from ..paths import write_whole
from .plot import SCRIPT

STYLE = """body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .8rem }
tr { border-bottom: 1px solid #ddd } .failed { color: #b00020 } label { margin-right: 1.2rem }
svg { font: 11px system-ui, sans-serif; margin: .5rem .5rem 0 0 } #legend span { margin-right: 1.2rem }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def write(out: Path, results: list[dict]) -> None:
    """Write index.html over these results, whole or not at all."""
    write_whole(out / "index.html", html(results))


def html(results: list[dict]) -> str:
    """The page over these results."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sweep</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style>'
        '<h1>Sweep</h1><p id="choice"></p><h2 id="what"></h2><p id="legend"></p><div id="panels"></div>'
        "<noscript><p>The figures need JavaScript; the same numbers are in results.csv.</p></noscript>"
        f"<h2>Runs</h2><table>{''.join(rows(results))}</table>"
        f'<script type="application/json" id="data">{embedded(results)}</script>'
        f"<script>{SCRIPT}</script></html>\n"
    )


def varied(results: list[dict]) -> list[str]:
    """The parameters that are not the same in all runs of their lesson."""
    values: dict[tuple[str, str], set[str]] = {}
    for result in results:
        for name, value in result["parameters"].items():
            values.setdefault((result["lesson"], name), set()).add(json.dumps(value))
    return sorted({name for (_, name), found in values.items() if len(found) > 1})


def numbers(result: dict) -> list[tuple[str, float]]:
    """(name, value) of a run's numbers; where several have one name, each with its place among them."""
    names = [n["name"] for n in result["records"]]
    found = []
    for i, record in enumerate(result["records"]):
        place = (
            f" ({names[:i].count(record['name']) + 1})" if names.count(record["name"]) > 1 else ""
        )
        found.append((record["name"] + place, record["value"]))
    return found


def embedded(results: list[dict]) -> str:
    """The numbers for the script, as JSON in which no tag can begin or end."""
    names = varied(results)
    runs = [
        {
            "run": r["run"], "lesson": r["lesson"],
            "numbers": numbers(r),
            "parameters": {n: r["parameters"][n] for n in names if n in r["parameters"]},
        }
        for r in results
        if not r["error"]
    ]  # fmt: skip
    said = json.dumps({"parameters": names, "runs": runs})
    return said.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def rows(results: list[dict]) -> list[str]:
    """The table of runs: what varies, how it went, and its page."""
    names = varied(results)
    head = "".join(f"<th>{escape(n)}</th>" for n in ["lesson", *names, "run"])
    lines = [f"<tr>{head}</tr>"]
    for r in results:
        where = f"runs/{escape(r['run'])}"  # hexadecimal digits
        cells = [r["lesson"], *(_shown(r["parameters"].get(n)) for n in names)]
        links = (
            f'<a href="{where}/page.html">page</a> <a href="{where}/notebook.ipynb">notebook</a>'
        )
        went = (
            f'<td class="failed">{links} {escape(r["error"])}</td>'
            if r["error"]
            else f"<td>{links}</td>"
        )
        lines.append(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in cells)}{went}</tr>")
    return lines


def _shown(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
