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


CHUNKS = 90
# Learning rate at its highest.
RATE = 2e-3


def slices(anatomy: Anatomy, chunk: int, *, n: int) -> training.Slices:
    """Return the slices of one chunk; the same number gives the same slices."""

    def some(first: int, last: int) -> list[wide.Sample]:
        seeds = (np.random.SeedSequence([SEED, chunk, i]) for i in range(first, last))
        return [wide.draw(anatomy, np.random.default_rng(seed)) for seed in seeds]

    edges = np.linspace(0, n, 2 * joblib.cpu_count() + 1).astype(int)
    jobs = (joblib.delayed(some)(*pair) for pair in pairwise(edges))
    drawn = [sample for part in joblib.Parallel(n_jobs=-1)(jobs) for sample in part]
    names = ("image", "shares", "template_mm", "about")
    return training.Slices(*(np.stack([getattr(sample, name) for sample in drawn]) for name in names))


def main() -> None:
    """Train the network by the options of the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, default=network.WEIGHTS)
    arguments.add_argument("--work", type=Path, default=ROOT / "build" / "pretrain")
    given = arguments.parse_args()
    anatomy, began = load_anatomy(-70), time.monotonic()

    def chunks(first: int) -> Iterator[training.Slices]:
        for number in range(first, CHUNKS):
            yield slices(anatomy, number, n=SLICES_PER_CHUNK)

    def say(line: str) -> None:
        sys.stdout.write(f"{(time.monotonic() - began) / 60:5.1f} min  {line}\n")
        sys.stdout.flush()

    size = {"n_chunks": CHUNKS, "slices_per_chunk": SLICES_PER_CHUNK, "rate": RATE}
    training.train(chunks, **size, out=given.out, work=given.work, say=say)


if __name__ == "__main__":
    main()
