"""Settings of a simulated study: their meaning, unit, default and allowed range."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from postarrest import settings
from postarrest.files import kind_at
from postarrest.places import ROOT
from postarrest.settings import Seed, wrong


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """The settings of a simulated study; the defaults are those of the hold-out study.

    Effect sizes are relative: 1 was calibrated to the published figures, 0 removes every difference between
    the outcome groups in that modality (all three 0: a null cohort), 2 doubles it.

    Raises
    ------
    pydantic.ValidationError
        A `ValueError` that lists every setting of the wrong type, out of range or unknown.

    Examples
    --------
    >>> Settings(n_included=50, n_good=10, n_relabelled=0, n_screened=60, seed=3).ct
    'dicom'
    """

    n_included: int = Field(321, ge=2, le=100_000, description="patients analysed")
    n_good: int = Field(67, ge=1, description="of them with a good outcome: CPC 1-2, or relabelled")
    n_relabelled: int = Field(5, ge=0, description="of the good: awake after CT, later extracranial death")
    n_screened: int = Field(
        443, ge=2, le=100_000, description="patients in the screening log, excluded ones included"
    )
    seed: Seed = Field(1, description="the same seed gives the same bytes")
    ct: Literal["dicom", "png", "none"] = Field("dicom", description="three DICOM slices, one PNG, or no CT")
    gwr: bool = Field(True, description="whether each included patient's regions are read twice")
    ct_effect: float = Field(1.0, ge=0, le=10, description="injury on CT; 1: the published GWR-AV")
    ohca_effect: float = Field(1.0, ge=0, le=10, description="clinical table; 1: the published OHCA AUC")
    pupil_effect: float = Field(1.0, ge=0, le=10, description="pupil diameters; 1: the published AUC")
    modality_correlation: float = Field(0.0, ge=0, le=0.9, description="of modalities, given the outcome")
    noise_sd_hu: float = Field(4.0, ge=0, le=30, description="SD of the noise of a pixel, HU")
    reader_sd_mm: float = Field(0.4, ge=0, le=5, description="SD of a reader's ROI placement, each axis, mm")
    lab_missing: float = Field(0.08, ge=0, le=1, description="share of patients without lactate")
    no_flow_missing: float = Field(1.0, ge=0, le=1, description="share of unwitnessed without a no-flow time")
    pupil_missing: float = Field(0.03, ge=0, le=1, description="share of patients without pupil diameters")
    age_shift_years: float = Field(0.0, ge=-20, le=20, description="added to every age")
    low_flow_factor: float = Field(1.0, gt=0, le=3, description="every low-flow time is multiplied by it")
    ct_median_min: float = Field(62.0, ge=20, le=150, description="median time from circulation to CT, min")
    gray_shift_hu: float = Field(0.0, ge=-15, le=15, description="scanner's offset of gray matter, HU")
    white_shift_hu: float = Field(0.0, ge=-15, le=15, description="scanner's offset of white matter, HU")
    n_sites: int = Field(1, ge=1, le=100, description="hospitals; with several, the column site names them")
    site_sd: float = Field(
        0.0, ge=0, le=2, description="SD between hospitals of the log odds of a good outcome"
    )
    n_truth: int = Field(
        100_000, ge=1000, le=10_000_000, description="patients drawn to compute the planted performance"
    )

    @model_validator(mode="after")
    def _counts_agree(self):
        if not self.n_relabelled <= self.n_good < self.n_included <= self.n_screened:
            found = f"{self.n_relabelled}, {self.n_good}, {self.n_included} and {self.n_screened}"
            raise ValueError(f"expected n_relabelled <= n_good < n_included <= n_screened, found {found}")
        return self


def _present(path: str) -> str:
    if path and not kind_at(ROOT / path) and not kind_at(path):
        raise wrong("the path of a file or folder, or blank")
    return path


class Shown(settings.Settings):
    """Settings of notebook A1; their meaning is in its parameters cell."""

    n_slices: int = Field(16, ge=2, le=64)
    real_ct: Annotated[str, AfterValidator(_present)] = ""
    real_slices: list[Annotated[int, Field(ge=0, le=5000)]] = Field([57, 58, 59], min_length=1, max_length=50)
    seed_table: Annotated[str, Field(min_length=1), AfterValidator(_present)] = "docs/simulation-seeds.csv"
