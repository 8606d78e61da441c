"""An estimate with its confidence interval, which prints itself."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A point estimate with its confidence interval.

    Parameters
    ----------
    value : float
        The estimate.
    lower, upper : float
        Limits of the interval, in the unit of ``value``; NaN without an interval.
    level : float
        Nominal coverage of the interval.
    digits : int
        Decimals shown by ``str()``.

    Examples
    --------
    >>> str(Estimate(0.7614, 0.6801, 0.8189))
    '0.76 (95 % CI 0.68 to 0.82)'
    >>> str(Estimate(12.0, digits=0))
    '12'
    >>> str(Estimate(float("nan")))
    'not defined'
    >>> str(Estimate(-0.001)), str(Estimate(-0.25, -0.5, 0.0))
    ('0.00', '−0.25 (95 % CI −0.50 to 0.00)')
    """

    value: float
    lower: float = math.nan
    upper: float = math.nan
    level: float = 0.95
    digits: int = 2

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "not defined"
        # "z": a value that rounds to zero has no sign.
        shown = (f"{v:z.{self.digits}f}" for v in (self.value, self.lower, self.upper))
        value, lower, upper = (text.replace("-", "\N{MINUS SIGN}") for text in shown)
        if math.isnan(self.lower) or math.isnan(self.upper):
            return value
        return f"{value} ({100 * self.level:g} % CI {lower} to {upper})"
