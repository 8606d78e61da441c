"""Fitted models on disk without pickle: the parts that a frozen model is put together from.

scikit-learn's models, LightGBM's (as the text that it calls its model file) and this library's own are
written by skops, networks in Keras's format. Reading such a file builds only objects of the types listed in
:data:`TRUSTED`; none of their code comes from the file.
"""

import copy
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from postarrest.files import write_bytes, write_text

# Types that skops does not trust by itself. A new kind of model needs its own here, or it cannot be kept.
TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "numpy.dtype",
        "postarrest.models.forests.ExtraTrees",
        "postarrest.models.forests.Forest",
        "postarrest.models.forests.Once",
        "postarrest.models.platt.Given",
        "postarrest.models.stacking.log_odds",
        "postarrest.models.super_learner.around_the_mean",
        "postarrest.models.tabular.Splines",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.tree._tree.Tree",
    }
)
LISTED = "parts.json"

Kind = Literal["estimator", "network", "same", "recalibrated", "ohca_score", "gwr", "gwr_automatic"]


class PartError(ValueError):
    """A model that cannot be written or read; the message says which and why."""


@dataclass(frozen=True)
class Part:
    """One model of a study, and what it predicts from.

    Parameters
    ----------
    name : str
        As in the scores table; before Platt scaling, ``<name>_before_platt``.
    columns : tuple of str
        Columns of the cohort among its predictors.
    scores : tuple of str
        Other parts whose probabilities are among its predictors, after the columns.
    estimator : object
        What was fitted: with ``predict_proba``, or a head on a network. None where nothing was.
    kind : str
        ``estimator``, ``network`` (a head, and the network below it), ``same`` (its only score under another
        name), ``recalibrated`` (its only score, recalibrated), ``ohca_score``, ``gwr`` (formulas), or
        ``gwr_automatic`` (the ratio of what the network that reads CT measures; ``reader`` is the SHA-256
        of that network).
    settings : dict
        Plain values that a network or a formula needs.
    """

    name: str
    columns: tuple[str, ...]
    scores: tuple[str, ...]
    estimator: Any = field(default=None, repr=False)
    kind: Kind = "estimator"
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that it is written to."""
        endings = {"estimator": ("skops",), "network": ("keras", "skops")}.get(self.kind, ())
        return tuple(f"{self.name}.{ending}" for ending in endings)


def keep(parts: Iterable[Part], folder: Path, *, network: Any = None) -> None:
    """Write fitted models and the list of them, ``parts.json``, into a folder.

    Parameters
    ----------
    parts : iterable of Part
        Each after those whose scores it uses.
    folder : pathlib.Path
        Created if need be; files of the same names are replaced.
    network : postarrest.models.cnn.network.Network, optional
        The network below a head.

    Raises
    ------
    PartError
        If a model is of a type that would not be read again.
    """
    listed = []
    for part in parts:
        settings = part.settings
        if part.kind == "network":
            from postarrest.models.cnn import frozen

            model, arrays, settings = frozen.of_head(part.estimator, network)
            write_bytes(folder / f"{part.name}.keras", frozen.to_bytes(model))
            write_bytes(folder / f"{part.name}.skops", dumped(arrays, part.name))
        elif part.kind == "estimator":
            write_bytes(folder / f"{part.name}.skops", dumped(part.estimator, part.name))
        about = {"name": part.name, "kind": part.kind, "columns": part.columns, "scores": part.scores}
        listed.append(about | {"settings": settings})
    write_text(folder / LISTED, json.dumps(listed, indent=1) + "\n")


def kept(folder: Path) -> list[Part]:
    """Return the parts that a folder lists, without their estimators."""
    listed = json.loads((folder / LISTED).read_text(encoding="utf-8"))
    return [of_json(one) for one in listed]


def of_json(one: dict[str, Any]) -> Part:
    """Return a part as :func:`keep` lists it, without its estimator.

    Examples
    --------
    >>> of_json({"name": "pupil", "kind": "estimator", "columns": ["a"], "scores": [], "settings": {}}).files
    ('pupil.skops',)
    """
    return Part(**one | {"columns": tuple(one["columns"]), "scores": tuple(one["scores"])})


def dumped(estimator: Any, name: str) -> bytes:
    """Return a fitted model as skops writes it, without the folds that it was cross-fitted in.

    Raises
    ------
    PartError
        If it holds a type that would not be read again.
    """
    import skops.io

    if hasattr(estimator, "cv") and hasattr(estimator, "get_params"):
        # Which patient was in which fold is nobody's business and not needed for scoring.
        estimator = copy.copy(estimator)
        estimator.cv = None
    content = skops.io.dumps(estimator, compression=zipfile.ZIP_DEFLATED)
    _refuse_foreign(content, name)
    return content


def loaded(content: bytes, name: str) -> Any:
    """Return a model written by :func:`dumped`.

    Raises
    ------
    PartError
        If it holds a type that is not trusted.
    """
    import skops.io

    _refuse_foreign(content, name)
    return skops.io.load(io.BytesIO(content), trusted=sorted(TRUSTED))


def _refuse_foreign(content: bytes, name: str) -> None:
    import skops.io

    foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - TRUSTED)
    if foreign:
        raise PartError(f"model '{name}' holds {', '.join(foreign)}, which models/parts.py does not list.")
