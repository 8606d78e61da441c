"""docs/checks.md is made from the code: it has every key, column and rule, and is current."""

import re

from postarrest import scores
from postarrest.data import contract
from postarrest.places import ROOT
from postarrest.study import checks, load, schema


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table."""
    text = checks.PATH.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_list_is_that_of_the_code():
    assert checks.PATH.read_text(encoding="utf-8") == checks.document(), "renew it: make docs"


def test_every_key_of_a_study_file_has_a_line():
    listed = {(section, key.strip("`")) for section, key, _ in rows("Study file: values of each section")}
    for notebook in load.NOTEBOOKS:
        declared = set(schema.declared_parameters(notebook)) - load.SET_BY_PIPELINE
        assert {(notebook, key) for key in declared} <= listed
    assert {("study", "protocols"), ("simulate", "n_good"), ("splits", "outer_folds")} <= listed


def test_ranges_and_nested_values_are_those_that_are_enforced():
    expected = {(s, key.strip("`")): words for s, key, words in rows("Study file: values of each section")}
    assert expected["splits", "outer_folds"] == "a whole number, at least 2, at most 50"
    assert expected["04_stacking", "base_models.*.predictors"] == "a list of: text"
    assert expected["03_cnn", "fine_tuning.learning_rate"] == "a number, more than 0, at most 1"
    assert "" not in expected.values()


def test_every_column_and_every_rule_that_the_source_reports_has_a_line():
    columns = {(table, name.strip("`")) for table, name, *_ in rows("Columns of the tables")}
    assert {("patients", name) for name in contract.PATIENTS.columns} <= columns
    assert {("gwr", name) for name in contract.GWR.columns} <= columns
    # Each rule that an error in the source names as a text.
    for section, folder in (("Tables", "data"), ("Images", "data/ct")):
        rules = {rule for rule, *_ in rows(section)}
        for path in (ROOT / "lib" / "postarrest" / folder).glob("*.py"):
            named = re.findall(r'raise (?:Unreadable|_refusal)\((?:path, )?"(\w+)"', path.read_text())
            assert set(named) <= rules, path.name
    told = {cells[1].strip("`") for cells in rows("Scores tables")}
    assert set(scores.CELLS.columns) <= told


def test_limits_are_shown_as_numbers():
    tables = rows("Tables")
    assert ["size", "more than 1,000,000 rows", "at most 1,000,000 rows"] in tables
    assert any(expected.startswith("one of .csv, .tsv") for *_, expected in tables)
