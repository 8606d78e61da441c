"""Decision curves, and the accuracy of decisions at thresholds."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from postarrest import scores
from postarrest.estimate import Estimate
from postarrest.evaluation import confusion, intervals, thresholds


def curve(
    y_good: ArrayLike,
    probability: ArrayLike,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    step: float = 0.01,
) -> pd.DataFrame:
    """Return the net benefit of treating those predicted good at each threshold (Vickers 2006).

    Net benefit = TP / n - FP / n * t / (1 - t), with the good outcome positive: one unit is one good outcome
    recognised, and a threshold t means that missing one is as bad as predicting (1 - t) / t poor outcomes to
    be good.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    probability : array-like of float, (patients,)
        Predicted probability of a good outcome.
    n_resamples, seed : int
        Bootstrap of patients (not stratified: the prevalence is part of the net benefit).
    level : float
        Coverage of the pointwise band.
    step : float
        Distance of the thresholds, which run from one step to one step below 1.

    Returns
    -------
    pandas.DataFrame
        ``threshold, net_benefit, lower, upper, treat_all, treat_none, gain, gain_lower, gain_upper``. The
        net benefit is also the difference to predicting nobody good (``treat_none``, 0); ``gain`` is the
        difference to predicting all good (``treat_all``), with a paired interval.

    Examples
    --------
    >>> curve([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], step=0.25).round(2).iloc[1, :2].tolist()
    [0.5, 0.0]
    """
    y_good, probability = np.asarray(y_good, int), np.asarray(probability, float)
    grid = thresholds.grid(step)[1:-1]
    odds = grid / (1 - grid)
    # All patients of one outcome between two thresholds count alike, so a bootstrap of patients is a
    # multinomial draw of their numbers.
    reached = np.searchsorted(grid, probability, "right")
    cells = np.stack([np.bincount(reached[y_good == y], minlength=len(grid) + 1) for y in (0, 1)])
    n = len(y_good)
    drawn = np.random.default_rng(seed).multinomial(n, cells.ravel() / n, n_resamples)
    drawn = drawn.reshape(n_resamples, 2, len(grid) + 1)

    def net_benefit(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the net benefit of the model and of predicting all good."""
        # Patients who reach a threshold are predicted good.
        reaching = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
        (poor, good), (false, true) = (
            np.moveaxis(part, -2, 0) for part in (reaching[..., :1], reaching[..., 1:])
        )
        return (true - false * odds) / n, (good - poor * odds) / n

    tails = [(1 - level) / 2, (1 + level) / 2]
    (model, everyone), (model_drawn, everyone_drawn) = net_benefit(cells), net_benefit(drawn)
    lower, upper = np.quantile(model_drawn, tails, axis=0)
    found = {"threshold": grid, "net_benefit": model, "lower": lower, "upper": upper}
    found |= {"treat_all": everyone, "treat_none": 0.0, "gain": model - everyone}
    gain_lower, gain_upper = np.quantile(model_drawn - everyone_drawn, tails, axis=0)
    return pd.DataFrame(found | {"gain_lower": gain_lower, "gain_upper": gain_upper})


def at_threshold(
    cells: tuple[int, int, int, int],
    threshold: float,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Estimate, Estimate]:
    """Return the net benefit at one threshold, and its difference to predicting all good; see :func:`curve`.

    Parameters
    ----------
    cells : tuple of int
        Patients by decision: TP, FP, FN, TN with the good outcome positive.
    threshold : float
        Threshold probability, above 0 and below 1.
    n_resamples, seed : int
        Bootstrap of patients, which is a multinomial draw of the four cells.
    level : float
        Coverage of the intervals.

    Examples
    --------
    >>> net_benefit, gain = at_threshold((12, 20, 1, 31), 0.1)
    >>> print(net_benefit)
    0.15 (95 % CI 0.05 to 0.26)
    """
    cells, n, odds = np.asarray(cells), sum(cells), threshold / (1 - threshold)
    drawn = np.random.default_rng(seed).multinomial(n, cells / n, n_resamples)

    def values(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tp, fp, fn, tn = np.moveaxis(counts, -1, 0)
        return (tp - fp * odds) / n, (tn * odds - fn) / n

    value, resampled = values(cells), values(drawn)
    found = (intervals.interval(v, r, level=level) for v, r in zip(value, resampled, strict=True))
    return tuple(found)


def useful(table: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, str]]:
    """Return in words at which thresholds each model is better than predicting all, and than nobody, good.

    Better means that the lower limits of both differences in net benefit are above 0.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`table`.
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one outcome label and set.

    Returns
    -------
    list of dict
        ``model`` and ``where`` for each model that predicts probabilities.

    Examples
    --------
    >>> keys = {"outcome_label": "standard", "set": "pooled", "model": "the_model"}
    >>> found = pd.DataFrame({"threshold": [0.1, 0.2, 0.3, 0.4], "lower": [0.1, 0.1, 0.0, 0.1],
    ...                       "gain_lower": [0.0, 0.1, 0.1, 0.1]}).assign(**keys)
    >>> useful(found, pd.DataFrame([keys]))
    [{'model': 'the_model', 'where': 'at 0.20 and 0.40'}]
    """
    found = []
    for model, curve in scores.in_group(table, scores.group_of(rows)).groupby("model", sort=False):
        better = (curve["lower"] > 0) & (curve["gain_lower"] > 0)
        runs = curve[better].groupby((better != better.shift()).cumsum())["threshold"]
        ends = runs.agg(["min", "max"]).itertuples(index=False, name=None)
        *most, last = [f"{a:.2f}" if a == b else f"{a:.2f} to {b:.2f}" for a, b in ends] or [""]
        where = " and ".join(filter(None, [", ".join(most), last]))
        found.append({"model": model, "where": f"at {where or 'no threshold'}"})
    return found


def table(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return the decision curve of every model that predicts probabilities.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one stage.

    Returns
    -------
    pandas.DataFrame
        :func:`curve`'s columns after ``outcome_label, set, model``.
    """
    keys = ["outcome_label", "set", "model"]
    curves = {
        key: curve(mine["y_good"], mine["score"], n_resamples=n_resamples, seed=seed)
        for key, mine in rows[rows["kind"] == "probability"].groupby(keys, sort=False)
    }
    if not curves:
        return pd.DataFrame(columns=[*keys, *curve([0, 1], [0.0, 1.0], n_resamples=1).columns])
    return pd.concat(curves, names=keys).reset_index(keys).reset_index(drop=True)


def of_model(table: pd.DataFrame, rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the thresholds of one model that were not chosen on the patients they are applied to.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.thresholds.table`.
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`, of one outcome label and set.
    model : str
        Its identifier.
    """
    found = scores.in_group(table, scores.group_of(rows))
    found = found[(found["model"] == model) & (found["chosen_on"] != "test")]
    columns = ["rule", "chosen_on", "threshold", "tp", "fp", "fn", "tn"]
    columns += ["sensitivity", "specificity", "ppv", "npv", "fnr", "fnr_upper", "note"]
    return found[columns].reset_index(drop=True)


def consequences(decided: pd.DataFrame) -> list[dict[str, object]]:
    """Return what each threshold from :func:`of_model` that limits false pessimism does, for a sentence.

    Returns
    -------
    list of dict
        ``of`` and ``rule``, ``wrongly_poor`` of ``n_good`` patients, ``fnr`` and ``fnr_upper`` in percent,
        ``recognised_poor`` of ``n_poor`` patients. Rules without a threshold are left out.
    """
    some = decided[decided["rule"].isin(thresholds.LIMITS) & decided["threshold"].notna()]
    return [
        {
            "of": row.rule,
            "rule": row.rule,
            "wrongly_poor": int(row.fn),
            "n_good": int(row.tp + row.fn),
            "fnr": Estimate(100 * row.fnr, digits=1),
            "fnr_upper": Estimate(100 * row.fnr_upper, digits=1),
            "recognised_poor": int(row.tn),
            "n_poor": int(row.tn + row.fp),
        }
        for row in some.itertuples()
    ]


def at_thresholds(decisions: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Tabulate the accuracy of decisions at thresholds for both classes, with intervals.

    Parameters
    ----------
    decisions : pandas.DataFrame
        From :func:`postarrest.evaluation.thresholds.table`.
    n_resamples, seed : int
        Bootstrap of F1, F2 and balanced accuracy.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, rule, chosen_on, threshold, metric, positive_class, estimate, lower,
        upper, ci_method, n, n_good``. With ``positive_class`` poor, the sensitivity is the share of poor
        outcomes predicted poor, the PPV the share of poor outcomes among those predicted poor, and so on.
        Proportions have Clopper-Pearson intervals, likelihood ratios the log method's (Simel 1991).

    Notes
    -----
    At a given threshold only the patient's cell of the confusion matrix matters, so a bootstrap of patients
    is a multinomial draw of the four cells.
    """
    found = []
    keys = ["outcome_label", "set", "model", "rule", "chosen_on", "threshold", "n", "n_good"]
    for position, row in enumerate(decisions.dropna(subset="tp").to_dict("records")):
        cells = [int(row[c]) for c in ("tp", "fp", "fn", "tn")]
        stream = np.random.default_rng([seed, position])
        drawn = stream.multinomial(sum(cells), np.array(cells) / sum(cells), n_resamples).T
        label = {key: row[key] for key in keys}
        for positive_class, order in (("good", [0, 1, 2, 3]), ("poor", [3, 2, 1, 0])):
            found += [
                label
                | {"metric": metric, "positive_class": positive_class, "estimate": e.value}
                | {"lower": e.lower, "upper": e.upper, "ci_method": method}
                for metric, method, e in _decision(*(cells[i] for i in order), drawn[order])
            ]
    columns = [*keys[:6], "metric", "positive_class", "estimate", "lower", "upper", "ci_method", *keys[6:]]
    return pd.DataFrame(found, columns=columns)


def _decision(tp: int, fp: int, fn: int, tn: int, drawn: np.ndarray) -> list[tuple[str, str, Estimate]]:
    value = {name: float(v) for name, v in confusion.rates(tp, fp, fn, tn).items()}
    good, poor = tp + fn, fp + tn
    found = []
    shares = confusion.proportions(tp, fp, fn, tn)
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        limits = map(float, intervals.proportion_interval(*shares[name]))
        found.append((name, "Clopper-Pearson", Estimate(value[name], *limits)))
    for name, (of_good, of_poor) in {"lr_positive": (tp, fp), "lr_negative": (fn, tn)}.items():
        limits = [np.nan, np.nan]
        if min(of_good, of_poor) > 0:
            error = np.sqrt(1 / of_good - 1 / good + 1 / of_poor - 1 / poor)
            limits = np.exp(np.log(value[name]) + norm.ppf([0.025, 0.975]) * error)
        found.append((name, "log method", Estimate(value[name], *map(float, limits))))
    resampled = confusion.rates(*drawn)
    for name in ("f1", "f2", "balanced_accuracy"):
        found.append((name, "bootstrap percentile", intervals.interval(value[name], resampled[name])))
    return found
