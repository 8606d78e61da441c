"""Where a study reads and writes."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Here:
    """Where a notebook of a study reads and writes.

    Parameters
    ----------
    study : str
        Name of the study.
    save_to : str
        ``"report"`` (the pipeline: the study's own ``build/`` and ``reports/``), or the name of a folder
        under ``build/<study>/`` for trial runs, so that no trial overwrites the report.
    root : pathlib.Path
        The project's folder.
    """

    study: str
    save_to: str = "scratch"
    root: Path = ROOT

    @property
    def data(self) -> Path:
        """Folder of the study's simulated data."""
        return self._build / "data"

    @property
    def report_dir(self) -> Path:
        """Folder of the report."""
        if self.save_to == "report":
            return self.root / "reports" / self.study
        return self._build / self.save_to / "report"

    @property
    def _build(self) -> Path:
        return self.root / "build" / self.study

    def build(self, name: str) -> Path:
        """Return where an intermediate file of the pipeline is read."""
        return self._build / name

    def out(self, name: str) -> Path:
        """Return where this run writes an intermediate file, and create its folder."""
        folder = self._build if self.save_to == "report" else self._build / self.save_to
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def table(self, name: str) -> Path:
        """Return where a table of the report is written."""
        return self.report_dir / "tables" / f"{name}.csv"

    def figure(self, file_name: str) -> Path:
        """Return where a figure of the report is written."""
        return self.report_dir / "figures" / file_name

    def page(self, name: str) -> Path:
        """Return where a notebook's run saves its numbers, parts of tables and environment for the report."""
        return self.out(f"pages/{name}.json")


def run_name(name: str, part: str) -> str:
    """Return the name of what one of several runs of a notebook writes.

    Examples
    --------
    >>> run_name("03_cnn", "outer-1-revised"), run_name("01_cohort", "")
    ('03_cnn_outer-1-revised', '01_cohort')
    """
    return f"{name}_{part}" if part else name


def open(study: str, *, save_to: str = "scratch") -> Here:
    """Return the places of a study.

    Examples
    --------
    >>> open("holdout").build("cohort.parquet").relative_to(ROOT).as_posix()
    'build/holdout/cohort.parquet'
    """
    return Here(study, save_to)
