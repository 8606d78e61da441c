"""Data in which every cell is possible, and which as a whole are hardly right.

What would make every result wrong is an error; the rest are warnings, which notebook 01 counts and `make
check-data` lists.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from postarrest.data import contract
from postarrest.data.errors import Finding, Findings, in_rows

# With fewer patients, or fewer of the rarer outcome, a variable may separate the outcomes by chance.
_FEWEST, _FEWEST_OF_EACH = 20, 5
# Two patients with as many equal values, and none that differs, are one patient.
_EQUAL_VALUES = 6
_COPIED_SHARE = 0.1
# Slices are compared as 32 x 32 mean gray values. Of one image saved in two ways, they differ by less than
# this on average; of slices of one real head 1.5 mm apart, by 2.5 or more.
_BLOCKS, _NEARLY = 32, 1.0
# What databases and forms write for a value that is missing.
_CODES = (-1, -9, -99, -999, 88, 99, 888, 999, 8888, 9999, 99999)
# Ratios of gray to white matter outside are hardly of a brain.
_RATIOS = (0.7, 2.0)
# Two readings that agree in as many regions, or more, are one.
_EQUAL_READINGS = 20
_BLANK = "the latter blank where the CPC is 1 to 4"
# What two columns cannot both say of one patient: their names, what is found, what would fit, where it is so.
_CONTRADICTIONS: dict[tuple[str, str], tuple[str, str, Callable[[pd.Series, pd.Series], pd.Series]]] = {
    ("cpc", "arrest_to_death_days"): (
        "a survivor with a time of death",
        _BLANK,
        lambda cpc, days: (cpc < 5) & days.notna(),
    ),
    ("cpc", "death_cause"): (
        "a survivor with a cause of death",
        _BLANK,
        lambda cpc, cause: (cpc < 5) & cause.notna(),
    ),
    # No is what many exports say of a survivor.
    ("cpc", "death_cause_intracranial"): (
        "a survivor with an intracranial cause of death",
        _BLANK,
        lambda cpc, intracranial: (cpc < 5) & (intracranial == 1),
    ),
    ("cpc", "awake_after_ct"): (
        "a CPC of 1 or 2 in a patient who was not awake after the CT",
        "yes where the CPC is 1 or 2",
        lambda cpc, awake: (cpc < 3) & (awake == 0),
    ),
    ("withdrawal_day", "arrest_to_death_days"): (
        "a withdrawal of treatment after death",
        "a withdrawal up to the day of death",
        lambda withdrawal, death: withdrawal > death,
    ),
    ("treatment_withdrawn", "withdrawal_day"): (
        "a day of a withdrawal that was not made",
        "a blank day where treatment was not withdrawn",
        lambda withdrawn, day: (withdrawn == 0) & day.notna(),
    ),
    ("rosc_to_ct_min", "arrest_to_death_days"): (
        "a CT after death",
        "a CT up to the day of death",
        lambda minutes, days: minutes > (days + 1) * 24 * 60,
    ),
    ("low_flow_min", "arrest_to_circulation_min"): (
        "a low-flow time longer than from arrest to circulation",
        "a low-flow time that is part of it",
        lambda low_flow, whole: low_flow > whole,
    ),
}


def check(
    patients: pd.DataFrame, included: pd.Series, *, file: str, names: Mapping[str, str], found: Findings
) -> None:
    """Add what is implausible in a typed patient table to the errors and warnings in `found`.

    Parameters
    ----------
    patients : pandas.DataFrame
        Typed columns; the index is the row of the file.
    included : pandas.Series of bool
        Who meets the criteria.
    file : str
        Name of the file in messages.
    names : Mapping
        Name of a column in messages, if it differs.
    found : Findings
        Extended in place.
    """
    found.warnings += _ids_alike(patients["patient_id"], file)
    for name in patients:
        found.warnings += _spellings(patients[name], name, file, names.get(name, name))
    found.warnings += _contradictions(patients, file, names)
    errors, warnings = _copies(patients, file)
    found.errors += errors
    found.warnings += warnings
    known = patients[included]
    if "y_good" in known:
        good = known["y_good"] == 1
    elif "cpc" in known:
        good = known["cpc"].isin([1, 2])
    else:
        return
    before = [name for name in known if name not in ("patient_id", "exclusion", "y_good", *contract.OUTCOME)]
    for name in before:
        shown = names.get(name, name)
        if separates(known[name], good):
            n_good, n_poor = int(good.sum()), int((~good).sum())
            what = f"a variable that separates {n_good} good from {n_poor} poor outcomes perfectly"
            expected = "a variable known before the outcome, and not made from it"
            found.errors.append(Finding(file, "separates", what, expected, column=shown))
        elif separates(known[name].isna().astype(float), good):
            what = "values that are missing in all patients of one outcome and none of the other"
            expected = "values that are recorded whatever the outcome"
            found.warnings.append(Finding(file, "separates", what, expected, column=shown))
        if name not in contract.PATIENTS.columns and pd.api.types.is_numeric_dtype(known[name]):
            found.warnings += _codes_for_missing(patients[name], file, shown)


def check_readings(gwr: pd.DataFrame, *, file: str, found: Findings) -> None:
    """Add white matter that makes no ratio to the errors in `found`, and odd readings to the warnings.

    Parameters
    ----------
    gwr : pandas.DataFrame
        Typed columns of `contract.GWR`; the index is the row of the file.
    file : str
        Name of the file in messages.
    found : Findings
        Extended in place.
    """
    white = gwr["region"].isin([region for _, white in contract.RATIOS for region in white])
    low, _ = contract.GWR.columns["mean_hu"].metadata["bounds"]
    none = gwr.loc[white & gwr["mean_hu"].between(low, 0), "mean_hu"].map("{:g}".format)
    expected = "above 0 HU in white matter, by which gray matter is divided"
    found.errors += in_rows(none, file, "ratio", expected, "mean_hu")
    session = ["reader", "reading"]
    values = gwr.pivot_table("mean_hu", ["patient_id", *session], "region").reindex(columns=contract.REGIONS)
    rows = gwr.index.to_series().groupby([gwr[name] for name in values.index.names]).first()
    for (gray, white), ratio in zip(contract.RATIOS, contract.ratios(values), strict=True):
        ratio = ratio[values[list(white)].sum(axis=1) > 0]
        odd = ratio[ratio.notna() & ~ratio.between(*_RATIOS)].map("a ratio of {:.2f}".format)
        odd.index = rows[odd.index]
        expected = "{:g} to {:g} as a rule, for ({} + {}) / ({} + {})".format(*_RATIOS, *gray, *white)
        found.warnings += in_rows(odd, file, "ratio", expected, "mean_hu", verbatim=False)
    sessions = gwr.pivot_table("mean_hu", ["patient_id", "region", "side"], session)
    # Where each row names another reader, there are as many sessions as rows.
    sessions = sessions.loc[:, sessions.count() >= _EQUAL_READINGS]
    hu, known = sessions.to_numpy(), sessions.notna().to_numpy()
    for number in range(len(sessions.columns)):
        both = known[:, [number]] & known[:, number + 1 :]
        equal = (hu[:, [number]] == hu[:, number + 1 :]) | ~both
        n = both.sum(axis=0)
        for other in np.flatnonzero((n >= _EQUAL_READINGS) & equal.all(axis=0)):
            again = sessions.columns[number + 1 + other][1]
            what = f"reading {again:g} the same as another reading in all {n[other]} regions"
            found.warnings.append(
                Finding(file, "copied", what, "values that were read again", column="mean_hu")
            )


def folded(text: str) -> str:
    """Return a text without what a person hardly sees: capitals, and characters of full or half width.

    Examples
    --------
    >>> folded("OSAKA") == folded("Ｏｓａｋａ"), folded("Osaka") == folded("Osaka 2")
    (True, False)
    """
    return unicodedata.normalize("NFKC", text).casefold()


def separates(values: pd.Series, good: pd.Series) -> bool:
    """Return whether a variable alone tells every good from every poor outcome.

    Examples
    --------
    >>> good = pd.Series([True] * 10 + [False] * 15)
    >>> separates(pd.Series(range(25)), good), separates(pd.Series([1, 2] * 12 + [1]), good)
    (True, False)
    >>> separates(pd.Series(["home"] * 10 + ["died"] * 15), good)
    True
    """
    known = values.notna()
    values, good = values[known], good[known]
    if len(values) < _FEWEST or min(good.sum(), (~good).sum()) < _FEWEST_OF_EACH:
        return False
    if pd.api.types.is_numeric_dtype(values):
        of_good, of_poor = values[good], values[~good]
        return bool(of_good.max() < of_poor.min() or of_poor.max() < of_good.min())
    # Of texts that few patients share, each has one outcome by chance.
    of_level = good.groupby(values)
    return bool(of_level.nunique().eq(1).all() and of_level.size().min() >= 2)


def copied_images(slices: np.ndarray, rows: pd.Series) -> list[Finding]:
    """Return the patients whose CT slice is, pixel by pixel, that of an earlier patient.

    Parameters
    ----------
    slices : numpy.ndarray of shape (n, 256, 256)
        One slice for each patient.
    rows : pandas.Series
        Row of the patient table of each, in the same order.

    Examples
    --------
    >>> one = np.zeros((1, 256, 256), np.uint8)
    >>> copied_images(np.concatenate([one, one + 1, one]), pd.Series([2, 3, 4]))[0].found
    'the same image as in row 2'
    """
    first: dict[bytes, int] = {}
    found = []
    for image, row in zip(slices, rows, strict=True):
        earlier = first.setdefault(image.tobytes(), int(row))
        if earlier != int(row):
            what, expected = f"the same image as in row {earlier}", "an image of its own for each patient"
            found.append(Finding("ct", "copied", what, expected, int(row), alias="CT"))
    return found


def similar_images(slices: np.ndarray, rows: pd.Series) -> list[Finding]:
    """Return the patients whose CT slice is nearly that of an earlier patient, as after another compression.

    Parameters
    ----------
    slices, rows
        As for `copied_images`, whose images are left out.

    Examples
    --------
    >>> one = np.random.default_rng(1).integers(0, 255, (256, 256)).astype(np.uint8)
    >>> similar_images(np.stack([one, one[::-1], one // 2 * 2]), pd.Series([2, 3, 4]))[0].found
    'nearly the same image as in row 2'
    """
    small = slices.reshape(-1, _BLOCKS, 256 // _BLOCKS, _BLOCKS, 256 // _BLOCKS).mean(axis=(2, 4))
    small = small.reshape(len(slices), _BLOCKS**2).astype(np.float32)
    expected = "an image of its own for each patient"
    found = []
    for number, image in enumerate(small):
        near = np.abs(small[:number] - image).mean(axis=1) < _NEARLY
        for earlier in np.flatnonzero(near):
            if not np.array_equal(slices[earlier], slices[number]):
                what, row = f"nearly the same image as in row {rows.iloc[earlier]}", int(rows.iloc[number])
                found.append(Finding("ct", "similar", what, expected, row, alias="CT"))
                break
    return found


def shared_ids(patients: Sequence[str], rows: Sequence[int]) -> list[Finding]:
    """Return the patients whose CT has, by its header, the same patient's id as another patient's.

    Parameters
    ----------
    patients : sequence of str
        Hash of the id in each header; "" if there is none.
    rows : sequence of int
        Row of the patient table of each, in the same order.

    Examples
    --------
    >>> [finding.row for finding in shared_ids(["a1", "b2", "a1", ""], [2, 3, 4, 5])]
    [2, 4]
    """
    sharing = {patient: n for patient, n in Counter(patients).items() if patient and n > 1}
    expected = "an id of its own in each patient's headers, or none"
    found = "one patient's id in the headers of {} patients"
    return [
        Finding("ct", "patient", found.format(sharing[patient]), expected, int(row), alias="CT")
        for patient, row in zip(patients, rows, strict=True)
        if patient in sharing
    ]


def others_ids(patients: Sequence[str], rows: pd.Series, known: Mapping[str, int]) -> list[Finding]:
    """Return the patients whose CT has another patient's id in its header.

    Parameters
    ----------
    patients : sequence of str
        Hash of the id in each header; "" if there is none.
    rows : pandas.Series
        Row of the patient table of each, in the same order.
    known : Mapping
        Hash of each id of the patient table -> its row.

    Examples
    --------
    >>> found = others_ids(["b", "a", "a"], pd.Series([2, 3, 2]), {"a": 2, "b": 3})
    >>> [(one.row, one.found) for one in found]
    [(2, 'the id of row 3 in its header'), (3, 'the id of row 2 in its header')]
    """
    expected = "the CT of the row's own patient"
    return [
        Finding(
            "ct", "patient", f"the id of row {known[patient]} in its header", expected, int(row), alias="CT"
        )
        for patient, row in zip(patients, rows, strict=True)
        if known.get(patient, row) != row
    ]


def _ids_alike(ids: pd.Series, file: str) -> Iterator[Finding]:
    alike = ids.map(folded).duplicated(keep=False) & ~ids.duplicated(keep=False)
    what = "an id that differs from another only in capitals or full-width characters"
    what = pd.Series(what, index=ids.index[alike])
    yield from in_rows(what, file, "capitals", "one spelling per patient", "patient_id", verbatim=False)


def _spellings(values: pd.Series, name: str, file: str, shown: str) -> Iterator[Finding]:
    """Yield the cells of a column of texts in which a text is spelled otherwise than it is most often."""
    about = contract.PATIENTS.columns[name].metadata if name in contract.PATIENTS.columns else {}
    if pd.api.types.is_numeric_dtype(values) or about.get("kind", "text") != "text":
        return
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    texts = counts.index.to_series()
    usual = texts.groupby(texts.map(folded)).transform("first")
    other = values[values.notna() & (values != values.map(usual))]
    what = "a text that differs from a more frequent one only in capitals or full-width characters"
    expected = "one spelling of each; codes: {column: {a spelling: the usual one}} joins them"
    yield from in_rows(other.map(lambda _: what), file, "spelling", expected, shown, verbatim=False)


def _contradictions(patients: pd.DataFrame, file: str, names: Mapping[str, str]) -> Iterator[Finding]:
    for (one, other), (what, expected, applies) in _CONTRADICTIONS.items():
        if {one, other} <= set(patients):
            rows = patients.index[applies(patients[one], patients[other])]
            columns = f"{names.get(one, one)}, {names.get(other, other)}"
            found = pd.Series(what, index=rows)
            yield from in_rows(found, file, "contradiction", expected, columns, verbatim=False)


def _copies(patients: pd.DataFrame, file: str) -> tuple[list[Finding], list[Finding]]:
    values = patients.drop(columns="patient_id")
    enough = values.notna().sum(axis=1) >= _EQUAL_VALUES
    values = values[enough]
    copied = values.index[values.duplicated()] if len(values.columns) else values.index[:0]
    if not len(copied):
        return [], []
    first = values.index.to_series().groupby([values[c] for c in values], dropna=False).transform("first")
    found = in_rows(
        "the same values as in row " + first[copied].astype(str),
        *(file, "copied", "each patient once", "patient_id"),
        verbatim=False,
    )
    if len(copied) < _COPIED_SHARE * len(patients):
        return [], found
    what = f"{len(copied)} of {len(patients)} rows with all values of another row, under another id"
    # In two parts of a split, they would be tested on what they were fitted on.
    return [Finding(file, "copied", what, "each patient once", column="patient_id")], found


def _codes_for_missing(values: pd.Series, file: str, shown: str) -> Iterator[Finding]:
    counts = values.value_counts()
    for code in (code for code in _CODES if counts.get(code, 0) >= 3):
        others = values[(values != code) & values.notna()]
        apart = len(others) and (code < 0 <= others.min() or code > 3 * others.max() > 0)
        if apart:
            cells = values[values == code].map("{:g}".format)
            expected = "a blank cell, or codes that say so, if this number means missing"
            yield from in_rows(cells, file, "missing", expected, shown)
