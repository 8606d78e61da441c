"""Whether the readings agree with the published ones whatever the seed.

``python -m postarrest.simulate.seeds --seeds 20 --out FILE.csv``
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from postarrest.files import write_text
from postarrest.simulate import cohort, targets
from postarrest.simulate.settings import Settings
from postarrest.simulate.write import simulate_images


def over_seeds(settings: Settings, seeds: list[int]) -> pd.DataFrame:
    """Simulate a study with each of several seeds and describe its readings; no file is kept.

    Parameters
    ----------
    settings : Settings
        The study; its seed is replaced.
    seeds : list of int
        The seeds.

    Returns
    -------
    pandas.DataFrame
        One row per seed: `seed`, and one column for each figure of `targets.reading_figures`.
    """
    rows = []
    for seed in seeds:
        study = dataclasses.replace(settings, seed=seed, ct="none", gwr=True)
        drawn = cohort.draw(study)
        readings = simulate_images(study, drawn, Path())
        patients = drawn.patients.replace({"exclusion": {"": np.nan}})
        figures = targets.reading_figures(patients, readings)
        rows.append({"seed": seed} | {targets.label(*key): value for key, value in figures.items()})
    return pd.DataFrame(rows)


def main() -> None:
    """Write the table of a number of seeds of the hold-out study."""
    parser = argparse.ArgumentParser(
        prog="python -m postarrest.simulate.seeds",
        description="Simulate the hold-out study with several seeds.",
    )
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds, from 1 on")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    arguments = parser.parse_args()
    table = over_seeds(Settings(), list(range(1, arguments.seeds + 1)))
    write_text(arguments.out, table.round(5).to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    main()
