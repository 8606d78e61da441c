"""The runs of notebooks that make up a study's report."""

from dataclasses import dataclass

from postarrest.models import splits
from postarrest.places import run_name
from postarrest.study.load import Study
from postarrest.words import split_in_words


@dataclass(frozen=True)
class Run:
    """One run of a notebook: its only one, or that of one split.

    Parameters
    ----------
    notebook : str
        Name of the notebook.
    part : str
        Which run: ``"outer-3"``, ``"holdout-1-revised"``; blank if there is only one.
    """

    notebook: str
    part: str = ""

    @property
    def name(self) -> str:
        """Name of the page, which is the executed notebook's without ending."""
        return run_name(self.notebook, self.part)

    @property
    def on_all(self) -> bool:
        """Whether all patients are fitted on, for the frozen model, and none are tested."""
        return self.part.startswith(tuple(splits.ON_ALL.values()))

    @property
    def title(self) -> str:
        """The part in words.

        Examples
        --------
        >>> Run("03_cnn", "holdout-1-revised").title
        'hold-out split 1, revised outcome'
        >>> Run("04_stacking", "outer-3").title
        'outer fold 3'
        >>> Run("04_stacking", "outer_all-1").title
        'all patients, for the frozen model'
        """
        return split_in_words(self.part)


def runs(study: Study) -> list[Run]:
    """Return the runs of notebooks that make up a study's report, in reading order."""
    settings = splits.Settings(**study.sections["splits"])
    names = splits.names(study.protocols, settings)
    outer = [name for name in names if name.startswith("outer")]
    # Only hold-out splits are run under every outcome label.
    every = [name for name in names if name.startswith("holdout-")]
    labels = {name: study.outcome_labels if name in every else study.outcome_labels[:1] for name in names}
    networks = [f"{name}-{label}" for name in names for label in labels[name]]
    parts = {"03_cnn": networks, "04_stacking": outer}
    return [Run(notebook, part) for notebook in study.notebooks for part in parts.get(notebook, [""])]
