"""Automatic readings of every included patient's head CT, and a page to look at them.

Writes to ``build/<study>/``: ``gwr_auto.csv`` (readings in the form of the contract's ``gwr`` table),
``reader_flags.csv`` (why a reading is doubted), ``proposals.csv`` (a place for each circle, for a reader
to move or
accept) and ``read_ct/index.html`` (each patient's slices with the regions drawn, the most doubtful first).
"""

from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from postarrest import data, places
from postarrest.data.contract import GWR
from postarrest.data.ct.reading import ImageSize
from postarrest.data.ct.slices import Series, read_series, window
from postarrest.data.errors import DataErrors, Finding
from postarrest.files import write_text
from postarrest.models.ct_reader import reading
from postarrest.models.ct_reader.reading import AutomaticReading, Level
from postarrest.models.ct_reader.standard import FIELD_MM
from postarrest.report.rendering import render
from postarrest.study import load

_COLOURS = {"deep_nuclei": (86, 180, 233), "white_matter": (240, 228, 66), "cortex": (230, 159, 0)}
_TILE = 384


def read_study(study: str, threads: int) -> None:
    """Read the regions of every included patient's head CT, and write a page to look at them.

    Parameters
    ----------
    study : str
        Name of the study; its cohort is made.
    threads : int
        Processes to share the patients.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every CT that cannot be read.
    """
    loaded, here = load.load(study), places.open(study, save_to="report")
    paths, image_size = _images(loaded, here)
    folder = here.out("read_ct/index.html").parent
    folder.mkdir(parents=True, exist_ok=True)
    parts = np.array_split(np.arange(len(paths)), max(1, min(threads, len(paths) // 8)))
    jobs = (joblib.delayed(_some)(paths.iloc[part], folder, image_size) for part in parts if len(part))
    found = [one for part in joblib.Parallel(n_jobs=threads)(jobs) for one in part]
    if errors := [one for one in found if isinstance(one, Finding)]:
        raise DataErrors(errors)
    _write(found, here)


def _images(loaded: load.Study, here: places.Here) -> tuple[pd.Series, ImageSize]:
    """Return the CT of each included patient, and how images of another size are read."""
    given = load.complete_parameters(loaded, "01_cohort")
    names = ("modalities", "columns", "codes", "units", "outcome", "predictors", "criteria")
    settings = {name: given[name] for name in (*names, "outcome_labels", "table_format", "image_size")}
    export = data.read_export(given["data_path"] or here.data, **settings)
    included = pd.read_parquet(here.build("cohort.parquet"), columns=[]).index
    return export.ct[export.ct.index.isin(included)].sort_index(), export.image_size


def _some(paths: pd.Series, folder: Path, image_size: ImageSize) -> list[dict | Finding]:
    """Read some patients' CT in a process of its own, and draw what was read."""
    found: list[dict | Finding] = []
    for patient, series, read in _readable(paths, image_size, errors=found):
        tiles = {}
        for name, level in read.levels.items():
            tiles[name] = f"{patient}-{name.replace(' ', '-')}.jpg"
            drawn(series, level).save(folder / tiles[name], quality=85)
        about = {"patient_id": patient, "flags": read.flags, "doubt": read.doubt, "tiles": tiles}
        rows, proposals = read.rows.assign(patient_id=patient), _proposals(read).assign(patient_id=patient)
        levels = {name: level.level_mm for name, level in read.levels.items()}
        found.append(about | {"rows": rows, "proposals": proposals, "levels": levels})
    return found


def _readable(
    paths: pd.Series, image_size: ImageSize, *, errors: list
) -> Iterator[tuple[str, Series, AutomaticReading]]:
    """Yield each patient whose CT can be read, with its slices and what was read; add the others' errors."""
    from postarrest.models.ct_reader import network

    model = network.trained()
    for patient, path in paths.items():
        try:
            series = read_series(path, image_size=image_size)
        except DataErrors as error:
            errors += error.findings
            continue
        clipped = series.spacing_mm is None
        assumed_mm = FIELD_MM / series.hu[0].shape[0]
        spacing_mm = series.spacing_mm or (assumed_mm, assumed_mm)
        about = {"position_mm": series.position_mm, "clipped": clipped}
        yield patient, series, reading.read(model, series.hu, spacing_mm, **about)


def readings(paths: pd.Series, *, image_size: ImageSize) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return automatic readings of some patients' head CT; one that cannot be read has none.

    Parameters
    ----------
    paths : pandas.Series
        The file or folder of each CT, by ``patient_id``.
    image_size : str
        How images of another size are read.

    Returns
    -------
    readings : pandas.DataFrame
        The data contract's table ``gwr``, with the reader's ways as readers.
    flags : pandas.DataFrame
        ``patient_id, reason``: why a reading is doubted.
    """
    found = [(patient, read) for patient, _, read in _readable(paths, image_size, errors=[])]
    flags = [(patient, reading.REASONS[flag]) for patient, read in found for flag in read.flags]
    rows = [read.rows.assign(patient_id=patient) for patient, read in found]
    return _joined(rows, list(GWR.columns)), pd.DataFrame(flags, columns=["patient_id", "reason"])


def _proposals(read: AutomaticReading) -> pd.DataFrame:
    """Return where a reader might place each circle: slice, row and column of its middle."""

    def each() -> Iterator[tuple[str, str, int, float, float]]:
        for level in read.levels.values():
            for (region, side), circle in level.circles.items():
                if circle.mask.any():
                    yield (region, side, level.index, *ndimage.center_of_mass(circle.mask))

    return pd.DataFrame(list(each()), columns=["region", "side", "slice_index", "row", "column"])


def drawn(series: Series, level: Level) -> Image.Image:
    """Return a slice in the window of level 40, width 80 HU, with the outlines of its regions."""
    shown = np.repeat(window(series.hu[level.index])[..., None], 3, axis=2)
    factor = max(1, round(_TILE / max(shown.shape)))
    shown = shown.repeat(factor, axis=0).repeat(factor, axis=1)
    for (region, _), one in level.measured.items():
        # Only where the region is: an erosion of the whole image takes longer than all readings.
        for here in ndimage.find_objects(one.mask.astype(np.uint8)):
            mask = one.mask[here].repeat(factor, axis=0).repeat(factor, axis=1)
            enlarged = tuple(slice(factor * side.start, factor * side.stop) for side in here)
            outline = mask & ~ndimage.binary_erosion(mask)
            shown[enlarged][outline] = _COLOURS[reading.REGIONS[region].tissue]
    return Image.fromarray(shown)


def _write(found: list[dict], here: places.Here) -> None:
    flags = [(one["patient_id"], reading.REASONS[flag]) for one in found for flag in one["flags"]]
    tables = {
        "gwr_auto.csv": _joined([one["rows"] for one in found], list(GWR.columns)),
        "proposals.csv": _joined(
            [one["proposals"] for one in found],
            ["patient_id", "region", "side", "slice_index", "row", "column"],
        ),
        "reader_flags.csv": pd.DataFrame(flags, columns=["patient_id", "reason"]),
    }
    for name, table in tables.items():
        write_text(here.out(name), table.to_csv(index=False, lineterminator="\n", float_format="%.2f"))
    order = sorted(found, key=lambda one: (-len(one["flags"]), -one["doubt"]))
    page = render("read-ct.html.j2", study=here.study, patients=order, reasons=reading.REASONS)
    write_text(here.out("read_ct/index.html"), page)


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    some = [part for part in parts if len(part)]
    return pd.concat(some)[columns] if some else pd.DataFrame(columns=columns)
