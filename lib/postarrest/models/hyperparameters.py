"""The values that hyperparameters may have in a study file, by algorithm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postarrest.data.errors import nearest
from postarrest.models.tuning import Searched
from postarrest.settings import wrong


@dataclass(frozen=True)
class Allowed:
    """The values of one hyperparameter.

    Parameters
    ----------
    low, high : float
        Ends of the range, which are allowed.
    whole : bool
        Whether only whole numbers are allowed.
    words : tuple
        What is allowed besides numbers, such as ``"sqrt"`` or None.

    Examples
    --------
    >>> fraction, whole = Allowed(0, 1, words=("sqrt",)), Allowed(1, 9, whole=True)
    >>> fraction.fits(0.5), fraction.fits("sqrt"), whole.fits(2.0)
    (True, True, False)
    >>> print(fraction)
    0 to 1 or 'sqrt'
    """

    low: float
    high: float
    whole: bool = False
    words: tuple[str | None, ...] = ()

    def fits(self, value: Any) -> bool:
        """Return whether a value is allowed."""
        if value is None or isinstance(value, str):
            return value in self.words
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low <= value <= self.high

    def __str__(self) -> str:
        numbers = f"{self.low:g} to {self.high:g}" + (", whole" if self.whole else "")
        return " or ".join([numbers, *("null" if word is None else repr(word) for word in self.words)])


_FOREST = {
    "n_estimators": Allowed(10, 5000, whole=True),
    "max_depth": Allowed(1, 100, whole=True, words=(None,)),
    "min_samples_leaf": Allowed(1, 10_000, whole=True),
    "min_samples_split": Allowed(2, 10_000, whole=True),
    "max_features": Allowed(0.01, 1, words=("sqrt", "log2", None)),
}
TABULAR = {
    "logistic": {"C": Allowed(1e-6, 1e6), "l1_ratio": Allowed(0, 1)},
    "forest": _FOREST,
    # The number of its trees is fixed, once for the search and once for the model.
    "stack": {name: allowed for name, allowed in _FOREST.items() if name != "n_estimators"},
    "lightgbm": {
        "learning_rate": Allowed(1e-4, 1),
        "num_leaves": Allowed(2, 10_000, whole=True),
        "n_estimators": Allowed(1, 5000, whole=True),
        "max_depth": Allowed(-1, 100, whole=True),
        "min_child_samples": Allowed(1, 10_000, whole=True),
        "colsample_bytree": Allowed(0.01, 1),
        "reg_alpha": Allowed(0, 1e6),
        "reg_lambda": Allowed(0, 1e6),
    },
}
HEAD = {
    "learning_rate": Allowed(1e-7, 1),
    "dropout": Allowed(0, 0.95),
    "width": Allowed(0, 8192, whole=True),
    "weight_decay": Allowed(0, 1),
    "batch_size": Allowed(1, 4096, whole=True),
    "epochs": Allowed(1, 5000, whole=True),
}


def check(given: Mapping[str, Any], allowed: Mapping[str, Allowed], *, of: str = "") -> None:
    """Check values of hyperparameters, or what a search could draw of them.

    Parameters
    ----------
    given : Mapping
        Hyperparameter -> its value, or a `Searched`.
    allowed : Mapping
        Hyperparameter -> what it may be.
    of : str
        The algorithm, for messages.

    Raises
    ------
    pydantic_core.PydanticCustomError
        Listing every hyperparameter that is unknown or may leave its range.

    Examples
    --------
    >>> check({"dropout": 2, "width": Searched(low=0.5, high=64)}, HEAD)
    Traceback (most recent call last):
        ...
    pydantic_core._pydantic_core.PydanticCustomError: dropout 0 to 0.95; width 0 to 8192, whole
    """
    found, expected = [], []
    for name, value in given.items():
        if name not in allowed:
            found.append(f"'{name}'")
            expected.append(f"one of {', '.join(allowed)}{nearest(name, allowed)}")
        elif odd := [one for one in _drawn(value, allowed[name]) if not allowed[name].fits(one)]:
            found.append(f"{name} {', '.join(map(repr, odd[:3]))}")
            expected.append(f"{name} {allowed[name]}")
    if found:
        raise wrong("; ".join(expected), "; ".join(found) + (f" of {of}" if of else ""))


def _drawn(value: Any, allowed: Allowed) -> Iterator[Any]:
    """Yield the values that a search may draw: its choices, or both ends of its range."""
    if not isinstance(value, Searched):
        yield value
    elif value.choices is not None:
        yield from value.choices
    else:
        # A range of fractions would draw fractions of a whole number.
        yield from (float(x) if allowed.whole and not value.whole else x for x in (value.low, value.high))


# A leaf of more than a tenth of the patients leaves a tree too few leaves to tell outcomes apart.
LEAVES_PER_TREE = 10
# LightGBM's own least leaf.
_LEAST_LEAF = 20


def scaled(space: Mapping[str, Searched], *, n: int, algorithm: str = "") -> dict[str, Searched]:
    """Return a search space whose leaves are not larger than few patients allow.

    A range of ``min_samples_leaf`` ends at a tenth of the development patients, and begins at a twentieth
    (at least 2) where it would begin beyond that. Choices stay as they are written. LightGBM, whose leaves
    have 20 patients unless they are searched, is given leaves of a tenth where that is fewer.

    Parameters
    ----------
    space : Mapping
        Hyperparameter -> what is searched.
    n : int
        Development patients.
    algorithm : str
        ``lightgbm``, or any other.

    Examples
    --------
    >>> leaf = {"min_samples_leaf": Searched(low=15, high=30, whole=True)}
    >>> [str(scaled(leaf, n=n)["min_samples_leaf"]) for n in (426, 257, 90, 30)]
    ['15 to 30', '12 to 25', '4 to 9', '2 to 3']
    """
    most = max(n // LEAVES_PER_TREE, 3)
    space = dict(space)
    leaf = space.get("min_samples_leaf")
    if leaf is not None and leaf.choices is None and leaf.high > most:
        low = max(min(leaf.low, most // 2), 2)
        space["min_samples_leaf"] = leaf.model_copy(update={"low": low, "high": most})
    if algorithm == "lightgbm" and most < _LEAST_LEAF and "min_child_samples" not in space:
        space["min_child_samples"] = Searched(choices=[most])
    return space
