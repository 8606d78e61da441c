"""What readers see instead of identifiers, and numbers as journals print them.

One dictionary, ``words.yaml``, and the names of the data contract serve tables, figures, sentences, Word
and Excel; CSV files keep the identifiers.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from postarrest.data.contract import LEVELS, NAMES
from postarrest.files import load_yaml

MINUS = "\N{MINUS SIGN}"
MODEL_COLUMNS = ("model", "model_a", "model_b", "learner", "predictors", "score")
# Columns whose texts are names that somebody else chose.
_VERBATIM = ("site", "file", "column", "source", "search_space", "value")
_IDENTIFIER = re.compile(r"(?<![\w.*/])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w.*/])")
_SPLIT = re.compile(r"(holdout|outer)(_all)?-(\d+)(?:-([a-z]+))?")
_HYPHEN_AS_MINUS = re.compile(r"(?<![\w.,)\]])-(?=\.?\d)")


@cache
def words() -> dict[str, dict[str, Any]]:
    """Return the dictionary: what readers see for a column, a model, a value, a table."""
    # The compiled reader: the other takes a twentieth of the start of every step.
    return load_yaml(Path(__file__).with_suffix(".yaml"))


def model_in_words(name: str, network: str = "") -> str:
    """Return the readers' name of a model in the scores table.

    Parameters
    ----------
    name : str
        Its identifier.
    network : str
        Readers' name of the network on head CT; blank if it is not known, or where there is no room for it.

    Examples
    --------
    >>> model_in_words("ohca_score"), model_in_words("my_mri")
    ('OHCA score (Adrie 2006)', 'my mri')
    >>> model_in_words("ct", "ResNet50"), model_in_words("ct")
    ('Head CT (ResNet50)', 'Head CT')
    """
    known = words()["models"].get(name)
    # Somebody else's name is no template: it may have braces of its own.
    return known.format(network=network).replace(" ()", "") if known else in_words(name)


def uncapitalised(name: str) -> str:
    """Return a name as written within a sentence.

    Examples
    --------
    >>> uncapitalised("Pupils"), uncapitalised("OHCA variables")
    ('pupils', 'OHCA variables')
    """
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def capitalised(text: str) -> str:
    """Return a text with a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def predictor_in_sentence(column: str) -> str:
    """Return a predictor's name as written within a sentence: without the unit that a heading has.

    Examples
    --------
    >>> predictor_in_sentence("no_flow_min"), predictor_in_sentence("my_marker")
    ('no-flow time', 'my marker')
    """
    return uncapitalised(NAMES.get(column, in_words(column)).split(",")[0])


def in_words(name: Any) -> str:
    """Return an identifier without its underscores."""
    return str(name).replace("_", " ")


def listed(items: Sequence[str]) -> str:
    """Return items as an enumeration in a sentence.

    Examples
    --------
    >>> listed(["age", "sex", "lactate"])
    'age, sex and lactate'
    """
    items = list(items)
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def identifier_in_words(name: str) -> str:
    """Return the readers' name of a variable, column or setting, with its unit.

    Examples
    --------
    >>> identifier_in_words("no_flow_min"), identifier_in_words("roc_auc"), identifier_in_words("noise_sd_hu")
    ('No-flow time, min', 'ROC-AUC', 'noise sd, HU')
    """
    for known in (NAMES, LEVELS, words()["columns"], words()["values"]):
        if name in known:
            return known[name]
    stem, _, last = name.rpartition("_")
    unit = words()["units"].get(last, "")
    if name.startswith("n_"):
        return f"{in_words(name[2:])}, n"
    return f"{in_words(stem)}, {unit}" if stem and unit else in_words(name)


def column_in_words(column: Any) -> str:
    """Return a column's head.

    Examples
    --------
    >>> column_in_words("n_good"), column_in_words("some_share")
    ('Good outcomes, n', 'Some share')
    """
    known = words()["columns"].get(column)
    # A column may be a split or fold.
    name = split_in_words(str(column)) if _SPLIT.fullmatch(str(column)) else identifier_in_words(str(column))
    return capitalised(known or name)


def split_in_words(part: str) -> str:
    """Return the name of a split or fold, or of a run of one.

    Examples
    --------
    >>> split_in_words("outer-3"), split_in_words("holdout-1-revised")
    ('outer fold 3', 'hold-out split 1, revised outcome')
    >>> split_in_words("outer_all-1"), split_in_words("holdout_all-1-revised")
    ('all patients, for the frozen model', 'all patients, for the frozen model of the hold-out protocol')
    """
    found = _SPLIT.fullmatch(part)
    if not found:
        return in_words(part)
    kind, on_all, number, label = found.groups()
    if on_all:
        return "all patients, for the frozen model" + (
            " of the hold-out protocol" if kind == "holdout" else ""
        )
    if kind == "outer":
        return f"outer fold {number}"
    return f"hold-out split {number}" + (f", {label} outcome" if label else "")


def text_in_words(text: str, *, column: str = "", network: str = "") -> str:
    """Return a table's text for readers: no identifiers, and true minus signs.

    Examples
    --------
    >>> text_in_words("train_oof"), text_in_words("0.03 (-0.62 to 0.42)")
    ('training (out of fold)', '0.03 (−0.62 to 0.42)')
    >>> text_in_words("ct: Platt, out of fold", column="stage"), text_in_words("f1 at 0.8, pr_auc difference")
    ('Head CT: Platt, out of fold', 'F1 at 0.8, PR-AUC difference')
    """
    if column in _VERBATIM:
        return text
    if column in MODEL_COLUMNS and text in words()["models"]:
        return model_in_words(text, network)
    if column in ("algorithm", "learner") and text in words()["algorithms"]:
        return words()["algorithms"][text]
    values = words()["values"]
    if text in values:
        return values[text]
    for names in (LEVELS, NAMES if column == "predictor" else {}):
        if text in names:
            return names[text]
    if column in ("stage", *MODEL_COLUMNS):
        text = re.sub(r"^\w+(?=[:,] )", lambda m: model_in_words(m[0], network), text)
    text = re.sub(rf"\b{_SPLIT.pattern}\b", lambda m: split_in_words(m[0]), text)
    text = _IDENTIFIER.sub(lambda m: identifier_in_words(m[0]), text)
    first, _, rest = text.partition(" ")
    text = f"{values[first]} {rest}" if rest and first in words()["abbreviated"] else text
    return with_minus(text)


def note_in_words(text: str) -> str:
    """Return a text that names columns, such as a table's note, with their heads. Code in backticks stays.

    Examples
    --------
    >>> note_in_words("p_holm: corrected. `p_holm` is in tables/p_holm.csv.")
    'P value (Holm): corrected. `p_holm` is in tables/p_holm.csv.'
    """
    parts = text.split("`")
    parts[::2] = [_IDENTIFIER.sub(lambda m: identifier_in_words(m[0]), part) for part in parts[::2]]
    return "`".join(parts)


def with_minus(text: str) -> str:
    """Return a text with a true minus sign before each negative number.

    Examples
    --------
    >>> with_minus("-0.12 (-0.2 to 0.1), 10-20 patients, SHA-1")
    '−0.12 (−0.2 to 0.1), 10-20 patients, SHA-1'
    """
    return _HYPHEN_AS_MINUS.sub(MINUS, text)


def number_in_words(value: float, digits: int = 2) -> str:
    """Return a number rounded for reading; a learning rate of 0.0003 is not shown as 0.00.

    Examples
    --------
    >>> number_in_words(0.0003), number_in_words(-1 / 3), number_in_words(-0.0)
    ('0.0003', '−0.33', '0.00')
    """
    tiny = 0 < abs(value) < 0.5 * 10**-digits
    return with_minus(f"{value:.1g}" if tiny else f"{value:z.{digits}f}")


def interval_in_words(value: float, lower: float, upper: float, digits: int = 2) -> str:
    """Return an estimate with its limits in parentheses; without limits, the estimate.

    Examples
    --------
    >>> interval_in_words(0.1, -0.02, 0.22), interval_in_words(0.1, math.nan, math.nan)
    ('0.10 (−0.02 to 0.22)', '0.10')
    """
    shown, *limits = (number_in_words(v, digits) for v in (value, lower, upper))
    return shown if math.isnan(lower) or math.isnan(upper) else f"{shown} ({limits[0]} to {limits[1]})"


def p_in_words(p: float) -> str:
    """Return a P value as journals print it (AMA Manual of Style, 11th edition, section 19.5).

    Two decimals without a leading zero; three below .01, and where two would round a value below .05 up.

    Examples
    --------
    >>> [p_in_words(p) for p in (0.00002, 0.004, 0.031, 0.048, 0.3, 0.995)]
    ['<.001', '.004', '.03', '.048', '.30', '>.99']
    """
    if p < 0.001:
        return "<.001"
    if p > 0.99:
        return ">.99"
    digits = 3 if p < 0.01 or 0.045 <= p < 0.05 else 2
    return f"{p:.{digits}f}".removeprefix("0")


def p_equals(p: float) -> str:
    """Return a P value within a sentence.

    Examples
    --------
    >>> p_equals(0.031), p_equals(0.0002)
    ('P = .03', 'P < .001')
    """
    text = p_in_words(p)
    return f"P {text[0]} {text[1:]}" if text[0] in "<>" else f"P = {text}"


def is_p_value(column: Any) -> bool:
    """Return whether a column holds P values, by its name."""
    return column == "p" or str(column).startswith("p_") or str(column).endswith("_p")
