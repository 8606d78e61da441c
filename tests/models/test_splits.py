from dataclasses import fields

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postarrest.models import splits
from postarrest.models.splits import Settings


def outcome(n_good: int, n_poor: int) -> pd.Series:
    n = n_good + n_poor
    return pd.Series([1] * n_good + [0] * n_poor, index=pd.Index([f"P{i:04d}" for i in range(n)]))


def test_paper_a_sizes():
    y = outcome(67, 254)
    counted = splits.counts(splits.table(y, protocols=("holdout",), settings=Settings()), y)
    counted = counted[counted["split"] == "holdout-1"].set_index("part")
    # 321 patients: published are 257 and 64, and the 257 again 8:2.
    assert counted["n"].to_dict() == {"test": 64, "train": 206, "tune": 51}
    assert counted["n_good"].to_dict() == {"test": 13, "train": 43, "tune": 11}


def test_paper_b_sizes():
    y = outcome(82, 451)
    counted = splits.counts(splits.table(y, protocols=("nested",), settings=Settings()), y)
    counted = counted[counted["split"].str.startswith("outer-")]
    tests = counted[counted["part"] == "test"]
    assert tests["n"].sum() == 533
    assert tests["n"].between(106, 107).all()
    assert tests["n_good"].between(16, 17).all()
    assert counted[counted["part"] != "test"]["n_good"].between(16, 17).all()


@pytest.mark.parametrize("protocol", ["holdout", "nested"])
def test_the_last_split_develops_on_everybody_as_the_others_do(protocol):
    y = outcome(82, 451)
    table = splits.table(y, protocols=(protocol,), settings=Settings())
    first, *_, last = (splits.get(table, name) for name in splits.names((protocol,), Settings()))
    assert last.name == splits.ON_ALL[protocol]
    assert list(last.test) == []
    assert list(last.development) == sorted(y.index)
    assert (last.protocol, len(last.inner)) == (first.protocol, len(first.inner))
    assert list(last.shown) == list(last.inner[0][1])
    assert list(first.shown) == list(first.test)


@given(
    n_good=st.integers(20, 60),
    n_poor=st.integers(20, 90),
    seed=st.integers(0, 1000),
    outer=st.integers(2, 5),
    inner=st.integers(3, 4),
)
def test_nested_splits_partition_the_patients(n_good, n_poor, seed, outer, inner):
    y = outcome(n_good, n_poor)
    settings = Settings(seed=seed, outer_folds=outer, inner_folds=inner)
    table = splits.table(y, protocols=("nested",), settings=settings)
    tested = []
    for name in splits.names(("nested",), settings):
        split = splits.get(table, name)
        tested += list(split.test)
        assert not set(split.test) & set(split.development)
        assert set(split.test) | set(split.development) == set(y.index)
        left_out = [p for _, ids in split.inner for p in ids]
        assert sorted(left_out) == sorted(split.development)
        for fit, left in split.inner:
            assert not set(fit) & set(left)
            assert set(fit) | set(left) == set(split.development)
            assert y[left].nunique() == 2
    assert sorted(tested) == sorted(y.index)


def test_holdout_repeats_differ_and_each_is_a_partition():
    y = outcome(40, 60)
    settings = Settings(repeats=3)
    table = splits.table(y, protocols=("holdout",), settings=settings)
    tests = [frozenset(splits.get(table, name).test) for name in splits.with_test(("holdout",), settings)]
    assert len(set(tests)) == 3
    for name in splits.names(("holdout",), settings):
        split = splits.get(table, name)
        (train, tune), *more = split.inner
        assert not more
        assert (
            len(set(train) | set(tune) | set(split.test)) == 100 == len(train) + len(tune) + len(split.test)
        )


def test_order_of_the_file_does_not_matter():
    y = outcome(40, 60)
    shuffled = y.sample(frac=1, random_state=1)
    both = [splits.table(v, protocols=("holdout", "nested"), settings=Settings()) for v in (y, shuffled)]
    pd.testing.assert_frame_equal(*both)


def test_too_few_patients_of_an_outcome_is_an_error():
    with pytest.raises(ValueError, match=r"has 5 patients; nested .* at least 20"):
        splits.table(outcome(5, 60), protocols=("nested",), settings=Settings())


def test_an_unknown_split_is_an_error():
    table = splits.table(outcome(40, 60), protocols=("holdout",), settings=Settings())
    with pytest.raises(KeyError, match="No split 'outer-1'; there are holdout-1"):
        splits.get(table, "outer-1")


def test_settings_out_of_range_are_reported_together():
    with pytest.raises(ValidationError) as error:
        Settings(
            holdout_fraction=1.5, tune_fraction=0.0, repeats=0, outer_folds=1, inner_folds=2, seed=-1, by="x"
        )
    assert [one["loc"][0] for one in error.value.errors()] == [field.name for field in fields(Settings)]


def test_inner_fold_of_each_patient():
    table = splits.table(outcome(40, 60), protocols=("nested",), settings=Settings())
    split = splits.get(table, "outer-2")
    for k, (fit, left) in enumerate(split.inner):
        assert (split.inner_fold[left] == k).all()
        assert (split.inner_fold[fit] != k).all()


def hospitals(sizes: dict[str, tuple[int, int]]) -> tuple[pd.Series, pd.Series]:
    """Outcome and hospital of patients: good and poor outcomes of each hospital."""
    rows = [(y, name) for name, (good, poor) in sizes.items() for y in [1] * good + [0] * poor]
    ids = pd.Index([f"P{i:04d}" for i in range(len(rows))])
    return pd.Series([y for y, _ in rows], index=ids), pd.Series([name for _, name in rows], index=ids)


def test_each_outer_fold_leaves_out_a_hospital():
    y, site = hospitals({"north": (40, 60), "south": (60, 90), "west": (20, 30)})
    settings = Settings(outer_folds=3, by="site")
    table = splits.table(
        y, protocols=("nested",), settings=settings, site=site.sample(frac=1, random_state=1)
    )
    outer = splits.with_test(("nested",), settings)
    tested = [site[splits.get(table, name).test].unique().tolist() for name in outer]
    # The largest first.
    assert tested == [["south"], ["north"], ["west"]]
    assert splits.by_site(table, site)
    random = splits.table(y, protocols=("nested",), settings=Settings(outer_folds=3), site=site)
    assert not splits.by_site(random, site)
    for name in outer:
        split = splits.get(table, name)
        assert len(split.inner) == 4
        assert not set(site[split.development]) & set(site[split.test])


@pytest.mark.parametrize(
    ("small", "expected"),
    [
        ({"d": (6, 8), "e": (5, 9)}, [["a"], ["b"], ["d", "e"]]),
        ({"d": (3, 8)}, [["a"], ["b", "d"]]),
        ({}, [["a"], ["b"]]),
    ],
)
def test_small_hospitals_are_left_out_together(small, expected):
    y, site = hospitals({"a": (40, 60), "b": (30, 40), **small})
    folds = splits.site_folds(y, site)
    assert [sorted(fold) for fold in folds] == expected
    assert sorted(name for fold in folds for name in fold) == sorted(site.unique())


@pytest.mark.parametrize(
    ("sizes", "folds", "message"),
    [
        ({"a": (40, 60), "b": (30, 40)}, 5, r"2 hospitals .* outer_folds is 5; set outer_folds: 2"),
        ({"a": (40, 60), "": (30, 40)}, 2, "70 included patients have no site"),
        ({"a": (40, 60), "b": (3, 40)}, 2, "Fewer than two hospitals have 10 patients of either outcome"),
    ],
)
def test_hospitals_that_cannot_be_left_out_are_an_error(sizes, folds, message):
    y, site = hospitals(sizes)
    with pytest.raises(ValueError, match=message):
        splits.table(y, protocols=("nested",), settings=Settings(outer_folds=folds, by="site"), site=site)
    with pytest.raises(ValueError, match="needs the column site"):
        splits.table(y, protocols=("nested",), settings=Settings(outer_folds=folds, by="site"))
