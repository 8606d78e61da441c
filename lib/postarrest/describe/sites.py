"""Hospitals: their order, their names in a report, and how many patients each has."""

import pandas as pd

from postarrest.describe.masking import hide_small_counts

NOT_RECORDED = "not recorded"
# Fewest patients of either outcome in a site that is judged by itself.
FEWEST = 10


def by_size(site: pd.Series) -> list[str]:
    """Return the sites from the largest to the smallest; of equals, in alphabetical order.

    Parameters
    ----------
    site : pandas.Series of str
        Each patient's site; blanks are left out.

    Examples
    --------
    >>> by_size(pd.Series(["north", "south", "south", None]))
    ['south', 'north']
    """
    counts = site[_is_known(site)].value_counts().sort_index()
    return [str(name) for name in counts.sort_values(ascending=False, kind="stable").index]


def names(site: pd.Series, *, named: bool = False) -> pd.Series:
    """Return each patient's site as a report shows it.

    Parameters
    ----------
    site : pandas.Series of str
        Each patient's site.
    named : bool
        Show the names. Otherwise a site is a number by its size, which says nothing that the table of
        patients doesn't show; a number by the alphabet would say something about the name.

    Examples
    --------
    >>> names(pd.Series(["north", "south", "south", None])).tolist()
    ['site 2', 'site 1', 'site 1', 'not recorded']
    """
    order = by_size(site)
    shown = {name: name if named else f"site {number}" for number, name in enumerate(order, start=1)}
    return site.map(shown).where(_is_known(site), NOT_RECORDED).astype(str)


def of(cohort: pd.DataFrame, *, named: bool = False) -> pd.Series:
    """Return :func:`names` of a cohort's patients.

    Raises
    ------
    ValueError
        If the cohort has no column ``site``.

    Examples
    --------
    >>> of(pd.DataFrame({"age_years": [61.0]}))
    Traceback (most recent call last):
        ...
    ValueError: The data have no column 'site': map the hospital's column onto it, or set sites: false.
    """
    if "site" not in cohort:
        raise ValueError(
            "The data have no column 'site': map the hospital's column onto it, or set sites: false."
        )
    return names(cohort["site"], named=named)


def counts(site: pd.Series, y_good: pd.Series, *, fewest: int, mask_below: int = 0) -> pd.DataFrame:
    """Count the patients of each site by outcome.

    Parameters
    ----------
    site : pandas.Series of str
        Each patient's site, from :func:`names`.
    y_good : pandas.Series of 0 and 1
        Outcome of the same patients.
    fewest : int
        A site with fewer patients of either outcome is too small to be judged by itself.
    mask_below : int
        As for :func:`postarrest.describe.hide_small_counts`.

    Returns
    -------
    pandas.DataFrame
        ``site, n, good, poor, judged`` (``"yes"`` or why not), the largest site first; counts are text.

    Examples
    --------
    >>> counts(pd.Series(["a", "a", "a", "b"]), pd.Series([1, 0, 0, 1]), fewest=1)[["site", "good", "judged"]]
      site good                             judged
    0    a    1                                yes
    1    b    1  too few: fewer than 1 of an outcome
    """
    order = by_size(site.replace(NOT_RECORDED, "")) + [NOT_RECORDED] * bool((site == NOT_RECORDED).any())
    good = y_good.groupby(site).agg(["sum", "size"]).loc[order]
    n_good, n_poor = good["sum"], good["size"] - good["sum"]
    shown = hide_small_counts(pd.concat([n_good, n_poor], axis=1).to_numpy(), below=mask_below)
    judged = [
        why_not(name, g, p, fewest=fewest) or "yes" for name, g, p in zip(order, n_good, n_poor, strict=True)
    ]
    n = hide_small_counts(good["size"], below=mask_below)
    columns = {"site": order, "n": n, "good": shown[:, 0], "poor": shown[:, 1], "judged": judged}
    return pd.DataFrame(columns)


def why_not(site: str, n_good: int, n_poor: int, *, fewest: int) -> str:
    """Return why a site is not judged by itself; blank if it is."""
    if site == NOT_RECORDED:
        return "the patients' site is not recorded"
    return f"too few: fewer than {fewest} of an outcome" if min(n_good, n_poor) < fewest else ""


def _is_known(site: pd.Series) -> pd.Series:
    return site.notna() & (site != "")
