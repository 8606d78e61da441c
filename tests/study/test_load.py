import re
import shutil

import pytest
import yaml

from postarrest.places import ROOT
from postarrest.study import load, schema
from postarrest.study.schema import StudyError


@pytest.fixture
def project(tmp_path):
    """A project with the real notebooks and a study file to write."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("*.ipynb"))
    (tmp_path / "params").mkdir()

    def write(text: str):
        (tmp_path / "params" / "mine.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


HEAD = "study: {title: t, question: q, protocols: [nested], modalities: [ct]}\n"


@pytest.mark.parametrize(
    "name", [n for n in load.names() if n not in ("arrest1000", "arrest1000_sites", "evaluate")]
)
def test_every_study_file_loads_and_reaches_its_notebooks(name):
    loaded = load.load(name, environment={})
    for notebook in loaded.notebooks:
        declared = schema.declared_parameters(notebook)
        given = loaded.parameters(notebook)
        assert set(given) <= set(declared)
        assert given["save_to"] == "report"


FROZEN = "study: {{title: t, question: q, protocols: {}, modalities: [], model: {}}}\n"


def test_a_study_with_a_frozen_model_fits_nothing(project, tmp_path):
    root = project(FROZEN.format("[]", "ask"))
    with pytest.raises(StudyError, match="MODEL=folder"):
        load.load("mine", root=root, environment={})
    (tmp_path / "manifest.json").write_text("{}")
    given = {"POSTARREST_MODEL": str(tmp_path)}
    loaded = load.load("mine", root=root, environment=given)
    assert loaded.notebooks == ("01_cohort", "05_evaluation", "08_external")
    assert loaded.parameters("08_external")["model_path"] == str(tmp_path)
    assert loaded.parameters("05_evaluation")["model_path"] == str(tmp_path)
    root = project(FROZEN.format("[nested]", "ask"))
    with pytest.raises(StudyError, match=r"a study with a frozen model fits none: expected protocols: \[\]"):
        load.load("mine", root=root, environment=given)


def test_a_study_that_is_not_run_needs_no_data(project, tmp_path):
    root = project("study: {title: t, question: q, protocols: [nested], modalities: [ct], data: ask}\n")
    loaded = load.load("mine", root=root, environment={}, runs=False)
    assert (loaded.data, loaded.simulated) == ("ask", False)
    root = project(FROZEN.format("[]", "ask"))
    assert load.load("mine", root=root, environment={}, runs=False).model == "ask"
    with pytest.raises(StudyError, match="are not there"):
        load.load("mine", root=root, environment={"POSTARREST_DATA": "not/there"}, runs=False)


def test_a_frozen_model_of_this_project_is_made_first(project):
    assert list(load.with_sources(["hospital2"])) == ["hospital2", "ensemble"]
    with pytest.raises(StudyError, match="are not there: 'build/absent/model'"):
        load.load("mine", root=project(FROZEN.format("[]", "build/absent/model")), environment={})


def test_what_is_no_frozen_model_and_no_scores_table_is_refused(project, tmp_path):
    root = project(FROZEN.format("[]", "ask"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file.json").touch()
    for place, found in (("empty", "a folder without manifest.json"), ("empty/file.json", "a file")):
        with pytest.raises(StudyError, match=f"found {found} as model: .*; expected the folder of a frozen"):
            load.load("mine", root=root, environment={"POSTARREST_MODEL": str(tmp_path / place)})
    root = project("study: {title: t, question: q, protocols: [], modalities: [], scores: ask}\n")
    with pytest.raises(StudyError, match="found a folder as scores table: 'empty'; expected a CSV file"):
        load.load("mine", root=root, environment={"POSTARREST_SCORES": str(tmp_path / "empty")})


def test_a_study_does_not_wait_for_its_own_frozen_model(project, tmp_path):
    root = project(FROZEN.format("[]", "build/mine/model"))
    (tmp_path / "build/mine/model").mkdir(parents=True)
    (tmp_path / "build/mine/model/manifest.json").touch()
    for given in ({}, {"POSTARREST_MODEL": str(tmp_path / "build/mine/model")}):
        with pytest.raises(StudyError, match="'model' is the study's own frozen model; expected another"):
            load.load("mine", root=root, environment=given)


def test_studies_whose_models_need_each_other_are_refused(project, tmp_path):
    root = project(FROZEN.format("[]", "build/other/model"))
    other = tmp_path / "params" / "other.yaml"
    other.write_text(FROZEN.format("[]", "build/third/model"))
    (tmp_path / "params" / "third.yaml").write_text(HEAD)
    # An updated model is a frozen model, so that one may lead to another.
    assert list(load.with_sources(["mine"], root=root)) == ["mine", "other", "third"]
    other.write_text(FROZEN.format("[]", "build/mine/model"))
    with pytest.raises(StudyError, match="these use each other's frozen models: mine, other"):
        load.with_sources(["mine"], root=root)
    (tmp_path / "scores.csv").touch()
    other.write_text("study: {title: t, question: q, protocols: [], modalities: [], scores: scores.csv}\n")
    with pytest.raises(StudyError, match="'model' is that of 'other', which makes no frozen model"):
        load.with_sources(["mine"], root=root)


def test_real_study_asks_for_its_data(tmp_path):
    with pytest.raises(StudyError, match="DATA=path"):
        load.load("arrest1000", environment={})
    (tmp_path / "patients.csv").touch()
    loaded = load.load("arrest1000", environment={"POSTARREST_DATA": str(tmp_path / "patients.csv")})
    assert not loaded.simulated
    assert loaded.notebooks == ("01_cohort", "04_stacking", "05_evaluation", "09_sites")


def test_an_optional_notebook_runs_where_the_file_names_its_section(project):
    root = project(HEAD)
    assert "06_stability" not in load.load("mine", root=root, environment={}).notebooks
    root = project(HEAD + "06_stability: {n_bootstraps: 200}\n")
    named = load.load("mine", root=root, environment={})
    assert "06_stability" in named.notebooks
    assert named.parameters("06_stability")["n_bootstraps"] == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_bootstraps: 1, n_retuned: 1", "'n_bootstraps' is 1 (a whole number), expected"),
        ("n_retuned: 200", "n_retuned is 200, expected at most n_bootstraps"),
        ("shares: [0.5, 0.2]", "shares is [0.5, 0.2], expected increasing numbers above 0, at most 1"),
        ("test_share: 1.0", "'test_share' is 1.0"),
        ("rule: zz", "section '06_stability': found the rule 'zz', expected rules among F1-max"),
        ("spaces: {tree: {}}", "'spaces.tree' is 'tree' (text), expected"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_reported(project, text, message):
    root = project(HEAD + f"06_stability: {{{text}}}\n")
    with pytest.raises(StudyError, match=re.escape(message)):
        load.load("mine", root=root, environment={})


def test_stability_needs_the_procedure_that_it_repeats(project):
    root = project(HEAD.replace("nested", "holdout") + "06_stability: {}\n")
    with pytest.raises(StudyError, match="section '06_stability': needs the protocol 'nested'"):
        load.load("mine", root=root, environment={})


def test_optional_notebooks_run_in_studies_whose_file_has_their_section(project):
    assert "07_subgroups" not in load.load("mine", root=project(HEAD), environment={}).notebooks
    asked = load.load("mine", root=project(HEAD + "07_subgroups: {}"), environment={})
    assert "07_subgroups" in asked.notebooks


def test_notebooks_that_follow_another_take_its_parameters(project):
    text = "01_cohort: {mask_below: 5}\n04_stacking: {trials: 7, seed: 3}\n"
    root = project(HEAD + text + "07_subgroups: {}\n10_explanation: {seed: 4}\n11_missing: {}")
    asked = load.load("mine", root=root, environment={})
    assert asked.parameters("07_subgroups")["mask_below"] == 5
    assert asked.parameters("10_explanation") == asked.parameters("11_missing") | {"seed": 4}
    assert asked.parameters("11_missing")["trials"] == 7
    alone = HEAD.replace("nested", "holdout") + "07_subgroups: {}\n10_explanation: {}"
    names = load.load("mine", root=project(alone), environment={}).notebooks
    assert "07_subgroups" in names and "10_explanation" not in names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("04_stacking: {trails: 5}", "section '04_stacking': 'trails' is unknown. Did you mean 'trials'?"),
        ("04_stackin: {trials: 5}", "section '04_stackin' is unknown. Did you mean '04_stacking'?"),
        ("04_stacking: {trials: many}", "'trials' is 'many' (text), expected a whole number."),
        ("04_stacking: {trials: 5.5}", "'trials' is 5.5 (a number), expected a whole number."),
        ("04_stacking: {trials: true}", "'trials' is True (true or false), expected a whole number."),
        ("04_stacking: {ohca_floor_min: 1e-1}", "In YAML, write 1.0e-3, not 1e-3."),
        ("04_stacking: {base_models: [ohca]}", "expected keys with values"),
        ("common: {sede: 5}", "section 'common': 'sede' is unknown. Did you mean 'seed'?"),
        ("simulate: {n_includd: 5}", "Did you mean 'n_included'?"),
        ("splits: {outer_folds: five}", "'outer_folds' is 'five' (text), expected a whole number."),
        ("04_stacking: 5", "section '04_stacking': found 5 (a whole number), expected keys with values."),
        ("04_stacking: {save_to: here}", "'save_to' is unknown"),
        ("splits: {by: site}", "section 'splits': by: site needs study: {sites: true}."),
        ("splits: {by: hospital}", "'by' is 'hospital' (text), expected '' or 'site'."),
        ("07_subgroups: {groups: {sex: male}}", "section '07_subgroups': 'groups.sex"),
    ],
)
def test_errors_are_reported_before_anything_runs(project, text, message):
    with pytest.raises(StudyError) as error:
        load.load("mine", root=project(HEAD + text), environment={})
    assert message in str(error.value)


def test_all_errors_are_reported_together(project):
    root = project(HEAD + "04_stacking: {trails: 5, seed: x}\nsplits: {outer: 1}\nnonsense: {}")
    with pytest.raises(StudyError) as error:
        load.load("mine", root=root, environment={})
    assert len(str(error.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: {title: t}", "'question' is missing"),
        (
            "study: {title: t, question: q, protocols: [bootstrap]}",
            "'protocols' is 'bootstrap' (text), expected 'holdout' or 'nested'",
        ),
        ("study: {title: t, question: q, protocols: [nested], data: ask}", "say where they are"),
        ("study: {title: t, question: q, protocols: [nested], data: not/there}", "The data are not there"),
        ("a: 1\na: 2", "the key 'a' appears twice"),
        ("a: &x {b: 1}\nc: *x", "anchors and aliases"),
        ("a: !!python/object/apply:os.getcwd []", "can't be read"),
        ("a: [1", "can't be read"),
        ("just text", "expected sections with keys"),
    ],
)
def test_invalid_study_files_are_reported(project, text, message):
    with pytest.raises(StudyError) as error:
        load.load("mine", root=project(text), environment={})
    assert message in str(error.value)


def test_unknown_study_names_the_nearest():
    with pytest.raises(StudyError, match=r"No study 'ensembel'\. Did you mean 'ensemble'"):
        load.load("ensembel", environment={})


def test_environment_pins_agree():
    """pyproject.toml, the lock and environment.yml state the same environment."""
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line[:1].isalnum():
            name, version = line.split(";")[0].rstrip(" \\").split("==")
            locked.setdefault(name.split("[")[0].lower().replace("_", "-"), []).append(version.strip())
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        versions = locked[requirement.name.lower().replace("_", "-")]
        assert all(requirement.specifier.contains(v) for v in versions), requirement
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert {"pip": ["-r requirements.lock"]} in conda
    assert f"python {project['requires-python']}" in conda


def test_pip_section_of_the_conda_file_installs(tmp_path):
    """Pip accepts the section as conda hands it over, and finds each of its versions in this environment."""
    import subprocess
    import sys

    sections = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines = next(s["pip"] for s in sections if isinstance(s, dict))
    # conda writes the section into a file beside environment.yml
    file = tmp_path / "conda.requirements.txt"
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    file.write_text("\n".join(lines))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--report",
        "-",
        "-r",
        str(file),
    ]
    done = subprocess.run([*command, "--no-index"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import json

    assert json.loads(done.stdout)["install"] == []


def test_lock_holds_hashes_and_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert lock.count("--hash=sha256:") > 500


@pytest.mark.parametrize(
    ("text", "changed", "message"),
    [
        ("architecture: ResNet50", "architecture: resnet", "expected 'VGG19', 'ResNet50' or 'embedded'"),
        (
            "rotation_deg: 10",
            "twist_deg: 10",
            "'augmentation.twist_deg' is unknown.",
        ),
        ("copies: 4", "copies: 4\n  depth: deep", "expected 'head', 'last_block' or 'all'"),
        ("low: 0.0001", "low: 1e-4", "write 1.0e-3, not 1e-3"),
        (
            "trials: 50",
            "trials: 50\n  spaces: {tree: {C: {choices: [1]}}}",
            "'spaces.tree' is 'tree' (text), expected 'logistic', 'forest', 'lightgbm' or 'stack'",
        ),
        (
            "logistic, predictors: [pupil_left_mm, pupil_right_mm]",
            "logistic",
            "every other algorithm needs some",
        ),
    ],
)
def test_a_model_that_cannot_run_is_reported_before_any_step(project, text, changed, message):
    ensemble = (ROOT / "params" / "ensemble.yaml").read_text(encoding="utf-8")
    assert ensemble.count(text) == 1
    root = project(ensemble.replace(text, changed))
    with pytest.raises(StudyError, match=re.escape(message)):
        load.load("mine", root=root, environment={})
