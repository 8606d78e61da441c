"""Counts and distributions as text."""

import math

import numpy as np
from numpy.typing import ArrayLike


def n_percent(n: int, size: int) -> str:
    """Return ``n (%)``, or ``n`` alone where there are no patients."""
    return f"{n} ({100 * n / size:.1f} %)" if size else f"{n}"


def median_quartiles(values: ArrayLike, digits: int | None = None) -> str:
    """Return ``median (lower to upper quartile)``, by default with the :func:`decimals` of the values.

    Without values, the text is blank.

    Examples
    --------
    >>> median_quartiles([9.629, 12.4, 7.25]), median_quartiles([104, 105, 130])
    ('9.6 (8.4 to 11.0)', '105.0 (104.5 to 117.5)')
    """
    x = np.asarray(values, dtype=float)
    if not x.size:
        return ""
    digits = decimals(x) if digits is None else digits
    median, low, high = (f"{v:.{digits}f}" for v in np.quantile(x, [0.5, 0.25, 0.75]))
    return f"{median} ({low} to {high})"


def decimals(values: ArrayLike) -> int:
    """Return the decimals that three significant figures of the quartiles have.

    Quartiles of whole numbers have none, or one where they lie between two numbers.

    Examples
    --------
    >>> decimals([9.629, 12.4, 7.25]), decimals([104, 105, 130]), decimals([0.9, 1.2])
    (1, 1, 2)
    """
    x = np.asarray(values, dtype=float)
    if not x.size:
        return 0
    quartiles = np.quantile(x, [0.25, 0.5, 0.75])
    if np.all(x % 1 == 0):
        return int(np.any(quartiles % 1 != 0))
    return int(np.clip(2 - math.floor(math.log10(max(np.abs(quartiles).max(), 1e-9))), 0, 2))
