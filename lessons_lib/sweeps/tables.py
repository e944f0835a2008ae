"""The tables of a sweep's folder: a row a number (results), and a row a run (runs)."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from ..paths import whole, write_whole
from .runs import result_of

NUMBER = ["lesson", "name", "value", "note", "nth", "code", "weights", "run"]  # columns of results
RUN = ["lesson", "error", "numbers", "seconds", "ended", "host", "code", "weights", "run"]
KINDS = ((bool, "boolean"), (int, "Int64"), ((int, float), "Float64"), (str, "string"))


def collect(out: Path, mine: Collection[str] = ()) -> tuple[list[dict], int, int]:
    """The results in a sweep's folder, sorted, each setting once.

    Where several were made with one lesson and the same parameters, by another notebook, code or weights,
    one of the runs called `mine` counts, or else the one that ended last.
    Returns them, how many were left out so, and how many folders hold nothing whole.
    """
    best, found, broken = {}, 0, 0
    for folder in sorted((out / "runs").glob("*")):
        if (result := result_of(folder)) is None:
            broken += any(folder.glob("[!.]*"))  # one that another sweep has begun is empty
            continue
        found += 1
        setting = _setting(result)
        rank = result["run"] in mine, result["ended"], result["run"]
        if setting not in best or rank > best[setting][0]:
            best[setting] = rank, result
    return sorted((r for _, r in best.values()), key=_place), found - len(best), broken


def _setting(result: dict) -> str:
    return json.dumps([result["lesson"], result["parameters"]], sort_keys=True, ensure_ascii=False)


def _place(result: dict) -> list:
    values = result["parameters"].items()
    return [result["lesson"]] + [
        (k, type(v).__name__, v if isinstance(v, (int, float, str)) else json.dumps(v))
        for k, v in values
    ]


def write(out: Path, results: list[dict]) -> None:
    """Write results.csv, results.parquet and runs.csv, each whole or not at all."""
    numbers, runs = of_numbers(results), of_runs(results)
    write_whole(out / "results.csv", numbers.to_csv(index=False, lineterminator="\n"))
    with whole(out / "results.parquet") as part:
        numbers.to_parquet(part, index=False)
    write_whole(out / "runs.csv", runs.to_csv(index=False, lineterminator="\n"))


def of_numbers(results: list[dict]) -> pd.DataFrame:
    """A row a recorded number of the runs that went well: what it is, all parameters, code and weights.

    nth: its place among the numbers of one name in its run, from 0. A list is written as JSON. Nothing
    here depends on when, where or in which order the runs were made.
    """
    rows = []
    for result in results:
        seen: dict[str, int] = {}
        for record in result["records"] if not result["error"] else ():
            nth = seen[record["name"]] = seen.get(record["name"], -1) + 1
            rows.append((result, record | {"nth": nth}))
    return _frame(rows, NUMBER)


def of_runs(results: list[dict]) -> pd.DataFrame:
    """A row a run: its parameters, its error if it failed, its time and place."""
    rows = []
    for result in results:
        ended = datetime.fromtimestamp(result["ended"], UTC).isoformat("T", "milliseconds")
        rows.append((result, {"numbers": len(result["records"]), "ended": ended}))
    return _frame(rows, RUN)


def _frame(rows: list[tuple[dict, dict]], columns: list[str]) -> pd.DataFrame:
    """The columns, with the parameters between the first and the others."""
    names = sorted({n for result, _ in rows for n in result["parameters"]})
    said = [result | {"weights": _weights(result)} | more for result, more in rows]
    table = {c: [one[c] for one in said] for c in columns}
    split = columns.index("code")
    parameters = {
        n if n not in columns else f"parameter {n}": typed(
            [r["parameters"].get(n) for r, _ in rows]
        )
        for n in names
    }
    parts = (
        {c: table[c] for c in columns[:split]},
        parameters,
        {c: table[c] for c in columns[split:]},
    )
    return pd.DataFrame(parts[0] | parts[1] | parts[2])


def _weights(result: dict) -> str:
    return " ".join(f"{Path(name).name}:{digest}" for name, digest in result["weights"].items())


def typed(values: list) -> pd.api.extensions.ExtensionArray:
    """A column of the one kind that its values are, None where there is none; of several, as JSON."""
    there = [v for v in values if v is not None]
    for kind, dtype in KINDS:
        if all(isinstance(v, kind) and (kind is bool or not isinstance(v, bool)) for v in there):
            return pd.array(values, dtype=dtype)
    return pd.array(
        [None if v is None else json.dumps(v, ensure_ascii=False) for v in values], dtype="string"
    )
