"""Thousands of damaged files, guided by coverage: a reader reports an error or reads, and never crashes.

``python tests/helpers/fuzz.py --seconds 600`` (``make fuzz``) runs it; its exit status is 1 if anything
failed, and the files that failed are kept in ``build/fuzz/``. Each batch runs in its own process with limited
memory, so that a decoder in C that crashes, hangs or fills the memory is noticed too. Inputs that reach a new
line of the readers are mutated further.
"""

import argparse
import io
import json
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate

from broken import patients
from heads import dicom, head, nifti, png
from postarrest import data as data_room
from postarrest.data import DataErrors, errors, read_slice, tablefile
from postarrest.data.export import examine
from postarrest.places import ROOT

BATCH = 100
SECONDS_EACH = 20
MEMORY_BYTES = 6 * 2**30
CODESTREAMS = Path(__file__).parent / "codestreams"
_READERS = frozenset(str(path) for path in Path(data_room.__file__).parent.rglob("*.py"))
_INTERESTING = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b'"',
    b",",
    b"\n",
)


def seeds() -> dict[str, bytes]:
    """Return a valid file of each format by its name."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        table = patients()
        found["utf8.csv"] = table.to_csv(index=False).encode()
        found["sjis.csv"] = table.assign(cause="心筋梗塞").to_csv(index=False).encode("cp932")
        found["utf16.csv"] = table.to_csv(index=False).encode("utf-16")
        table.to_excel(place / "a.xlsx", index=False)
        table.to_parquet(place / "a.parquet")
        found["a.xlsx"] = (place / "a.xlsx").read_bytes()
        found["a.parquet"] = (place / "a.parquet").read_bytes()
        gray = np.round(np.clip(head(size=256, spacing_mm=0.9) / 80, 0, 1) * 255).astype(np.uint8)
        kinds = {"8": gray, "16": gray.astype(np.uint16) * 257, "rgb": np.dstack([gray] * 3)}
        for kind, pixels in kinds.items():
            found[f"{kind}.png"] = png(place / "a.png", pixels).read_bytes()
        Image.fromarray(gray).save(place / "a.jpg")
        found["8.jpg"] = (place / "a.jpg").read_bytes()
        volume = np.stack([head(size=64, spacing_mm=3.6).T] * 2, axis=2)
        affine = np.diag([-3.6, -3.6, 5, 1])
        for ending in (".nii", ".nii.gz"):
            found[f"a{ending}"] = nifti(place / f"a{ending}", volume, affine=affine).read_bytes()
    small = head(size=64, spacing_mm=3.6)
    found["plain.dcm"] = _bytes(dicom(small, PixelSpacing=[3.6, 3.6]))
    packed = dicom(small, PixelSpacing=[3.6, 3.6])
    packed.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    found["rle.dcm"] = _bytes(packed)
    for name, syntax in (
        ("jpeg_lossless", pydicom.uid.JPEGLossless),
        ("jpeg_ls", pydicom.uid.JPEGLSLossless),
        ("jpeg_2000", pydicom.uid.JPEG2000Lossless),
        ("htj2k", pydicom.uid.HTJ2KLossless),
    ):
        file = dicom()
        file.file_meta.TransferSyntaxUID = syntax
        file.PixelData = encapsulate([(CODESTREAMS / f"head.{name}").read_bytes()])
        file["PixelData"].VR = "OB"
        found[f"{name}.dcm"] = _bytes(file)
    return found


def _bytes(file: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return a file with one or a few damages, most of them near the start, where headers are."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        end = max(len(damaged), 1)
        place = rng.randrange(end) if rng.random() < 0.5 else rng.randrange(min(end, 2000))
        match rng.randrange(8):
            case 0 if damaged:
                damaged[place] ^= 1 << rng.randrange(8)
            case 1 if damaged:
                damaged[place] = rng.randrange(256)
            case 2:
                piece = rng.choice(_INTERESTING)
                damaged[place : place + len(piece)] = piece
            case 3:
                damaged[place:place] = rng.choice(_INTERESTING) * rng.choice((1, 4, 500))
            case 4:
                del damaged[place : place + rng.choice((1, 2, 8, 200))]
            case 5:
                del damaged[place:]
            case 6:
                length = rng.choice((4, 16, 300))
                source = rng.randrange(max(len(other) - length, 1))
                damaged[place : place + length] = other[source : source + length]
            case _:
                length = rng.choice((2, 8, 100))
                damaged[place:place] = damaged[place : place + length]
    return bytes(damaged)


def read(name: str, data: bytes, folder: Path) -> str:
    """Read a file as a study's data would be; return the result, or raise what should never be raised."""
    ending = "".join(Path(name).suffixes[-2:]) if name.endswith(".gz") else Path(name).suffix
    path = folder / f"patients{ending}"
    path.write_bytes(data)
    before = sorted(p.name for p in folder.iterdir())
    try:
        if ending in tablefile.SUFFIXES:
            table_format = {"encoding": "shift_jis" if name.startswith("sjis") else "utf-8"}
            study = examine(path, predictors=["pupil_*", "sex"], table_format=table_format)
            shown = errors.listing(study.errors)
        else:
            image = read_slice(path, slice_index=0, image_size="fit")
            assert image.image.shape == (256, 256)
            assert image.image.dtype == np.uint8
            assert image.hu is None or np.isfinite(image.hu).all()
            shown = ""
    except DataErrors as error:
        shown = str(error)
    assert sorted(p.name for p in folder.iterdir()) == before, "a reader left a file behind"
    assert "MemoryError" not in shown, shown
    path.unlink()
    return shown.splitlines()[-1].split("found ")[-1][:40] if shown else "read"


# ---------------------------------------------------------------------- batches in processes of their own


@dataclass
class Tally:
    """What a run has found."""

    runs: Counter = field(default_factory=Counter)
    outcomes: set = field(default_factory=set)
    lines: set = field(default_factory=set)
    slowest_s: float = 0.0
    failures: list = field(default_factory=list)


def _traced(function: Callable, *arguments: object) -> tuple[object, set]:
    lines: set = set()

    def inner(frame, event, _):
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return inner

    def outer(frame, event, _):
        return inner if frame.f_code.co_filename in _READERS else None

    sys.settrace(outer)
    try:
        return function(*arguments), lines
    finally:
        sys.settrace(None)


def _hang(*_: object) -> None:
    raise AssertionError(f"no answer within {SECONDS_EACH} s")


def _batch(jobs: list[tuple[str, bytes]], folder: str, connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _hang)
    for number, (name, data) in enumerate(jobs):
        start = time.monotonic()
        connection.send(("start", number))
        signal.alarm(SECONDS_EACH)
        try:
            outcome, lines = _traced(read, name, data, Path(folder))
            connection.send(("done", number, outcome, lines, time.monotonic() - start))
        except BaseException:
            connection.send(("failed", number, traceback.format_exc()))
        finally:
            signal.alarm(0)
            for path in Path(folder).iterdir():
                path.unlink()
    connection.send(("end",))


def _run_batch(jobs: list[tuple[str, bytes]], tally: Tally) -> list[int]:
    """Run a batch; return the jobs that reached new lines."""
    fresh = []
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=_batch, args=(jobs, folder, theirs))
        process.start()
        theirs.close()
        current = 0
        while True:
            try:
                if not ours.poll(3 * SECONDS_EACH):
                    raise EOFError
                kind, *rest = ours.recv()
            except EOFError:
                process.kill()
                process.join()
                what = f"the process died or hung (exit code {process.exitcode})"
                tally.failures.append((*jobs[current], what))
                return fresh
            if kind == "end":
                process.join()
                return fresh
            current = rest[0]
            if kind == "failed":
                tally.failures.append((*jobs[current], rest[1]))
            elif kind == "done":
                _, outcome, lines, seconds = rest
                name = jobs[current][0]
                tally.runs[name] += 1
                tally.outcomes.add((name, outcome))
                tally.slowest_s = max(tally.slowest_s, seconds)
                if {(name, line) for line in lines} - tally.lines:
                    fresh.append(current)
                tally.lines |= {(name, line) for line in lines}


def run(seconds: float, *, seed: int) -> Tally:
    """Fuzz for some seconds."""
    tally = Tally()
    corpus = {name: [data] for name, data in seeds().items()}
    _run_batch([(name, kept[0]) for name, kept in corpus.items()], tally)
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        jobs = []
        for _ in range(BATCH):
            name = rng.choice(list(corpus))
            data = mutate(rng.choice(corpus[name]), rng.choice(rng.choice(list(corpus.values()))), rng)
            jobs.append((name, data))
        for number in _run_batch(jobs, tally):
            corpus[jobs[number][0]].append(jobs[number][1])
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally = run(arguments.seconds, seed=arguments.seed)
    for number, (name, data, what) in enumerate(tally.failures):
        place = ROOT / "build" / "fuzz" / f"{number}_{name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        print(f"FAILED {place.relative_to(ROOT)}\n{what}")
    print(
        json.dumps(
            {
                "seconds": arguments.seconds,
                "files": sum(tally.runs.values()),
                "by_form": dict(tally.runs),
                "different_outcomes": len(tally.outcomes),
                "lines_reached": len({line for _, line in tally.lines}),
                "slowest_s": round(tally.slowest_s, 2),
                "failures": len(tally.failures),
            },
            indent=1,
        )
    )
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
