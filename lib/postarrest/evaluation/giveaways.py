"""Whether what is known of a file without opening it predicts the outcome."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from postarrest.evaluation.delong import delong

# An AUC below this would not mislead a model much; in small studies, chance often exceeds it.
LEAST_AUC = 0.6


def giveaways(about: pd.DataFrame, y_good: pd.Series) -> pd.DataFrame:
    """Return what predicts the outcome by itself although it says nothing about the patient.

    Where good and poor outcomes come from different scanners, exports or years, a model can tell them apart
    without looking at the image.

    Parameters
    ----------
    about : pandas.DataFrame
        One row per patient; numbers, each judged in either direction, and texts, each level judged against
        all others.
    y_good : pandas.Series of 0 and 1
        Outcome of the same patients.

    Returns
    -------
    pandas.DataFrame
        ``what, n, auc, lower, upper``: AUC of 0.6 or more with a 95 % confidence interval (DeLong, logit
        scale) that excludes 0.5. AUCs are not corrected for their number.

    Examples
    --------
    >>> about = pd.DataFrame({"width": [512] * 20 + [256] * 20, "source": ["PNG"] * 40})
    >>> giveaways(about, pd.Series([1] * 16 + [0] * 4 + [1] * 4 + [0] * 16)).round(2)
        what   n  auc  lower  upper
    0  width  40  0.8   0.64    0.9
    """
    rows = []
    for what, values in _candidates(about):
        known = values.notna()
        y = np.asarray(y_good)[known.to_numpy()]
        if values[known].nunique() < 2 or len(np.unique(y)) < 2:
            continue
        sign = 1.0
        for _ in range(2):
            found = delong(y, sign * values[known], models=["it"]).interval("it", transform="logit")
            sign = -sign
            # Without limits where the separation is perfect.
            if found.value >= LEAST_AUC and (np.isnan(found.lower) or found.lower > 0.5):
                rows.append((what, len(y), found.value, found.lower, found.upper))
    return pd.DataFrame(rows, columns=["what", "n", "auc", "lower", "upper"])


def _candidates(about: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    for name, values in about.items():
        if pd.api.types.is_numeric_dtype(values):
            yield str(name), values.astype(float)
        else:
            yield from ((f"{name} {level}", (values == level).astype(float)) for level in values.unique())
