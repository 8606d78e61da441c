"""One page over the runs of a notebook that ran once per split or fold, with a link to each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from postarrest import figures, scores
from postarrest.evaluation import discrimination
from postarrest.models.cnn import groups
from postarrest.places import Here
from postarrest.report.body import Body, from_html
from postarrest.report.drawings import figure_html
from postarrest.report.rendering import render
from postarrest.report.tables import table_html
from postarrest.study.runs import Run
from postarrest.words import words

# The notebooks, and the models of the scores table that each one fits.
NOTEBOOKS = {"03_cnn": ("cnn", "ct"), "04_stacking": None}


@dataclass(frozen=True)
class _Shown:
    """What the page of one notebook is made from."""

    here: Here
    runs: Sequence[Run]
    network: str

    @property
    def parts(self) -> list[str]:
        return [run.part for run in self.runs]

    def read(self, name: str) -> pd.DataFrame:
        """Return these runs' rows of a joined table; no rows if there is no such table."""
        place = self.here.table(name)
        if not place.is_file():
            return pd.DataFrame(columns=["run"])
        table = pd.read_csv(place, dtype={"value": str})
        return table[table["run"].isin(self.parts)]

    def table(self, data: pd.DataFrame, name: str) -> Markup | None:
        """Return a table as HTML, with its words; None without rows."""
        if data.empty:
            return None
        about = words()["folds"]["tables"][name]
        anchor = name.replace("_", "-")
        return Markup(table_html(data, anchor=anchor, name=name, network=self.network, **about))

    def figure(self, fig: Figure, name: str, anchor: str, **inserted: str | int) -> Markup:
        """Return a figure as HTML, with its words, and write its files."""
        about = {key: text.format(**inserted) for key, text in words()["folds"]["figures"][name].items()}
        return Markup(figure_html(fig, self.here.report_dir / "figures", name=anchor, **about))


def pages(here: Here, bodies: Mapping[Run, Body], *, network: str) -> dict[str, Body]:
    """Return the page over the runs of each notebook that ran several times, by the notebook's name.

    Parameters
    ----------
    here : Here
        The study's places; its tables have been joined.
    bodies : Mapping of Run to Body
        The runs' own pages.
    network : str
        Readers' name of the network on head CT.
    """
    found = {}
    for notebook, models in NOTEBOOKS.items():
        runs = [run for run in bodies if run.notebook == notebook]
        if len(runs) > 1:
            shown = _Shown(here, runs, network)
            text = render(
                "folds.html.j2",
                title=bodies[runs[0]].title,
                runs=runs,
                sections=_sections(shown, notebook, models),
            )
            found[notebook] = from_html(text, name=notebook)
    return found


def _sections(
    shown: _Shown, notebook: str, models: Sequence[str] | None
) -> list[tuple[str, str, list[Markup]]]:
    """Return heading, text and items of each section that applies."""
    parts = {
        "hyperparameters": [
            shown.table(side_by_side(shown.read("hyperparameters")), "hyperparameters"),
            shown.table(
                shown.read("base_algorithms").drop(columns="fold", errors="ignore"), "base_algorithms"
            ),
        ],
        "search": [*_spread(shown, notebook, models), shown.table(shown.read("cnn_search"), "cnn_search")],
        "attention": [*_attention(shown), shown.table(shown.read("attention"), "attention")],
        "reliance": [
            shown.table(_by_run(shown.read("meta_importance"), "model", "importance"), "meta_importance"),
            shown.table(
                _by_run(shown.read("super_learner"), ["predictors", "learner"], "weight"), "super_learner"
            ),
        ],
        "comparators": [
            shown.table(shown.read("comparators").drop(columns="fold", errors="ignore"), "comparators")
        ],
        "leakage": [shown.table(_leakage(shown.read("leakage")), "leakage")],
    }
    texts = words()["folds"]["sections"]
    kept = {name: [item for item in items if item] for name, items in parts.items()}
    return [(texts[name]["heading"], texts[name]["text"], items) for name, items in kept.items() if items]


def side_by_side(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the hyperparameters chosen in each run, one column per run, and the values searched.

    Examples
    --------
    >>> chosen = pd.DataFrame({"run": ["outer-1", "outer-2"], "model": "ohca", "parameter": "C",
    ...                        "value": ["0.1", "1"], "search_space": "0.01 to 10"})
    >>> side_by_side(chosen).iloc[0].to_dict()
    {'model': 'ohca', 'parameter': 'C', 'search_space': '0.01 to 10', 'outer-1': '0.1', 'outer-2': '1'}
    """
    if chosen.empty:
        return pd.DataFrame()
    # A network's name has the run in it: "cnn, revised label, holdout-1".
    chosen = chosen.assign(model=chosen["model"].str.partition(",")[0])
    return _by_run(chosen, ["model", "parameter", "search_space"], "value")


def _by_run(table: pd.DataFrame, rows: str | list[str], value: str) -> pd.DataFrame:
    """Return one row per combination of ``rows`` and one column per run, both in the order of the table."""
    if table.empty:
        return pd.DataFrame()
    rows = [rows] if isinstance(rows, str) else rows
    table = table.assign(**{row: table[row].fillna("") for row in rows})
    wide = table.pivot_table(index=rows, columns="run", values=value, aggfunc="first", sort=False)
    return wide.rename_axis(columns=None).reset_index()


def _spread(shown: _Shown, notebook: str, models: Sequence[str] | None) -> list[Markup | None]:
    """Return the figures of AUCs and scores over the outer folds."""
    place = shown.here.build("scores.csv")
    inner = _inner(shown, notebook)
    if not place.is_file() or inner.empty:
        return []
    every = scores.sets(scores.read(place))
    final = every[(every["stage"] == "final") & (every["set"] == "pooled")]
    tested = discrimination.by_fold(final)[["model", "fold", "roc_auc"]]
    aucs = inner.merge(tested.rename(columns={"roc_auc": "test"}), on=["model", "fold"], how="left")
    stem = notebook[3:]
    items = [shown.figure(figures.folds.search(aucs), "search", f"{stem}_search_folds", n=len(shown.runs))]
    mine = final[(final["kind"] == "probability") & (final["model"].isin(models) if models else True)]
    if len(mine):
        drawn = figures.folds.scores(mine)
        n = mine["patient_id"].nunique()
        items.append(shown.figure(drawn, "scores", f"{stem}_scores_folds", n=n))
    return items


def _inner(shown: _Shown, notebook: str) -> pd.DataFrame:
    """Return the AUC of each search with the hyperparameters that were chosen: ``model, fold, inner``."""
    if notebook == "03_cnn":
        trials = shown.read("cnn_search").reindex(columns=["run", "auc"])
        best = trials.groupby("run", sort=False)["auc"].max().reset_index(name="inner")
        found = best.assign(model=["ct" if run.startswith("outer") else "cnn" for run in best["run"]])
    else:
        tried = shown.read("base_algorithms").reindex(columns=["run", "model", "auc", "used"])
        found = tried[tried["used"].astype(bool)].rename(columns={"auc": "inner"})
    # Fitted on all patients, for the frozen model, there are no test patients to compare with.
    found = found[~found["run"].astype(str).str.contains("_all", regex=False)]
    folds = [int(run.split("-")[1]) if run.startswith("outer") else None for run in found["run"]]
    return found[["model", "inner"]].assign(fold=pd.Series(folds, index=found.index, dtype=float))


def _attention(shown: _Shown) -> list[Markup | None]:
    """Return Grad-CAM over all test patients of the outer folds, and of the first hold-out split."""
    items = []
    for kind, runs in _tested(shown.parts).items():
        files = [shown.here.build(f"gradcam_cnn_{part}.npz") for part in runs]
        if not all(file.is_file() for file in files):
            continue
        added = groups.read(files)
        slices, maps, titles = groups.means(added)
        n = int(added["n"].sum())
        where = {"n": n, "where": words()["folds"]["where"][kind]}
        drawn = figures.cnn.attention(slices, maps, titles, columns=3)
        items.append(shown.figure(drawn, "gradcam", f"gradcam_{kind}", **where))
        tissues = groups.shares(added)
        found = {name: str(value) for name, value in groups.looked_at(tissues).items()}
        drawn = figures.cnn.tissue_shares(tissues)
        items.append(shown.figure(drawn, "tissues", f"attention_{kind}", **where, **found))
    return items


def _tested(parts: Sequence[str]) -> dict[str, list[str]]:
    """Return the runs with test patients of each protocol, under the first outcome label."""
    outer = [part for part in parts if part.startswith("outer-")]
    holdout = [part for part in parts if part.startswith("holdout-1-")][:1]
    return {kind: runs for kind, runs in (("outer", outer), ("holdout", holdout)) if runs}


def _leakage(counted: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each run that were counted, and those of patients on whom a stage was fitted."""
    if counted.empty:
        return counted
    test = counted[counted["scored"] == "test"]
    by_run = counted.groupby("run", sort=False)
    return pd.DataFrame(
        {
            "stages": by_run["stage"].nunique(),
            "n_scored": by_run["n_scored"].sum(),
            "n_scored_test": test.groupby("run", sort=False)["n_scored"].sum(),
            "n_in_both": by_run["n_in_both"].sum(),
            "n_indirect_test": test.groupby("run", sort=False)["n_indirect"].sum(),
        }
    ).reset_index()
