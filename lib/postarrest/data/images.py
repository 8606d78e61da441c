"""The head CTs of a study's patients, read and checked together."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from postarrest.data import plausible
from postarrest.data.ct.headers import hashed
from postarrest.data.ct.picture import SIZE
from postarrest.data.ct.slices import CtSlice, read_each
from postarrest.data.errors import DataErrors, Finding
from postarrest.data.export import StudyData

# Columns that say how an image was exported, and nothing of the patient, with their names for readers.
_EXPORT = {
    "source": "format",
    "pixel_rows": "height of the image in pixels",
    "pixel_columns": "width of the image in pixels",
    "row_mm": "distance of rows in mm",
    "column_mm": "distance of columns in mm",
    "relative_bytes": "size of the file relative to its content",
}


@dataclass(frozen=True)
class Images:
    """The CT slices of a study's patients.

    Parameters
    ----------
    slices : ndarray of uint8, shape (n, 256, 256)
        Of the patients whose CT could be read, in the order of `files`.
    files : pandas.DataFrame
        Index ``patient_id``; what is known of the files without looking at the head: ``row`` of the patient
        table, ``source`` (``"DICOM series"``, ``"PNG"`` ...), ``pixel_rows, pixel_columns`` of the file's own
        image, ``row_mm, column_mm`` (NaN if unknown) and ``relative_bytes``, the size of a PNG or JPEG over
        that of its slice as a plain PNG (else NaN); ``noted``, whether there is a remark on it.
    errors, warnings : tuple of Finding
        Errors stop the study; warnings are for a person to check.
    """

    slices: NDArray[np.uint8]
    files: pd.DataFrame
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def export(self) -> pd.DataFrame:
        """The columns of `files` that say how an image was exported, under names for readers."""
        return self.files[list(_EXPORT)].rename(columns=_EXPORT)


def read_images(study: StudyData, patients: pd.DataFrame) -> Images:
    """Read the CT slices of some patients.

    Parameters
    ----------
    study : StudyData
        From `read_export`.
    patients : pandas.DataFrame
        Rows of ``study.patients``.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every image that can't be read, or is another patient's.
    """
    images = examine_images(study, patients)
    if images.errors:
        raise DataErrors(images.errors)
    return images


def examine_images(study: StudyData, patients: pd.DataFrame) -> Images:
    """Read CT slices as `read_images` does, but return the errors instead of raising them."""
    paths = pd.Series(dtype=object) if study.ct is None else study.ct
    paths = paths[paths.index.isin(patients.index)]
    rows = study.rows[paths.index]
    choices = {"slice_index": patients.get("ct_slice"), "slice_position_mm": patients.get("ct_position_mm")}
    read = read_each(paths, rows=rows, image_size=study.image_size, **choices)
    errors: list[Finding] = []
    warnings: list[Finding] = []
    slices, headers, files = [], [], {}
    for (patient, path), row, image in zip(paths.items(), rows, read, strict=True):
        if isinstance(image, Finding):
            errors.append(image)
            continue
        slices.append(image.image)
        headers.append(image.patient)
        files[patient] = {"row": int(row)} | _about(Path(path), image)
        warnings += _remarks(Path(path), image, int(row))
    columns = ["row", *_EXPORT, "noted"]
    table = pd.DataFrame.from_dict(files, orient="index", columns=columns).rename_axis("patient_id")
    stacked = np.array(slices, dtype=np.uint8).reshape(-1, SIZE, SIZE)
    errors += plausible.copied_images(stacked, table["row"])
    known = {hashed(str(patient)): int(row) for patient, row in study.rows.items()}
    errors += plausible.others_ids(headers, table["row"], known)
    warnings += plausible.similar_images(stacked, table["row"])
    warnings += plausible.shared_ids(headers, table["row"])
    return Images(stacked, table, tuple(errors), tuple(warnings))


def _remarks(path: Path, image: CtSlice, row: int) -> Iterator[Finding]:
    for note in image.notes:
        yield Finding(f"ct/{path.name}", note.rule, note.found, note.expected, row, alias="CT")


def _about(path: Path, image: CtSlice) -> dict[str, object]:
    row_mm, column_mm = image.spacing_mm or (np.nan, np.nan)
    return {
        "source": image.source + (" series" if path.is_dir() else ""),
        "pixel_rows": image.pixels[0],
        "pixel_columns": image.pixels[1],
        "row_mm": row_mm,
        "column_mm": column_mm,
        "relative_bytes": np.nan if image.hu is not None else _relative_bytes(path, image),
        "noted": bool(image.notes),
    }


def _relative_bytes(path: Path, image: CtSlice) -> float:
    # What a head looks like changes how far it can be compressed; what is left is how it was exported.
    plain = io.BytesIO()
    Image.fromarray(image.image).save(plain, "PNG")
    return path.stat().st_size / plain.tell()
