"""A simulated study on disk, in the form of a hospital's data folder."""

import json
import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image

from postarrest.data.ct.slices import window
from postarrest.files import write_text
from postarrest.simulate import cohort, phantom, readings, truth
from postarrest.simulate.anatomy import Anatomy, load_anatomy
from postarrest.simulate.dicom import write_dicom
from postarrest.simulate.settings import Settings

# Marks the folder as simulated, for readers and for the next simulation.
_NOTICE = "SIMULATED.txt"


def write_study(settings: Settings, folder: Path) -> None:
    """Simulate a study and write its data folder.

    Parameters
    ----------
    settings : Settings
        What to simulate. The same settings give the same bytes, on any number of processor cores.
    folder : pathlib.Path
        The data folder, created or replaced as a whole once everything is written: `patients.csv`, `gwr.csv`,
        `ct/`, `tissue/`, `truth.json` and a notice.

    Raises
    ------
    FileExistsError
        If the folder holds anything other than an earlier simulated study.

    Examples
    --------
    >>> import tempfile
    >>> table_only = Settings(n_included=30, n_good=9, n_screened=40, ct="none", gwr=False, n_truth=1000)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_study(table_only, Path(place) / "study")
    ...     sorted(path.name for path in (Path(place) / "study").iterdir())
    ['SIMULATED.txt', 'patients.csv', 'truth.json']
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / _NOTICE).is_file():
        raise FileExistsError(f"{folder} is not a simulated study; it is left unchanged")
    work = folder.parent / f".{folder.name}.part"
    # An interrupted run may have left this behind.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        _write_all(settings, work)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_all(settings: Settings, folder: Path) -> None:
    """Write every file of the study."""
    drawn = cohort.draw(settings)
    patients = drawn.patients
    if settings.ct == "dicom":
        patients["ct_slice"] = pd.array(np.where(patients["exclusion"] == "", 0, None), dtype="Int64")
    _write_csv(patients, folder / "patients.csv")
    if settings.ct != "none":
        (folder / "ct").mkdir()
        (folder / "tissue").mkdir()
    ladder = truth.planted(settings)
    if settings.ct != "none" or settings.gwr:
        read, ratio = simulate_images(settings, drawn, folder)
        if settings.gwr:
            _write_csv(read, folder / "gwr.csv")
        seen = truth.on_images(drawn.latents.loc[ratio.index, "good"].to_numpy(), ratio.to_numpy())
        ladder = pd.concat([ladder, seen], ignore_index=True)
    write_text(folder / "truth.json", json.dumps(truth.document(settings, ladder), indent=1) + "\n")
    notice = "SIMULATED. No row or image in this folder is of a person: postarrest.simulate made them all.\n"
    write_text(folder / _NOTICE, notice)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    # Whole numbers are written without a decimal point.
    table.convert_dtypes().to_csv(path, index=False, lineterminator="\n")


def simulate_images(settings: Settings, drawn: cohort.Cohort, folder: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Render all included patients' slices, write them unless `settings.ct` is none, and read their regions.

    Returns
    -------
    readings : pandas.DataFrame
        The table `gwr` of the data contract; empty unless `settings.gwr`.
    ratio : pandas.Series
        Gray to white matter of each patient's slice, see `readings.gray_to_white`; index: row of the patient.
    """
    included = drawn.patients["exclusion"] == ""
    patients = drawn.latents.join(drawn.patients["patient_id"])[included].reset_index(names="row")
    anatomy = load_anatomy()
    jobs = (joblib.delayed(_one_patient)(settings, anatomy, folder, p) for p in patients.to_dict("records"))
    # Starting a process takes as long as a dozen patients.
    n_jobs = max(1, min(joblib.cpu_count(), len(patients) // 12))
    read, ratio = zip(*joblib.Parallel(n_jobs=n_jobs)(jobs), strict=True)
    return pd.concat(read, ignore_index=True), pd.Series(ratio, index=patients["row"])


def _one_patient(
    settings: Settings, anatomy: Anatomy, folder: Path, patient: dict
) -> tuple[pd.DataFrame, float]:
    """Render, write and read the slices of one patient: row in the table, identifier and latent variables."""
    # One seed per patient: the result does not depend on the number of processes.
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 1, patient["row"]]))
    patient_id = patient["patient_id"]
    head = phantom.draw_head(rng, severity=patient["severity"], atrophy=patient["atrophy"])
    scanner = {"gray_shift_hu": settings.gray_shift_hu, "white_shift_hu": settings.white_shift_hu}
    head = phantom.on_scanner(head, **scanner)
    levels = list(phantom.LEVELS_MM) if settings.gwr or settings.ct == "dicom" else ["basal_ganglia"]
    slices = {
        level: phantom.render(anatomy, head, level=level, noise_sd_hu=settings.noise_sd_hu, rng=rng)
        for level in levels
    }
    first = slices["basal_ganglia"]
    if settings.ct == "dicom":
        series = folder / "ct" / patient_id
        series.mkdir()
        for number, (level, image) in enumerate(slices.items(), start=1):
            write_dicom(series, image.hu, patient_id, seed=settings.seed, level=level, number=number)
    elif settings.ct == "png":
        Image.fromarray(window(first.hu)).save(folder / "ct" / f"{patient_id}.png")
    if settings.ct != "none":
        Image.fromarray(first.tissue).save(folder / "tissue" / f"{patient_id}.png")
    ratio = readings.gray_to_white(first)
    if not settings.gwr:
        return pd.DataFrame(), ratio
    read = readings.read_twice(slices, rng=rng, reader_sd_mm=settings.reader_sd_mm)
    read.insert(0, "patient_id", patient_id)
    return read, ratio
