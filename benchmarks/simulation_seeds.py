"""Do the readings of the simulated hold-out study agree with the published ones whatever the seed?

    python benchmarks/simulation_seeds.py --out docs/simulation-seeds.csv

Images are rendered and read, not kept.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from postarrest.files import write_text
from postarrest.simulate import Settings, cohort, targets
from postarrest.simulate.write import simulate_images


def figures(seed: int) -> dict[str, float]:
    """Simulate the hold-out study with one seed and return the figures of its readings."""
    settings = dataclasses.replace(Settings(), seed=seed, ct="none")
    drawn = cohort.draw(settings)
    readings = simulate_images(settings, drawn, Path())
    patients = drawn.patients.replace({"exclusion": {"": np.nan}})
    found = targets.reading_figures(patients, readings)
    return {targets.label(*key): value for key, value in found.items()}


def main() -> None:
    """Write one row per seed: `seed`, and one column per figure of `targets.reading_figures`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds, from 1 on")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    table = pd.DataFrame([{"seed": seed} | figures(seed) for seed in range(1, arguments.seeds + 1)])
    write_text(arguments.out, table.round(5).to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    main()
