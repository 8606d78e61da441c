"""The scores table: what is refused, with which words, and the rows on which a model is evaluated."""

import numpy as np
import pandas as pd
import pytest

from evaluation_data import holdout_scores, nested_scores
from postarrest import scores
from postarrest.data.errors import DataErrors

HEADER = "patient_id,y_good,model,kind,role,fold,score"
GOOD = ["a,0,ct,probability,test,1,0.2", "b,1,ct,probability,test,1,0.7", "c,0,ct,probability,test,1,0.4"]

# What is broken: the file's lines, and what the message must say of it.
BROKEN = {
    "empty file": ("", ["scores.csv: found an empty file; expected a header and rows"]),
    "header only": (HEADER, ["scores.csv: found no rows"]),
    "columns missing": (
        "id,y,model,kind,role,fold,score\n1,0,ct,probability,test,1,0.2",
        ["scores.csv, patient_id: found no such column", "scores.csv, y_good: found no such column"],
    ),
    "semicolons": (
        HEADER.replace(",", ";") + "\na;0;ct;probability;test;1;0.2",
        ["patient_id: found no such"],
    ),
    "cells too many": (
        "\n".join([HEADER, GOOD[0] + ",7,8,9", *GOOD[1:]]),
        ["scores.csv: found", "expected as many cells in every row as in the header"],
    ),
    "score not a number": (
        "\n".join([HEADER, GOOD[0], "b,1,ct,probability,test,1,high", GOOD[2]]),
        ["row 3, score: found", "expected a finite number"],
    ),
    "an open quote": (
        "\n".join([HEADER, GOOD[0], '"' + GOOD[1], GOOD[2]]),
        ["scores.csv: found a quote left open in row 3; expected two quotes around a cell"],
    ),
    "an open quote in the header": (
        "\n".join(['"' + HEADER, *GOOD]),
        ["scores.csv: found a quote left open in row 1; expected two quotes around a cell"],
    ),
    "a score beyond all measures": (
        "\n".join([HEADER, *GOOD, "d,1,m,marker,test,1,1.7e308"]),
        ["row 5, score: found 1.7e308; expected a finite number within ±1e+100"],
    ),
    "score missing and infinite": (
        "\n".join([HEADER, "a,0,ct,probability,test,1,", "b,1,ct,probability,test,1,inf", GOOD[2]]),
        ["row 2, score: found a blank cell", "row 3, score: found inf; expected a finite number"],
    ),
    "probability of 1.7": (
        "\n".join([HEADER, GOOD[0], "b,1,ct,probability,test,1,1.7", GOOD[2]]),
        ["row 3, score: found 1.7; expected a probability from 0 to 1"],
    ),
    "codes": (
        "\n".join([HEADER, "a,2,ct,probability,test,1,0.2", "b,1,ct,prob,valid,0.5,0.7", GOOD[2]]),
        [
            "4 errors",
            "row 2, y_good: found 2; expected 0 or 1",
            "row 3, kind: found",
            "expected probability or marker",
            "row 3, role: found",
            "expected train_oof or test",
            "row 3, fold: found 0.5; expected a whole number from 1",
        ],
    ),
    "patient twice": (
        "\n".join([HEADER, *GOOD, GOOD[1]]),
        ["row 5, patient_id: found the patient of row 3 again; expected each patient once"],
    ),
    "patient on both sides": (
        "\n".join([HEADER, *GOOD, "b,1,ct,probability,train_oof,1,0.7"]),
        ["row 3, role: found a test patient who is in train_oof of the same fold"],
    ),
    "a patient with two outcomes": (
        "\n".join([HEADER, *GOOD, "b,0,pupil,probability,test,1,0.7", "a,1,pupil,probability,test,1,0.6"]),
        ["row 5, y_good: found 0 after another value in row 3", "row 6, y_good: found 1 after another"],
    ),
    "two kinds of a model": (
        "\n".join([HEADER, *GOOD, "d,0,ct,marker,test,1,0.7"]),
        ["row 5, kind: found marker after another value in row 2; expected one kind per model"],
    ),
    "one outcome only": (
        "\n".join([HEADER, GOOD[0], GOOD[2]]),
        ["y_good: found y_good 0 in all 2 test rows of model ct", "expected patients of both outcomes"],
    ),
    "one outcome only in repeated splits": (
        "\n".join([HEADER, *GOOD, *(line.replace("test,1", "test,2") for line in (GOOD[0], GOOD[2]))]),
        ["row 2, y_good: found one outcome only in test rows of model ct", "fold 2; expected both in each"],
    ),
    "no final stage": (
        "\n".join([HEADER + ",stage", *(line + ",before_platt" for line in GOOD)]),
        ["row 2, stage: found before_platt in every row; expected rows whose stage is final"],
    ),
    "nobody tested": (
        "\n".join([HEADER, *(line.replace("test", "train_oof") for line in GOOD)]),
        ["role: found no test row of model ct"],
    ),
    "blank names": (
        "\n".join([HEADER, ",0,ct,probability,test,1,0.2", "b,1,,probability,test,1,0.7", GOOD[2]]),
        ["row 2, patient_id: found a blank cell; expected a name", "row 3, model: found a blank cell"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_invalid_tables_are_refused_with_locations(tmp_path, name):
    text, expected = BROKEN[name]
    path = tmp_path / "scores.csv"
    path.write_text(text + "\n" if text else "")
    with pytest.raises(DataErrors) as refused:
        scores.read(path)
    for words in expected:
        assert words in str(refused.value), str(refused.value)


def test_rows_are_numbered_as_in_the_file_where_lines_are_blank(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(
        "\n".join([HEADER, "", GOOD[0], "", "  ", ",,,,,,", "b,1,ct,probability,test,1,high", GOOD[2]])
    )
    with pytest.raises(DataErrors, match=r"^1 error in the data:\s+scores\.csv, row 7, score: found"):
        scores.read(path)
    path.write_text("\n".join([HEADER, "", GOOD[0], "", *GOOD[1:], "", ""]))
    assert len(scores.read(path)) == 3


def test_each_rule_has_a_name(tmp_path):
    lines = ["a,01,ct,prob,test,0,high", ",1,ct,probability,test,1,1.7", GOOD[2]]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([HEADER, *lines]))
    with pytest.raises(DataErrors) as refused:
        scores.read(path)
    table = refused.value.table.set_index(["row", "column"])["rule"]
    assert table[2].to_dict() == {"y_good": "codes", "kind": "codes", "fold": "fold", "score": "number"}
    assert table[3].to_dict() == {"patient_id": "name", "score": "probability"}


def test_not_utf8(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_bytes(("\n".join([HEADER, *GOOD])).replace("a,0", "é,0").encode("latin-1"))
    with pytest.raises(DataErrors, match="not UTF-8"):
        scores.read(path)


def test_no_identifier_is_in_a_message(tmp_path):
    rows = [line.replace("a,", "MRN-4711,", 1).replace("b,", "MRN-4712,", 1) for line in GOOD]
    broken = [
        *rows,
        rows[0],
        "MRN-4712,1,ct,probability,train_oof,1,0.7",
        "MRN-4711,1,x,probability,test,1,0.7",
    ]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([HEADER, *broken]))
    with pytest.raises(DataErrors) as refused:
        scores.read(path)
    assert len(refused.value.table) == 4
    assert "MRN" not in str(refused.value)


def test_all_errors_of_several_files_are_reported_together(tmp_path):
    for name, lines in (("one.csv", GOOD), ("two.csv", GOOD[:2])):
        (tmp_path / name).write_text("\n".join([HEADER, *lines]))
    with pytest.raises(DataErrors) as refused:
        scores.combine([tmp_path / "one.csv", tmp_path / "two.csv"])
    table = refused.value.table
    assert list(table["file"]) == ["two.csv", "two.csv"]
    assert list(table["row"]) == [2, 3]
    assert list(table["rule"]) == ["unique", "unique"]


def test_what_was_written_is_read_back(tmp_path):
    table = scores.check(nested_scores())
    scores.write(table, tmp_path / "new" / "scores.csv")
    again = scores.read(tmp_path / "new" / "scores.csv")
    pd.testing.assert_frame_equal(again, table)
    with pytest.raises(DataErrors):
        scores.write(table.assign(score=np.nan), tmp_path / "new" / "scores.csv")
    pd.testing.assert_frame_equal(scores.read(tmp_path / "new" / "scores.csv"), table)


def test_optional_columns_are_filled_and_others_left_out(tmp_path):
    path = tmp_path / "scores.csv"
    lines = [HEADER + ",note", *(line + ",x" for line in GOOD)]
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    table = scores.read(path)
    assert tuple(table.columns) == scores.COLUMNS
    assert set(table["outcome_label"]) == {"standard"}
    assert set(table["stage"]) == {"final"}


def test_identifiers_stay_text(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([HEADER, *(f"00{line}" for line in GOOD), "NA,1,ct,probability,test,1,0.3"]))
    assert list(scores.read(path)["patient_id"]) == ["00a", "00b", "00c", "NA"]


def test_sets_of_a_cross_validation():
    rows = scores.sets(scores.check(nested_scores()))
    census = scores.census(rows[rows["stage"] == "final"])
    assert set(census["set"]) == {"pooled"}
    assert set(census["n"]) == {300}
    assert set(census["folds"]) == {5}
    assert not rows.duplicated(["stage", "model", "patient_id"]).any()


def test_sets_of_a_holdout_and_of_repeated_splits():
    once = scores.sets(scores.check(holdout_scores()))
    thrice = scores.sets(scores.check(holdout_scores(splits=3)))
    # Of repeated splits the first is the main result.
    pd.testing.assert_frame_equal(once, thrice)
    census = scores.census(once).set_index(["outcome_label", "set", "model"])["n"]
    assert census["revised", "holdout", "cnn"] == 64
    assert census["revised", "all", "gwr_av"] == 321
    assert ("revised", "all", "cnn") not in census.index
    assert scores.splits(scores.check(holdout_scores())).empty
    assert set(scores.splits(scores.check(holdout_scores(splits=3)))["fold"]) == {1, 2, 3}


def test_models_of_the_same_patients_go_together():
    table = scores.check(holdout_scores())
    rows = scores.sets(table)
    rows = rows[(rows["outcome_label"] == "revised") & (rows["set"] == "holdout")]
    assert [list(dict.fromkeys(g["model"])) for g in scores.groups(rows)] == [["gwr_av", "cnn"]]
    fewer = rows.drop(index=rows.index[rows["model"] == "cnn"][:1])
    assert [list(dict.fromkeys(g["model"])) for g in scores.groups(fewer)] == [["gwr_av"], ["cnn"]]
    y, wide = scores.wide(fewer)
    assert wide["cnn"].isna().sum() == 1
    assert len(y) == 64


def test_one_of_several_tables_may_have_no_rows(tmp_path):
    """As from automatic readings that failed in every patient."""
    empty, full = tmp_path / "scores_gwr.csv", tmp_path / "scores_ct.csv"
    scores.write(pd.DataFrame(columns=["patient_id", "score"]), empty)
    assert empty.read_text() == ",".join(scores.COLUMNS) + "\n"
    full.write_text("\n".join([HEADER, *GOOD]) + "\n")
    assert scores.combine([empty, full])["model"].unique().tolist() == ["ct"]
    with pytest.raises(DataErrors, match=r"scores_gwr\.csv: found no rows"):
        scores.combine([empty, empty])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{header},score\na,0,m,marker,test,1,0.5,0.7\n",
            "score: found two columns of this name; expected one",
        ),
        ("{header}\na\x00b,0,m,marker,test,1,0.5\n", "expected a name of at most 200 printable characters"),
        ("{header}\na,0,m,marker,test,1e300,0.5\n", "expected a whole number from 1 to 100000"),
        ("{header}\na,0,m,marker,test,0,0.5\n", "expected a whole number from 1 to 100000"),
        ("{header}\na,0," + "m" * 300 + ",marker,test,1,0.5\n", "expected a name of at most 200"),
    ],
)
def test_tables_from_elsewhere_that_mean_different_things_are_refused(tmp_path, text, message):
    header = ",".join(scores.REQUIRED)
    (tmp_path / "s.csv").write_text(text.format(header=header), encoding="utf-8")
    with pytest.raises(DataErrors) as error:
        scores.read(tmp_path / "s.csv")
    assert message in str(error.value)
