"""The DICOM files of one patient made into axial series, each a list of frames from the caudal end up."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from postarrest.data.ct.headers import Frame, OtherImage, frames_of
from postarrest.data.ct.reading import MOST_SLICES, Remark, Unreadable, check_size
from postarrest.data.errors import stays_inside

# What systems and viewers leave in a folder. Their names say nothing of a patient.
_CLUTTER = ("thumbs.db", "desktop.ini", "autorun.inf", "dicomdir")
_OTHER_ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".txt", ".xml", ".html", ".htm", ".pdf"),
    *(".csv", ".xlsx", ".docx", ".db", ".ini", ".inf", ".exe", ".json", ".log", ".md5"),
)
_ONE_SERIES = "the files of one axial series"


def axial_series(path: Path) -> tuple[dict[str, list[Frame]], list[Remark]]:
    """Return the frames of each axial CT series in a file or folder, unsorted, and remarks.

    Files that are no axial CT image, such as a localizer, a dose report, a coronal slice, or that a viewer
    left there, are not used, and noted.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If there is none, or a file cannot be read; then with its name.
    """
    files, unused = _files(path) if path.is_dir() else ([path], Counter())
    by_series: dict[str, list[Frame]] = {}
    others: list[OtherImage] = []
    for file in files:
        try:
            for frame in frames_of(file):
                by_series.setdefault(frame.series, []).append(frame)
        except OtherImage as other:
            others.append(other)
        except Unreadable as error:
            if error.rule == "format" and file != path and file.suffix.lower() in _OTHER_ENDINGS:
                unused[f"a {file.suffix.lower()} file"] += 1
                continue
            error.file = "" if file == path else file.name
            raise
    if not by_series:
        raise others[0] if others else Unreadable("empty", "a folder without DICOM files", _ONE_SERIES)
    remarks = []
    unused.update(other.found for other in others)
    if unused:
        # Thumbs.db, which has no article, is one file whatever its number.
        kinds = [f"{n} x {what}" if n > 1 else what for what, n in sorted(unused.items())]
        remarks.append(Remark("other files", f"files that are not used: {', '.join(kinds)}", _ONE_SERIES))
    used = {frame.patient for frames in by_series.values() for frame in frames} - {""}
    if used and {other.patient for other in others} - used - {""}:
        found = "another patient's id in the header of a file that is not used"
        remarks.append(Remark("patient", found, "one patient's files"))
    return by_series, remarks


def _files(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Return the files of a folder, and those that are known to be no image, counted."""
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    clutter = Counter(file.name for file in files if file.name.lower() in _CLUTTER)
    # The index of a DICOM folder is expected there.
    counted = Counter({name: n for name, n in clutter.items() if name.lower() != "dicomdir"})
    files = [file for file in files if file.name not in clutter]
    if not files:
        raise Unreadable("empty", "a folder without files", "the DICOM files of one series")
    if len(files) > MOST_SLICES:
        raise Unreadable("size", f"{len(files)} files", f"at most {MOST_SLICES}")
    for file in files:
        if not stays_inside(file, folder):
            raise Unreadable("link", "a link out of the CT's folder", "files inside the CT's folder")
        if not file.is_file():
            raise Unreadable("folder", "a folder inside the CT's folder", "the DICOM files of one series")
        check_size(file)
    return files, counted


def in_order(frames: list[Frame]) -> list[Frame]:
    """Return one series' frames from the caudal end up.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If they are not the parallel slices of one scan of one patient, without a gap.
    """
    patients = {frame.patient for frame in frames} - {""}
    if len(patients) > 1:
        found = f"the ids of {len(patients)} patients in the headers of one series"
        raise Unreadable("patient", found, "the slices of one patient")
    if len(frames) == 1:
        return frames
    if any(frame.position is None or frame.orientation is None for frame in frames):
        raise Unreadable("position", "slices without a position in the header", "a position for each slice")
    sizes = {(frame.pixels, frame.spacing_mm) for frame in frames}
    if len(sizes) > 1:
        found = f"slices of {len(sizes)} sizes or pixel spacings"
        raise Unreadable("series", found, "one of each in a series")
    first = frames[0].orientation
    if not all(np.allclose(frame.orientation, first, atol=1e-3) for frame in frames):
        raise Unreadable("orientation", "slices of different orientation in one series", "parallel slices")
    along = positions(frames)
    frames = [frames[i] for i in np.argsort(along, kind="stable")]
    _check_gaps(frames, np.sort(along))
    return frames


def positions(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Return where slices lie along the body's axis (mm, rising towards the head); zeros if unknown."""
    if any(frame.position is None or frame.orientation is None for frame in frames):
        return np.zeros(len(frames))
    normal = np.cross(frames[0].orientation[:3], frames[0].orientation[3:])
    normal *= np.sign(normal[2])
    # Along the normal, since with a tilted gantry the table moves along the axis, but slices follow the
    # normal; in units of the table's movement, which is what headers and viewing stations show.
    return np.array([frame.position @ normal for frame in frames]) / normal[2]


def _check_gaps(frames: Sequence[Frame], along: NDArray[np.float64]) -> None:
    steps = np.diff(along)
    if (steps < 0.01).any():
        raise Unreadable("series", "two slices at one position", "one reconstruction")
    for i in np.flatnonzero(steps > 1.5 * np.median(steps)):
        below, above = frames[i].instance, frames[i + 1].instance
        # Sequential scans have thicker slices above the skull base: a wider step counts as a gap only if the
        # numbering jumps too, or is missing.
        if below is None or above is None or abs(above - below) != 1:
            found = f"a gap of {steps[i]:.1f} mm above slice {i}, elsewhere {np.median(steps):.1f} mm"
            raise Unreadable("gap", found, "all slices of the series")
