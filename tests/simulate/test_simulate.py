"""The simulated study as files, and its clinical table."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pydicom
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from postarrest import data, figures, places, simulate
from postarrest.simulate import Settings, cohort, published, truth, write_study

SMALL = Settings(n_included=24, n_good=9, n_relabelled=2, n_screened=32, seed=5, n_truth=1000)


def auc(score, good):
    """Area under the ROC curve by ranks."""
    ranks = rankdata(score)
    return (ranks[good].mean() - (good.sum() + 1) / 2) / (~good).sum()


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "study"
    write_study(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def small_data(small):
    """The study as the pipeline reads it."""
    return data.read_export(small, modalities=["gwr", "ct"])


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"n_good": 0}, "n_good\n.*greater than or equal to 1.*input_value=0"),
        ({"n_good": 321}, "n_good < n_included <= n_screened, found 5, 321, 321 and 443"),
        ({"n_relabelled": 68}, "n_relabelled <= n_good .*found 68, 67, 321 and 443"),
        ({"n_screened": 320}, "n_included <= n_screened, found 5, 67, 321 and 320"),
        ({"seed": -1}, "seed\n.*greater than or equal to 0.*input_value=-1"),
        ({"ct": "nifti"}, "ct\n.*'dicom', 'png' or 'none'"),
        ({"ct_effect": -0.1}, "ct_effect\n.*greater than or equal to 0.*input_value=-0.1"),
        ({"modality_correlation": 1.0}, "modality_correlation\n.*less than or equal to 0.9"),
        ({"lab_missing": 1.5}, "lab_missing\n.*less than or equal to 1.*input_value=1.5"),
        ({"noise_sd_hu": float("nan")}, "noise_sd_hu\n.*input_value=nan"),
        ({"n_included": 321.0}, "n_included\n.*valid integer"),
        ({"n_included": True}, "n_included\n.*valid integer"),
        ({"gwr": 1}, "gwr\n.*valid boolean"),
        ({"n_god": 67}, "n_god\n.*Unexpected"),
    ],
)
def test_invalid_settings_are_rejected(given_values, message):
    with pytest.raises(ValueError, match=message):
        Settings(**given_values)


def test_all_errors_are_reported_together():
    with pytest.raises(ValueError, match="seed") as error:
        Settings(seed=-1, ct="x", ct_effect=99, n_truth=1)
    assert {e["loc"] for e in error.value.errors()} == {("seed",), ("ct",), ("ct_effect",), ("n_truth",)}


def test_each_setting_has_a_line_of_help():
    assert all(0 < len(f.default.description) < 100 for f in dataclasses.fields(Settings))


def test_effect_sizes_may_be_whole_numbers():
    assert Settings(ct_effect=0).ct_effect == 0


# ------------------------------------------------------------------------------------------------ the table


@given(
    n_good=st.integers(1, 30),
    n_poor=st.integers(1, 60),
    n_excluded=st.integers(0, 40),
    relabelled=st.floats(0, 1),
    seed=st.integers(0, 2**31 - 1),
)
def test_counts_are_exact_whatever_the_seed(n_good, n_poor, n_excluded, relabelled, seed):
    n = n_good + n_poor
    n_relabelled = int(relabelled * n_good)
    patients = cohort.draw(
        Settings(n_included=n, n_good=n_good, n_relabelled=n_relabelled, n_screened=n + n_excluded, seed=seed)
    ).patients
    included = patients[patients["exclusion"] == ""]
    labels = data.outcome_labels(included.set_index("patient_id"))
    assert len(patients) == n + n_excluded
    assert len(included) == n
    assert labels["y_good_revised"].sum() == n_good
    assert labels["y_good_standard"].sum() == n_good - n_relabelled
    assert patients["patient_id"].is_unique


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    settings = Settings(n_included=40_000, n_good=8_000, n_relabelled=0, n_screened=50_000, seed=2)
    return cohort.draw(settings).patients


def test_related_variables_are_consistent(large):
    unwitnessed = large["witnessed"] == 0
    assert large.loc[unwitnessed, "no_flow_min"].isna().all()
    assert large.loc[~unwitnessed, "no_flow_min"].notna().all()
    # Arrests that emergency staff saw: no bystander, no time without compressions.
    assert (large["no_flow_min"] == 0).sum() > 2000
    shockable = large["initial_rhythm"] == "vf_vt"
    assert large.loc[shockable, "defibrillated"].mean() > 0.9
    for factor in (large["witnessed"] == 1, large["cause"] == "cardiac"):
        assert shockable[factor].mean() > shockable[~factor].mean() + 0.1
    assert large["epinephrine_mg"].corr(large["low_flow_min"], method="spearman") > 0.4
    assert large["pupil_left_mm"].corr(large["pupil_right_mm"]) > 0.85
    assert (large["pupil_left_mm"].dropna() % 0.5 == 0).all()
    dead = large["cpc"] == 5
    assert large.loc[dead, "death_cause_intracranial"].notna().all()
    assert large.loc[~dead, "death_cause_intracranial"].isna().all()
    # The CPC is of 30 days.
    assert large.loc[dead, "arrest_to_death_days"].between(0, 30).all()
    assert large.loc[~dead, "arrest_to_death_days"].isna().all()


def test_laboratory_values_are_missing_more_often_after_long_resuscitation(large):
    missing = large["lactate_mmol_l"].isna()
    assert 0.03 < missing.mean() < 0.15
    assert 0.03 < large["creatinine_umol_l"].isna().mean() < 0.15
    assert large.loc[missing, "low_flow_min"].median() > large.loc[~missing, "low_flow_min"].median() + 2


def test_shares_of_missing_values_can_be_set():
    settings = Settings(n_truth=1000, lab_missing=0, no_flow_missing=0, pupil_missing=0)
    table = cohort.draw(settings).patients
    clinical = table.drop(columns=["death_cause_intracranial", "arrest_to_death_days", "rosc_to_ct_min"])
    assert not clinical.isna().any().any()
    everything = dataclasses.replace(settings, lab_missing=1.0, pupil_missing=1.0)
    assert cohort.draw(everything).patients["lactate_mmol_l"].isna().all()
    assert cohort.draw(everything).patients["pupil_left_mm"].isna().all()


def test_excluded_patients_have_a_reason_and_consistent_values(large):
    excluded = large[large["exclusion"] != ""]
    assert len(excluded) == 10_000
    assert set(excluded["exclusion"]) == set(cohort.EXCLUSION_SHARES)
    late = excluded[excluded["exclusion"] == "no CT within 3 h"]["rosc_to_ct_min"]
    assert late.isna().any()
    assert (late.dropna() > 180).all()
    included = large[large["exclusion"] == ""]
    assert included["rosc_to_ct_min"].between(0, 180).all()
    assert (large["age_years"] >= 18).all()
    in_surgery = excluded[excluded["exclusion"] == "death during surgery for aortic rupture"]
    assert (in_surgery["cpc"] == 5).all()


def test_a_null_cohort_has_no_signal_anywhere():
    null = Settings(ct_effect=0, ohca_effect=0, pupil_effect=0)
    good = np.arange(40_000) % 4 == 0
    drawn = cohort.variables(good, settings=null, rng=np.random.default_rng(8))
    after = ["cpc", "awake_after_ct", "death_cause_intracranial", "death_cause", "arrest_to_death_days"]
    table = drawn.patients.drop(columns=after).join(drawn.latents[["severity", "atrophy"]])
    numbers = table.select_dtypes("number")
    coded = pd.get_dummies(table.select_dtypes(exclude="number")).astype(float)
    everything = numbers.join(coded).join(table.isna().astype(float).add_suffix("_missing"))
    varying = everything.loc[:, everything.nunique() > 1]
    for name, column in varying.items():
        known = column.notna().to_numpy()
        # The standard error of an AUC of .5 is .0033 at 10,000 and 30,000; some 40 columns are looked at.
        assert abs(auc(column[known], good[known]) - 0.5) < 4.2 * 0.0034, name


@pytest.mark.parametrize(
    ("effect", "column"),
    [("ohca_effect", "low_flow_min"), ("pupil_effect", "pupil_left_mm"), ("ct_effect", "severity")],
)
def test_an_effect_size_changes_only_its_own_modality(effect, column):
    good = np.arange(40_000) % 4 == 0
    columns = ["low_flow_min", "pupil_left_mm", "severity"]

    def separation(size):
        settings = dataclasses.replace(Settings(pupil_missing=0), **{effect: size})
        drawn = cohort.variables(good, settings=settings, rng=np.random.default_rng(9))
        table = drawn.patients.join(drawn.latents)
        return {name: auc(-table[name], good) for name in columns}

    weak, calibrated, strong = separation(0.0), separation(1.0), separation(2.0)
    assert weak[column] + 0.05 < calibrated[column]
    assert calibrated[column] + 0.03 < strong[column]
    for other in set(columns) - {column}:
        assert weak[other] == pytest.approx(strong[other], abs=0.01)


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_modalities_correlate_given_the_outcome_as_set(rho):
    good = np.ones(40_000, dtype=bool)
    settings = Settings(modality_correlation=rho, pupil_missing=0)
    drawn = cohort.variables(good, settings=settings, rng=np.random.default_rng(10))
    pupils = drawn.patients[["pupil_left_mm", "pupil_right_mm"]].mean(axis=1)
    # Rounding to half millimetres and the two sides' differences cost a little.
    assert pupils.corr(drawn.latents["severity"]) == pytest.approx(rho, abs=0.035)


# ------------------------------------------------------------------------------------------------ the truth


def planted(model: str, observer: str, **settings) -> pd.Series:
    return truth.planted(Settings(**settings)).set_index(["model", "observer"]).loc[(model, observer)]


def test_planted_auc_of_ct_is_that_of_two_normal_distributions():
    for effect in (0.0, 0.5, 1.0):
        found = planted("ct", truth.SEVERITY, n_truth=40_000, ct_effect=effect)
        expected = norm.cdf(effect * cohort.SEVERITY_DIFFERENCE / np.sqrt(2))
        assert abs(found["auc"] - expected) < 4 * found["mc_error"]


@pytest.mark.parametrize(("effect", "n_good"), [(0.5, 67), (1.0, 67), (1.0, 200)])
def test_planted_brier_of_ct_is_that_of_the_true_probability(effect, n_good):
    """The mean squared error of the true probability, integrated over both normal distributions."""
    share, shift = n_good / Settings().n_included, effect * cohort.SEVERITY_DIFFERENCE

    def squared(x, good):
        # A good outcome's severity has the mean 0, a poor one's the mean `shift`.
        probability = expit(logit(share) - shift * x + shift**2 / 2)
        return norm.pdf(x, 0 if good else shift) * (probability - good) ** 2

    expected = share * quad(squared, -9, 12, args=(1,))[0] + (1 - share) * quad(squared, -9, 12, args=(0,))[0]
    found = planted("ct", truth.SEVERITY, n_truth=60_000, ct_effect=effect, n_good=n_good)
    assert abs(found["brier"] - expected) < 4 * found["brier_mc_error"]


def test_a_null_cohort_plants_nothing():
    null = Settings(n_truth=20_000, ct_effect=0, ohca_effect=0, pupil_effect=0)
    prevalence = null.n_good / null.n_included
    found = truth.planted(null)
    assert ((found["auc"] - 0.5).abs() < 4 * found["mc_error"]).all()
    # As good as predicting the prevalence for everybody, but for overfitting to 10,000 patients.
    assert np.allclose(found["brier"].dropna(), prevalence * (1 - prevalence), atol=0.001)


def test_the_ensemble_discriminates_better_than_its_best_base_model():
    found = truth.planted(Settings(n_truth=20_000)).set_index(["model", "observer"])["auc"]
    for observer in (truth.SEVERITY, truth.ATTENUATION):
        assert max(found["ohca"].iloc[0], found["ct", observer]) < found["ensemble", observer] < 1


def test_the_ladder_goes_down_from_severity_to_the_noisy_image(small):
    ladder = pd.DataFrame(json.loads((small / "truth.json").read_text())["models"])
    rungs = ladder[ladder["model"] == "ct"].set_index("observer")["auc"]
    assert set(rungs.index) == {truth.SEVERITY, truth.ATTENUATION, truth.TISSUE}
    large = truth.planted(Settings(n_truth=40_000)).set_index(["model", "observer"])["auc"]
    assert large["ct", truth.ATTENUATION] < large["ct", truth.SEVERITY]
    assert large["gwr_av", truth.ATTENUATION] < large["ct", truth.SEVERITY]


def test_planted_discrimination_is_near_the_published_one():
    """Models fitted on a few hundred patients reach a little less than what is planted."""
    found = truth.planted(Settings(n_truth=40_000)).groupby("model")["auc"].max()
    paper = published.aucs()
    assert paper["ohca"] < found["ohca"] < paper["ohca"] + 0.07
    assert paper["pupil"] - 0.01 < found["pupil"] < paper["pupil"] + 0.04


# ------------------------------------------------------------------------------------------------ the files


def test_the_pipeline_reads_a_simulated_study(small, small_data):
    included, flow = data.select(
        small_data.patients, criteria={"min_age_years": 18, "exclusions": "all", "max_rosc_to_ct_min": 180}
    )
    assert len(included) == SMALL.n_included
    assert flow["n"].iloc[0] == SMALL.n_screened
    assert sorted(small_data.ct.index) == sorted(included.index)
    assert sorted(small_data.gwr["patient_id"].unique()) == sorted(included.index)
    images = data.read_slices(small_data.ct, slice_index=small_data.patients["ct_slice"])
    assert images.shape == (SMALL.n_included, 256, 256)


def test_each_patient_has_all_readings(small):
    readings = pd.read_csv(small / "gwr.csv")
    assert len(readings) == SMALL.n_included * 2 * 8 * 2
    assert not readings.duplicated(["patient_id", "reading", "region", "side"]).any()
    assert readings["area_mm2"].between(10, 15).all()
    assert readings["mean_hu"].between(15, 50).all()


def test_tissue_maps_and_slices_share_a_grid(small, small_data):
    from PIL import Image

    for patient, path in list(small_data.ct.items())[:3]:
        tissue = np.asarray(Image.open(small / "tissue" / f"{patient}.png"))
        hu = data.read_slice(path, slice_index=0).hu
        assert tissue.dtype == np.uint8
        assert set(np.unique(tissue)) == {0, 1, 2, 3, 4}
        middle = {code: np.median(hu[tissue == code]) for code in (1, 2, 3, 4)}
        assert middle[4] < middle[1] < min(middle[2], middle[3])
        # Brain fills a third of the field of view, bone lies outside it.
        assert 0.2 < (tissue > 0).mean() < 0.5
        # A pixel half of bone has some 700 HU.
        assert (tissue[hu > 1000] == 0).mean() > 0.99


def test_dicom_is_valid_and_identifies_nobody(small):
    paths = sorted((small / "ct").glob("*/*.dcm"))
    assert len(paths) == 3 * SMALL.n_included
    uids = set()
    with pydicom.config.strict_reading():
        for path in paths:
            image = pydicom.dcmread(path)
            for element in image.iterall():
                # A value of the wrong form raises here.
                str(element.value)
            assert image.PatientID == path.parent.name
            assert str(image.PatientName) == "SIMULATED^PATIENT"
            for keyword in ("PatientBirthDate", "StudyDate", "StudyTime", "ReferringPhysicianName"):
                assert str(image[keyword].value) == ""
            assert "InstitutionName" not in image
            for uid in (image.SOPInstanceUID, image.SeriesInstanceUID, image.StudyInstanceUID):
                assert uid.is_valid
            uids.add(image.SOPInstanceUID)
            assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
            assert image.pixel_array.shape == (256, 256)
    assert len(uids) == len(paths)


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_cores(small, tmp_path, monkeypatch):
    # The fixture ran on all available cores; on one core there are no further processes.
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    write_study(SMALL, tmp_path / "again")
    first, second = files(small), files(tmp_path / "again")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_another_seed_gives_other_patients(small, tmp_path):
    settings = dataclasses.replace(SMALL, seed=6, ct="none", gwr=False)
    write_study(settings, tmp_path / "other")
    assert (small / "patients.csv").read_text() != (tmp_path / "other" / "patients.csv").read_text()


def test_png_study(tmp_path):
    settings = dataclasses.replace(
        SMALL, n_included=3, n_good=1, n_relabelled=0, n_screened=3, ct="png", gwr=False
    )
    write_study(settings, tmp_path / "study")
    read = data.read_export(tmp_path / "study", modalities=["ct"])
    assert {path.suffix for path in read.ct} == {".png"}
    images = data.read_slices(read.ct)
    brain = images[(images > 40) & (images < 200)]
    assert 60 < brain.mean() < 150
    assert not (tmp_path / "study" / "gwr.csv").exists()
    assert "ct_slice" not in read.patients


def test_a_folder_with_other_files_is_left_unchanged(tmp_path):
    (tmp_path / "patients.csv").write_text("a hospital's own")
    with pytest.raises(FileExistsError, match="left unchanged"):
        write_study(SMALL, tmp_path)
    assert (tmp_path / "patients.csv").read_text() == "a hospital's own"


def test_an_earlier_simulation_is_replaced_whole(tmp_path):
    table = dataclasses.replace(SMALL, ct="none", gwr=False)
    write_study(table, tmp_path / "study")
    (tmp_path / "study" / "left over").write_text("")
    # A workflow may have removed what it means to make anew.
    (tmp_path / "study" / "truth.json").unlink()
    (tmp_path / ".study.part").mkdir()
    write_study(dataclasses.replace(table, seed=9), tmp_path / "study")
    assert [p.name for p in tmp_path.iterdir()] == ["study"]
    assert sorted(p.name for p in (tmp_path / "study").iterdir()) == [
        "SIMULATED.txt",
        "patients.csv",
        "truth.json",
    ]


def test_a_failure_leaves_the_earlier_study(tmp_path, monkeypatch):
    table = dataclasses.replace(SMALL, ct="none", gwr=False)
    write_study(table, tmp_path / "study")
    before = files(tmp_path / "study")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(truth, "document", fail)
    with pytest.raises(OSError, match="disk full"):
        write_study(dataclasses.replace(table, seed=9), tmp_path / "study")
    assert files(tmp_path / "study") == before
    assert [p.name for p in tmp_path.iterdir()] == ["study"]


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "postarrest.simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command(tmp_path):
    given_settings = {"n_included": 12, "n_good": 4, "n_relabelled": 1, "n_screened": 15}
    given_settings |= {"ct": "none", "gwr": False, "n_truth": 1000}
    done = run("--settings", json.dumps(given_settings), "--out", str(tmp_path / "study"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    document = json.loads((tmp_path / "study" / "truth.json").read_text())
    assert document["simulated"] is True
    assert document["settings"]["n_included"] == 12
    assert {row["model"] for row in document["models"]} == {
        "ohca",
        "pupil",
        "ct",
        "cnn",
        "gwr_av",
        "ensemble",
    }


def test_command_reports_what_is_wrong(tmp_path):
    out = str(tmp_path / "study")
    unknown = run("--settings", '{"n_god": 4, "seed": -1}', "--out", out)
    assert unknown.returncode == 2
    assert "\nn_god: " in unknown.stderr
    assert "\nseed: Input should be greater than or equal to 0, found -1\n" in unknown.stderr
    assert "n_good" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    assert not Path(out).exists()


# ---------------------------------------------------------------------------------- the tables of notebook A1


def test_published_figures_and_simulated_ones(small):
    table = simulate.against_published(small)
    assert set(table["use"]) <= {"set to", "direction", "bound"}
    assert table["simulated"].notna().all()
    # Counts of 321 patients mean nothing in a study of 24.
    assert "patients" not in set(table["unit"])
    readings = table[table["figure"] == "GWR-AV, mean"].set_index("group")["simulated"]
    assert readings["good"] > readings["poor"]


def test_every_published_figure_has_a_value_and_a_known_source():
    table = published.figures()
    assert table.notna().all().all()
    assert not table.duplicated(["figure", "group", "use"]).any()
    content = yaml.safe_load((places.ROOT / "params" / "published.yaml").read_text(encoding="utf-8"))
    assert set(table["source"]) == {"paper A", *content["cohorts"]}


def test_published_aucs_are_those_of_the_main_analyses():
    """Paper A's sensitivity analysis has other AUCs for the same models."""
    content = yaml.safe_load((places.ROOT / "params" / "published.yaml").read_text(encoding="utf-8"))
    main = {
        entry["model"]: entry["value"]
        for entry in content["numbers"]
        if entry.get("metric") == "roc_auc"
        and (entry["paper"], entry["outcome_label"]) in {("A", "revised"), ("B", "standard")}
    }
    assert published.aucs() == main
    assert set(main) == {"gwr_av", "cnn", "ohca", "pupil", "ct", "ensemble"}


def test_planted_performance_and_settings(small):
    planted = simulate.planted_performance(small).set_index("model")
    assert planted["published"].to_dict() == published.aucs()
    in_large_sample = planted[planted["observer"] != truth.TISSUE]
    assert in_large_sample["auc"].between(0.5, 1).all()
    assert in_large_sample.index[in_large_sample["brier"].isna()].tolist() == ["gwr_av"]
    settings = simulate.settings_table(small).set_index("setting")["value"]
    assert settings.to_dict() == {name: str(value) for name, value in dataclasses.asdict(SMALL).items()}


def test_summary_over_seeds(tmp_path):
    seeds = pd.DataFrame({"seed": [1, 2], "GWR-AV, mean, good": [1.30, 1.34], "GWR-BG, AUC": [0.7, 0.8]})
    seeds.to_csv(tmp_path / "seeds.csv", index=False)
    table = simulate.over_seeds_summary(tmp_path / "seeds.csv").set_index("figure")
    row = table.loc["GWR-AV, mean, good"]
    assert row[["mean", "lowest", "highest", "seeds"]].tolist() == pytest.approx([1.32, 1.30, 1.34, 2])
    targets = published.figures().set_index(["figure", "group"])["published"]
    assert row["published"] == targets["GWR-AV, mean", "good"]
    assert np.isnan(table.loc["GWR-BG, AUC", "published"])


def test_example_slices_and_their_figures(small, small_data):
    real = small_data.ct.iloc[0]
    groups = simulate.example_slices(small, n=7, real_ct=str(real), real_slices=[0, 1])
    assert {group: images.shape for group, images in groups.items()} == {
        "good outcome": (3, 256, 256),
        "poor outcome": (4, 256, 256),
        "real head CT": (1, 256, 256),
    }
    hu = [data.read_slice(real, slice_index=index).hu for index in (0, 1)]
    assert np.array_equal(groups["real head CT"][0], data.window(np.mean(hu, axis=0)))
    grid = figures.simulation.slice_grid(groups)
    titles = [ax.get_title() for ax in grid.axes if ax.images]
    assert titles == ["good outcome"] * 3 + ["poor outcome"] * 4 + ["real head CT"]
    ax = figures.simulation.attenuation(groups).axes[0]
    assert [text.get_text() for text in ax.texts] == list(groups)
    # All pixels between black and white are counted, each once.
    assert [line.get_ydata().sum() for line in ax.lines] == pytest.approx([100] * 3)


# ----------------------------------------------------------------------------------------------- hospitals


def test_hospitals_differ_in_their_share_of_good_outcomes_as_planted_and_in_nothing_else():
    one = dataclasses.replace(SMALL, n_included=30_000, n_good=9000, n_screened=30_000)
    alone = cohort.draw(one).patients
    for planted in (0.0, 0.6):
        several = cohort.draw(dataclasses.replace(one, n_sites=60, site_sd=planted)).patients
        pd.testing.assert_frame_equal(several.drop(columns="site"), alone)
        by_site = (several["cpc"] <= 2).groupby(several["site"]).agg(["mean", "size"])
        found = logit(by_site["mean"])
        # Variance between hospitals, less what their size alone gives.
        # The SD of 60 draws has a standard error of 9 %.
        chance = (1 / (by_site["size"] * by_site["mean"] * (1 - by_site["mean"]))).mean()
        assert np.sqrt(max(found.var() - chance, 0)) == pytest.approx(planted, abs=0.15)
