"""Seconds, processor seconds and memory of every step of the studies that have run here, as noted by them.

make report && make benchmark
"""

import argparse
import json

import pandas as pd

from postarrest.places import ROOT


def stages(study: str) -> pd.DataFrame:
    """One row a step, the runs of a step (folds, labels) counted together."""
    rows = []
    for path in sorted((ROOT / "build" / study / "time").glob("*.tsv")):
        noted = pd.read_csv(path, sep="\t").iloc[0]
        step = path.stem.split("_outer")[0].split("_holdout")[0]
        # Snakemake's own figures are samples, and miss a step that was forked; it notes what it used itself.
        own = path.with_suffix(".json")
        used = json.loads(own.read_text()) if own.is_file() else {}
        rows.append((step, float(noted["s"]), used.get("cpu_s"), used.get("peak_mib")))
    each = pd.DataFrame(rows, columns=["step", "seconds", "cpu_seconds", "peak_mib"])
    return each.groupby("step", sort=False, as_index=False).agg(
        runs=("seconds", "size"),
        seconds_a_run=("seconds", "median"),
        seconds=("seconds", "sum"),
        cpu_seconds=("cpu_seconds", "sum"),
        peak_mib=("peak_mib", "max"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    found = sorted(p.parent.name for p in (ROOT / "build").glob("*/time"))
    if not found:
        print("No study has run here: make report")
    for study in found:
        print(f"{study}: seconds by step (runs of a step together), and the largest run's memory")
        print(stages(study).round(1).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
