"""What a study's main model is, in words for its model card: an ensemble, a network, a ratio, a score."""

from dataclasses import dataclass

from postarrest.models import bundle, stacking, super_learner, tabular
from postarrest.report.runs import Report
from postarrest.study.load import complete_parameters
from postarrest.words import listed, predictor_in_sentence, words

# Models that combine the base models or their predictors.
_OF_ALL = ("ensemble", "ensemble_logistic", super_learner.MODEL, *stacking.REFERENCES)


@dataclass(frozen=True)
class MainModel:
    """What a model card needs to know of the main model.

    Parameters
    ----------
    what : str
        What it is, in a sentence or two.
    fitted : bool
        Whether it was fitted to outcomes and gives a probability; a ratio or a published score is not.
    network : bool
        Whether it uses the network on head CT.
    tabular : bool
        Whether variables with missing values are among its predictors.
    automatic : bool
        Whether a network that was trained on simulated heads measures it.
    """

    what: str
    fitted: bool = True
    network: bool = False
    tabular: bool = False
    automatic: bool = False


def of(report: Report) -> MainModel:
    """Return what the main model of a report is."""
    study, name = report.study, report.result.main
    said = words()["what_it_is"]
    updated = name.endswith(bundle.ENDING)
    name = name.removesuffix(bundle.ENDING)
    ending = f" {said['updated']}" if updated else ""
    if name.startswith("gwr"):
        automatic = name.endswith("_auto") or name == "gwr_unmixed"
        kind = "unmixed" if name == "gwr_unmixed" else "automatic" if automatic else "manual"
        return MainModel(said[f"gwr_{kind}"], fitted=False, automatic=automatic)
    if name.startswith("ohca_score"):
        return MainModel(said["ohca_score"], fitted=False)
    bases = {}
    if "04_stacking" in study.notebooks:
        given = complete_parameters(study, "04_stacking", root=report.here.root)
        bases = tabular.declared(given["base_models"])
    networks = {base for base, model in bases.items() if model.algorithm == "cnn"}
    if name in _OF_ALL:
        return MainModel(said[name] + ending, network=bool(networks), tabular=True)
    if name == "cnn" or name in networks:
        return MainModel(said["cnn"] + ending, network=True)
    if name not in bases:
        return MainModel(said["frozen"] + ending, tabular=True)
    algorithm = words()["algorithms"][bases[name].algorithm]
    predictors = listed([predictor_in_sentence(column) for column in bases[name].predictors])
    return MainModel(said["base"].format(algorithm=algorithm, predictors=predictors), tabular=True)
