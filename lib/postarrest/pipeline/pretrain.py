"""Make the network that reads CT, from nothing: ``make pretrain``.

Simulated heads of far wider variety than any study's (`simulate.wide`), each used once. An interrupted run
resumes where it stopped.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np

from postarrest.models.ct_reader import network, training
from postarrest.places import ROOT
from postarrest.simulate import wide
from postarrest.simulate.anatomy import Anatomy, load_anatomy

# No study's seed begins like this.
SEED = 20_260_000
SLICES_PER_CHUNK = 512


def slices(anatomy: Anatomy, chunk: int, *, n: int) -> training.Slices:
    """Return the slices of one chunk; the same number gives the same slices."""

    def some(first: int, last: int) -> list[wide.Sample]:
        seeds = (np.random.SeedSequence([SEED, chunk, i]) for i in range(first, last))
        return [wide.draw(anatomy, np.random.default_rng(seed)) for seed in seeds]

    edges = np.linspace(0, n, 2 * joblib.cpu_count() + 1).astype(int)
    jobs = (joblib.delayed(some)(*pair) for pair in pairwise(edges))
    drawn = [sample for part in joblib.Parallel(n_jobs=-1)(jobs) for sample in part]
    return training.Slices(
        *(np.stack([getattr(s, name) for s in drawn]) for name in ("image", "shares", "template_mm", "about"))
    )


def main() -> None:
    """Train the network by the options of the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--chunks", type=int, default=90, help=f"times {SLICES_PER_CHUNK} slices")
    arguments.add_argument("--slices", type=int, default=SLICES_PER_CHUNK, help="slices in a chunk")
    arguments.add_argument("--out", type=Path, default=network.WEIGHTS)
    arguments.add_argument("--work", type=Path, default=ROOT / "build" / "pretrain")
    given = arguments.parse_args()
    anatomy, began = load_anatomy(-70), time.monotonic()

    def chunks(start: int) -> Iterator[training.Slices]:
        for number in range(start, given.chunks):
            yield slices(anatomy, number, n=given.slices)

    def say(line: str) -> None:
        sys.stdout.write(f"{(time.monotonic() - began) / 60:5.1f} min  {line}\n")
        sys.stdout.flush()

    training.train(
        chunks, n_chunks=given.chunks, slices_per_chunk=given.slices, out=given.out, work=given.work, say=say
    )


if __name__ == "__main__":
    main()
