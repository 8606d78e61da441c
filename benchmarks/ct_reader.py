"""How right the automatic readings of head CT are, and what they bear: docs/ct-reader.csv.

Simulated patients of five seeds that no study uses, read at the three levels; the same slices shifted,
turned, scaled, stored in 8 bits, compressed, noisier; and, where `--template` names one, a real CT template.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image
from scipy import ndimage
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from postarrest.data.ct.slices import window
from postarrest.describe.agreement import icc_a1
from postarrest.models import gwr
from postarrest.models.ct_reader import network, reading, standard
from postarrest.simulate import cohort, phantom, readings
from postarrest.simulate.anatomy import load_anatomy
from postarrest.simulate.settings import Settings

SEEDS = (101, 102, 103, 104, 105)
SPACING_MM = (phantom.SPACING_MM, phantom.SPACING_MM)
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _jpeg(hu: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(window(hu)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32) * 80 / 255


def _half(hu: np.ndarray) -> np.ndarray:
    small = Image.fromarray(hu.astype(np.float32)).resize((128, 128), Image.Resampling.BOX)
    return np.asarray(small.resize((256, 256), Image.Resampling.BILINEAR))


def _noisier(hu: np.ndarray, rng: np.random.Generator, sd: float) -> np.ndarray:
    return hu + sd * rng.standard_normal(hu.shape)


def _turned(hu: np.ndarray, degrees: float) -> np.ndarray:
    return ndimage.rotate(hu, degrees, reshape=False, order=1, cval=-1000)


CHANGES: dict[str, Change] = {
    "shifted by 10 pixels": lambda hu, _: ndimage.shift(hu, (6, -8), order=0, cval=-1000),
    "8 bits, window 40 / 80": lambda hu, _: window(hu).astype(np.float32) * 80 / 255,
    "JPEG, quality 60": lambda hu, _: _jpeg(hu, 60),
    "half size": lambda hu, _: _half(hu),
    "rotated by 10 degrees": lambda hu, _: _turned(hu, 10),
    "rotated by 20 degrees": lambda hu, _: _turned(hu, 20),
    "noise of 3 HU added": lambda hu, rng: _noisier(hu, rng, 3),
    "noise of 6 HU added": lambda hu, rng: _noisier(hu, rng, 6),
    "noise of 9 HU added": lambda hu, rng: _noisier(hu, rng, 9),
}


def patients(seed: int, n: int, **settings: float) -> list[dict]:
    """Return simulated patients with their slices, true ratio and two manual readings."""
    given, anatomy = Settings(seed=seed, **settings), load_anatomy()
    drawn = cohort.draw(given)
    rows = np.flatnonzero(drawn.patients["exclusion"] == "")[:n]
    found = []
    for row in rows:
        rng = np.random.default_rng(np.random.SeedSequence([seed, 1, int(row)]))
        latent = drawn.latents.loc[row]
        head = phantom.draw_head(rng, severity=latent["severity"], atrophy=latent["atrophy"])
        slices = [
            phantom.render(anatomy, head, level=level, noise_sd_hu=given.noise_sd_hu, rng=rng)
            for level in phantom.LEVELS_MM
        ]
        by_level = dict(zip(phantom.LEVELS_MM, slices, strict=True))
        manual = readings.read_twice(by_level, rng=rng, reader_sd_mm=given.reader_sd_mm)
        own = head.baseline_hu
        tissue = {
            "white_matter": phantom.WHITE_HU + own,
            "cortex": phantom.CORTEX_HU + own + head.cortex_hu - phantom.CORTEX_LOSS_HU * head.severity,
            "deep_nuclei": phantom.DEEP_HU + own + head.deep_hu - phantom.DEEP_LOSS_HU * head.severity,
        }
        level = [_level(one) for one in slices]
        found.append(
            {"hu": [s.hu for s in slices], "manual": manual, "tissue": tissue, "good": latent["good"]}
            | {"level": level, "seed": seed}
        )
    return found


def _level(image: phantom.Slice) -> float:
    x, y, z = image.template_mm
    return float(z[(image.tissue > 0) & standard.in_middle(x, y)].mean())


def ratios(rows: pd.DataFrame) -> pd.Series:
    """Return one reading's attenuation of the regions and its ratios."""
    values = gwr.measures(rows.assign(patient_id="a"))
    return values.xs("mean", axis=1, level="reading").iloc[0] if len(values) else pd.Series(dtype=float)


def _one(patient: dict, model_path: Path, number: int) -> dict[str, pd.Series]:
    model, rng = network.trained(model_path), np.random.default_rng(number)
    found = {"manual": ratios(patient["manual"])}
    truth = patient["manual"].assign(
        mean_hu=[patient["tissue"][reading.REGIONS[r].tissue] for r in patient["manual"]["region"]]
    )
    found["truth"] = ratios(truth)
    read = reading.read(model, patient["hu"], SPACING_MM)
    for way, name in reading.READERS.items():
        found[way] = ratios(read.rows[read.rows["reader"] == name])
    found["about"] = pd.Series(
        {
            f"level_{i}": one.level_mm - patient["level"][one.index]
            for i, one in enumerate(read.levels.values())
        }
        | {"flags": "; ".join(read.flags)}
    )
    for change, make in CHANGES.items():
        changed = [make(hu, rng).astype(np.float32) for hu in patient["hu"]]
        again = reading.read(model, changed, SPACING_MM)
        by_area = again.rows[again.rows["reader"] == reading.READERS["region"]]
        found[change] = pd.concat([ratios(by_area), pd.Series({"flags": "; ".join(again.flags)})])
    return found


def summarise(found: list[dict[str, pd.Series]], good: np.ndarray) -> pd.DataFrame:
    """Return one row per figure: what, how it was read, value, n."""
    tables = {name: pd.DataFrame([one[name].to_dict() for one in found]) for name in found[0]}
    truth, manual = tables["truth"], tables["manual"]
    rows = []

    def add(figure: str, way: str, value: float, n: int) -> None:
        rows.append((figure, way, value, n))

    for way in ("manual", *reading.READERS):
        table = tables[way]
        for ratio in gwr.RATIOS:
            known = table[ratio].notna()
            ours, true = table.loc[known, ratio], truth.loc[known, ratio]
            n = len(ours)
            add(f"{ratio}: rank correlation with the truth", way, spearmanr(ours, true).statistic, n)
            add(f"{ratio}: bias to the truth", way, (ours - true).mean(), n)
            add(f"{ratio}: AUC", way, roc_auc_score(good[known], ours), n)
            if way != "manual":
                theirs = manual.loc[known, ratio]
                add(f"{ratio}: bias to manual", way, (ours - theirs).mean(), n)
                add(
                    f"{ratio}: limits of agreement with manual, half width",
                    way,
                    1.96 * (ours - theirs).std(),
                    n,
                )
                add(f"{ratio}: ICC with manual", way, icc_a1(np.column_stack([ours, theirs])).value, n)
        for region in gwr.REGIONS:
            known = table[region].notna()
            add(
                f"{region}: bias to the truth, HU",
                way,
                (table[region] - truth[region]).mean(),
                int(known.sum()),
            )
            if way != "manual":
                add(
                    f"{region}: bias to manual, HU",
                    way,
                    (table[region] - manual[region]).mean(),
                    int(known.sum()),
                )
    about = tables["about"]
    for i, level in enumerate(reading.LEVELS_MM):
        error = about[f"level_{i}"].astype(float)
        add(f"level of the {level}: error, mm", "network", error.mean(), int(error.notna().sum()))
        add(f"level of the {level}: error, SD, mm", "network", error.std(), int(error.notna().sum()))
    add("flagged", "region", float((about["flags"] != "").mean()), len(about))
    for change in CHANGES:
        table = tables[change]
        moved = (table["GWR-AV"].astype(float) - tables["region"]["GWR-AV"]).dropna()
        add("GWR-AV: SD of the change", change, moved.std(), len(moved))
        add("GWR-AV: mean change", change, moved.mean(), len(moved))
        raised = table["flags"].str.replace("8 bits", "") != about["flags"]
        add("flagged otherwise than before", change, float(raised.mean()), len(table))
    return pd.DataFrame(rows, columns=["figure", "way", "value", "n"])


def on_template(path: Path, model_path: Path) -> pd.DataFrame:
    """Return the error of the level on a real CT template in MNI space, in Cormack units (Rorden 2012)."""
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(path))
    stored = np.asarray(image.dataobj, np.float32)
    # Between -124 and 76 HU one unit of HU is eleven Cormack units.
    hu = (
        np.where(stored < 900, stored, np.where(stored < 3100, 900 + (stored - 900) / 11, stored - 2000))
        - 1024
    )
    spacing = float(image.affine[0, 0])
    levels = image.affine[2, 3] + spacing * np.arange(hu.shape[2])
    slices = [np.ascontiguousarray(hu[:, :, k].T[::-1, ::-1]) for k in range(hu.shape[2])]
    out = standard.predicted(network.trained(model_path), standard.inputs(slices, (spacing, spacing)))
    single = standard.levels_mm(out)
    inside, rows = (levels >= 0) & (levels <= 55), []
    for how, found in (("each slice by itself", single), ("as a series", reading.of_series(single, levels))):
        error, what = (found - levels)[inside], f"level on a real CT template, 0 to 55 mm, {how}"
        rows += [
            (f"{what}: mean error, mm", error.mean()),
            (f"{what}: largest error, mm", np.abs(error).max()),
        ]
    return pd.DataFrame(
        [(f, "network", v, int(inside.sum())) for f, v in rows], columns=["figure", "way", "value", "n"]
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--patients", type=int, default=60, help="of each of five seeds")
    arguments.add_argument("--weights", type=Path, default=network.WEIGHTS)
    arguments.add_argument("--template", type=Path, help="a CT template in Cormack units, NIfTI")
    given = arguments.parse_args()
    drawn = Parallel(n_jobs=2)(delayed(patients)(seed, given.patients) for seed in SEEDS)
    everyone = [one for seed in drawn for one in seed]
    found = Parallel(n_jobs=2)(delayed(_one)(one, given.weights, i) for i, one in enumerate(everyone))
    table = summarise(found, np.array([one["good"] for one in everyone], dtype=bool))
    null = Parallel(n_jobs=2)(delayed(patients)(seed, given.patients, ct_effect=0.0) for seed in SEEDS)
    without = [one for seed in null for one in seed]
    unrelated = Parallel(n_jobs=2)(delayed(_plain)(one, given.weights) for one in without)
    good = np.array([one["good"] for one in without], dtype=bool)
    known = np.isfinite(unrelated)
    area = roc_auc_score(good[known], np.array(unrelated)[known])
    row = pd.DataFrame(
        [("GWR-AV: AUC without any effect", "region", area, int(known.sum()))], columns=table.columns
    )
    parts = [table, row] + ([on_template(given.template, given.weights)] if given.template else [])
    pd.concat(parts).to_csv(given.out, index=False, float_format="%.4f")


def _plain(patient: dict, model_path: Path) -> float:
    read = reading.read(network.trained(model_path), patient["hu"], SPACING_MM)
    return float(ratios(read.rows[read.rows["reader"] == reading.READERS["region"]]).get("GWR-AV", np.nan))


if __name__ == "__main__":
    main()
