"""What a simulated study is made of: every knob, its unit and its default."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Settings:
    """The settings of a simulated study; the defaults are those of the hold-out study.

    The effect sizes are relative: 1 is the size that was calibrated to the published figures, 0 removes every
    difference between the outcome groups in that modality (all three 0: a null cohort), 2 doubles it.

    Raises
    ------
    ValueError
        If any value is impossible; one message names every fault.

    Examples
    --------
    >>> Settings(n_included=50, n_good=10, n_relabelled=0, n_screened=60, seed=3).n_excluded
    10
    >>> Settings(n_good=400)
    Traceback (most recent call last):
    ValueError: simulate: n_good is 400, expected 1 to n_included - 1 (320)
    """

    n_included: int = 321  # patients analysed
    n_good: int = 67  # of them with a good outcome (by CPC 1-2, or relabelled)
    n_relabelled: int = 5  # of the good: awake after the CT, dead later of another cause (CPC 5)
    n_screened: int = 443  # patients in the screening log, excluded ones among them
    seed: int = 1  # the same seed gives the same bytes
    ct: str = "dicom"  # dicom (a series of three slices a patient) | png (one windowed slice) | none
    gwr: bool = True  # whether two readings of every included patient's regions are written
    ct_effect: float = 1.0  # size of the injury on CT in poor outcomes, 1 = GWR-AV 1.247 against 1.314
    ohca_effect: float = 1.0  # size of the differences in the clinical table, 1 = OHCA model's AUC about .76
    pupil_effect: float = 1.0  # size of the difference in pupil diameters, 1 = AUC about .65
    modality_correlation: float = (
        0.0  # correlation of CT, clinical table and pupils given the outcome, 0 to .9
    )
    noise_sd_hu: float = 4.0  # standard deviation of a pixel's noise in a 5-mm slice, HU
    reader_sd_mm: float = 0.4  # standard deviation of a reader's placement of an ROI, each axis, mm
    lab_missing: float = 0.08  # share of patients without lactate; creatinine is missing half as often
    no_flow_missing: float = 1.0  # share of unwitnessed arrests without a no-flow time
    pupil_missing: float = 0.03  # share of patients without pupil diameters
    n_truth: int = 100_000  # patients drawn to compute the planted truth, half of them good

    def __post_init__(self):
        """Check all values together."""
        faults = [f for f in _faults(self) if f]
        if faults:
            raise ValueError("\n".join(f"simulate: {fault}" for fault in faults))

    @property
    def n_excluded(self) -> int:
        """Number of screened patients who are not analysed."""
        return self.n_screened - self.n_included


def _faults(s: Settings):
    """Yield one message a fault."""
    for field in fields(s):
        value = getattr(s, field.name)
        wanted = field.type
        fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            fits = True
        if not fits:
            yield f"{field.name} is {value!r}, expected {wanted.__name__}"
            return
    if not 1 <= s.n_good < s.n_included:
        yield f"n_good is {s.n_good}, expected 1 to n_included - 1 ({s.n_included - 1})"
    if not 0 <= s.n_relabelled <= s.n_good:
        yield f"n_relabelled is {s.n_relabelled}, expected 0 to n_good ({s.n_good})"
    if s.n_screened < s.n_included:
        yield f"n_screened is {s.n_screened}, expected at least n_included ({s.n_included})"
    if s.seed < 0:
        yield f"seed is {s.seed}, expected 0 or more"
    if s.ct not in ("dicom", "png", "none"):
        yield f"ct is {s.ct!r}, expected dicom, png or none"
    for name in ("ct_effect", "ohca_effect", "pupil_effect"):
        if not 0 <= getattr(s, name) <= 10:
            yield f"{name} is {getattr(s, name)}, expected 0 to 10"
    if not 0 <= s.modality_correlation <= 0.9:
        yield f"modality_correlation is {s.modality_correlation}, expected 0 to 0.9"
    if not 0 <= s.noise_sd_hu <= 30:
        yield f"noise_sd_hu is {s.noise_sd_hu}, expected 0 to 30 HU"
    if not 0 <= s.reader_sd_mm <= 5:
        yield f"reader_sd_mm is {s.reader_sd_mm}, expected 0 to 5 mm"
    for name in ("lab_missing", "no_flow_missing", "pupil_missing"):
        if not 0 <= getattr(s, name) <= 1:
            yield f"{name} is {getattr(s, name)}, expected 0 to 1"
    if s.n_truth < 1000:
        yield f"n_truth is {s.n_truth}, expected at least 1000"
