"""Make the network that reads CT, from nothing: ``make pretrain``.

Simulated heads of far wider variety than any study's (`simulate.wide`), each used once. An interrupted run
resumes where it stopped.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Stage:
    """A part of the training: how many chunks, the highest learning rate, the share of very soft slices."""

    n_chunks: int
    rate: float
    soft: float


# The second stage makes the level right in slices as soft as a template of many heads.
STAGES = (Stage(90, 2e-3, 0.12), Stage(16, 6e-4, 0.4))


def slices(anatomy: Anatomy, stage: int, chunk: int, *, n: int) -> training.Slices:
    """Return the slices of one chunk; the same numbers give the same slices."""

    def some(first: int, last: int) -> list[wide.Sample]:
        # The first stage's seeds have no number of their own stage.
        seeds = (np.random.SeedSequence([SEED, chunk, i] + [stage] * (stage > 0)) for i in range(first, last))
        return [wide.draw(anatomy, np.random.default_rng(seed), soft=STAGES[stage].soft) for seed in seeds]

    edges = np.linspace(0, n, 2 * joblib.cpu_count() + 1).astype(int)
    jobs = (joblib.delayed(some)(*pair) for pair in pairwise(edges))
    drawn = [sample for part in joblib.Parallel(n_jobs=-1)(jobs) for sample in part]
    names = ("image", "shares", "template_mm", "about")
    return training.Slices(*(np.stack([getattr(sample, name) for sample in drawn]) for name in names))


def main() -> None:
    """Train the network in two stages, by the options of the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, default=network.WEIGHTS)
    arguments.add_argument("--work", type=Path, default=ROOT / "build" / "pretrain")
    given = arguments.parse_args()
    anatomy, began = load_anatomy(-70), time.monotonic()

    def chunks(stage: int, first: int) -> Iterator[training.Slices]:
        for number in range(first, STAGES[stage].n_chunks):
            yield slices(anatomy, stage, number, n=SLICES_PER_CHUNK)

    def say(line: str) -> None:
        sys.stdout.write(f"{(time.monotonic() - began) / 60:5.1f} min  {line}\n")
        sys.stdout.flush()

    outs = [given.work / f"stage{number}.npz" for number in range(len(STAGES) - 1)] + [given.out]
    for number, (stage, out) in enumerate(zip(STAGES, outs, strict=True)):
        if number < len(STAGES) - 1 and out.is_file():
            continue
        training.train(
            partial(chunks, number),
            n_chunks=stage.n_chunks,
            slices_per_chunk=SLICES_PER_CHUNK,
            rate=stage.rate,
            out=out,
            work=given.work / f"stage{number}",
            say=say,
            start=outs[number - 1] if number else None,
        )


if __name__ == "__main__":
    main()
