"""A simulated slice as a DICOM CT image."""

import hashlib
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from postarrest.simulate.phantom import LEVELS_MM, SIZE, SPACING_MM, THICKNESS_MM

# Offset of the stored values from HU, as scanners write them.
_INTERCEPT = -1024
_BLANK = "StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientBirthDate PatientSex"


def write_dicom(folder: Path, hu: np.ndarray, patient_id: str, *, seed: int, level: str, number: int) -> None:
    """Write one slice as a DICOM file, `<number>.dcm`, without dates, names or institution.

    Parameters
    ----------
    folder : pathlib.Path
        The patient's series.
    hu : numpy.ndarray, shape (256, 256)
        The slice, HU.
    patient_id : str
        The simulated patient's identifier.
    seed : int
        The study's seed, which the unique identifiers depend on.
    level : str
        A key of `phantom.LEVELS_MM`.
    number : int
        Position in the series, 1 = most caudal.
    """
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.ImplementationClassUID = _uid("postarrest")
    image.file_meta.ImplementationVersionName = "POSTARREST_SIM"
    for keyword in _BLANK.split():
        setattr(image, keyword, "")
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = _uid(seed, patient_id, number)
    image.Modality = "CT"
    image.Manufacturer = "postarrest simulation"
    image.StudyDescription = "SIMULATED"
    image.SeriesDescription = "SIMULATED HEAD 5 MM"
    image.PatientName = "SIMULATED^PATIENT"
    image.PatientID = patient_id
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "NO PERSON: SIMULATED"
    image.BodyPartExamined = "HEAD"
    image.SliceThickness = THICKNESS_MM
    image.KVP = 120
    image.PatientPosition = "HFS"
    image.StudyInstanceUID = _uid(seed, patient_id, "study")
    image.SeriesInstanceUID = _uid(seed, patient_id, "series")
    image.FrameOfReferenceUID = _uid(seed, patient_id, "frame")
    image.StudyID = "1"
    image.SeriesNumber, image.AcquisitionNumber, image.InstanceNumber = 1, 1, number
    corner = -(SIZE - 1) / 2 * SPACING_MM
    image.ImagePositionPatient = [corner, corner, LEVELS_MM[level]]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PositionReferenceIndicator = ""
    image.SliceLocation = LEVELS_MM[level]
    image.ImageComments = f"SIMULATED, {level.replace('_', ' ')}"
    image.PixelSpacing = [SPACING_MM, SPACING_MM]
    image.WindowCenter, image.WindowWidth = 40, 80
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = _INTERCEPT, 1, "HU"
    stored = (hu - _INTERCEPT).astype("<u2")
    image.set_pixel_data(stored, "MONOCHROME2", bits_stored=12, generate_instance_uid=False)
    image.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


def _uid(*parts: object) -> str:
    """Return a valid unique identifier (2.25, from 128 bits) that depends only on its parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
