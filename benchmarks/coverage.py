"""Do 95 % intervals keep their nominal coverage? A simulation with known truth, for every kind of interval.

    python benchmarks/coverage.py --out docs/coverage.csv

Patients come one by one, so the number of good outcomes varies from cohort to cohort, as it does in life.
Three independent models have normal scores with equal variance in both outcomes (areas 0.68, 0.82 and 0.95)
and give the true probability of a good outcome. The truth is the population's, by numerical integration.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from postarrest.evaluation import bootstrap, calibration, confusion, delong
from postarrest.evaluation.intervals import interval, proportion_interval

SIZES = (64, 321, 533)
PREVALENCES = (0.15, 0.21)
AREAS = {"0.68": 0.68, "0.82": 0.82, "0.95": 0.95}
# Fixed thresholds at which these shares of the good outcomes are recognised.
SENSITIVITIES = (0.80, 0.95)
BOOTSTRAPPED = ("roc_auc", "pr_auc_good", "pr_auc_poor", "brier", "brier_skill", "log_loss")


def truth(area: float, prevalence: float) -> dict[str, float]:
    """Population value of each measure for binormal scores and true probabilities."""
    d = np.sqrt(2) * norm.ppf(area)

    def probability(x):
        return expit(d * x - d * d / 2 + logit(prevalence))

    def mean(function):
        def mixture(x):
            return (prevalence * norm.pdf(x - d) + (1 - prevalence) * norm.pdf(x)) * function(x)

        return quad(mixture, -12, 12 + d, limit=200)[0]

    def good_precision(x):
        hits, false = prevalence * norm.sf(x - d), (1 - prevalence) * norm.sf(x)
        return norm.pdf(x - d) * hits / (hits + false)

    def poor_precision(x):
        hits, false = (1 - prevalence) * norm.cdf(x), prevalence * norm.cdf(x - d)
        return norm.pdf(x) * hits / (hits + false)

    brier = mean(lambda x: probability(x) * (1 - probability(x)))
    entropy = mean(
        lambda x: (
            -(probability(x) * np.log(probability(x)) + (1 - probability(x)) * np.log1p(-probability(x)))
        )
    )
    return {
        "roc_auc": area,
        "pr_auc_good": quad(good_precision, -8, 8 + d, limit=200)[0],
        "pr_auc_poor": quad(poor_precision, -8, 8, limit=200)[0],
        "brier": brier,
        "brier_skill": 1 - brier / (prevalence * (1 - prevalence)),
        "log_loss": entropy,
    }


def cohort(rng: np.random.Generator, n: int, prevalence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, raw scores and true probabilities of one simulated cohort."""
    while True:
        y = (rng.random(n) < prevalence).astype(int)
        # One in some thousand cohorts of 64 has fewer than two good outcomes; nobody would report it.
        if 2 <= y.sum() <= n - 2:
            break
    d = np.sqrt(2) * norm.ppf(list(AREAS.values()))
    x = rng.normal(size=(n, len(AREAS))) + d * y[:, None]
    return y, x, expit(d * x - d * d / 2 + logit(prevalence))


def intervals(y, x, p, *, n_resamples, seed):
    """Yield (statistic, model, interval, Estimate) of one cohort."""
    names = list(AREAS)
    test = delong.delong(y, p, models=names)
    for name in names:
        yield "roc_auc", name, "DeLong", test.interval(name)
        yield "roc_auc", name, "DeLong logit", test.interval(name, transform="logit")
    yield "roc_auc difference", "0.82 - 0.68", "DeLong paired", test.difference("0.82", "0.68")[0]
    for stratified in (True, False):
        boot = bootstrap.bootstrap(
            y, p, models=names, n_resamples=n_resamples, seed=seed, stratified=stratified
        )
        how = "stratified" if stratified else "unstratified"
        for method, words in (("percentile", "percentile"), ("bca", "BCa")):
            for measure in BOOTSTRAPPED:
                for name in names:
                    yield (
                        measure,
                        name,
                        f"bootstrap {words}, {how}",
                        boot.interval(name, measure, method=method),
                    )
            for measure in BOOTSTRAPPED:
                found, _ = boot.difference("0.82", "0.68", measure, method=method)
                yield f"{measure} difference", "0.82 - 0.68", f"bootstrap {words}, {how}", found
    d = np.sqrt(2) * norm.ppf(AREAS["0.82"])
    for share in SENSITIVITIES:
        at = d - norm.ppf(share)
        tp, fp, fn, tn = (int(c[0]) for c in confusion.confusion(y, x[:, names.index("0.82")], [at]))
        for method, words in (("clopper-pearson", "Clopper-Pearson"), ("wilson", "Wilson")):
            for statistic, count, of in (
                (f"sensitivity {share}", tp, tp + fn),
                (f"specificity at sensitivity {share}", tn, tn + fp),
                (f"PPV at sensitivity {share}", tp, tp + fp),
                (f"NPV at sensitivity {share}", tn, tn + fn),
            ):
                lower, upper = proportion_interval(count, of, method=method)
                yield statistic, "0.82", words, _estimate(count / of if of else np.nan, lower, upper)
        cells = np.array([tp, fp, fn, tn])
        drawn = np.random.default_rng(seed).multinomial(cells.sum(), cells / cells.sum(), n_resamples).T
        for metric in ("f1", "f2", "balanced_accuracy"):
            value = float(confusion.rates(*cells)[metric])
            found = interval(value, confusion.rates(*drawn)[metric])
            yield f"{metric} at sensitivity {share}", "0.82", "bootstrap percentile, unstratified", found
    for name in names:
        fitted = calibration.recalibrate(y, p[:, names.index(name)])
        yield "calibration intercept", name, "Wald", fitted.intercept
        yield "calibration slope", name, "Wald", fitted.slope


def _estimate(value, lower, upper):
    return bootstrap.Estimate(float(value), float(lower), float(upper))


def truths(prevalence: float) -> dict[tuple[str, str], float]:
    """The truth of every statistic and model."""
    known = {name: truth(area, prevalence) for name, area in AREAS.items()}
    found = {(measure, name): known[name][measure] for name in AREAS for measure in BOOTSTRAPPED}
    for measure in BOOTSTRAPPED:
        found[f"{measure} difference", "0.82 - 0.68"] = known["0.82"][measure] - known["0.68"][measure]
    d = np.sqrt(2) * norm.ppf(AREAS["0.82"])
    for share in SENSITIVITIES:
        specificity = norm.cdf(d - norm.ppf(share))
        cells = (
            prevalence * share,
            (1 - prevalence) * (1 - specificity),
            prevalence * (1 - share),
            (1 - prevalence) * specificity,
        )
        rates = confusion.rates(*cells)
        found[f"sensitivity {share}", "0.82"] = share
        found[f"specificity at sensitivity {share}", "0.82"] = specificity
        found[f"PPV at sensitivity {share}", "0.82"] = float(rates["ppv"])
        found[f"NPV at sensitivity {share}", "0.82"] = float(rates["npv"])
        for metric in ("f1", "f2", "balanced_accuracy"):
            found[f"{metric} at sensitivity {share}", "0.82"] = float(rates[metric])
    for name in AREAS:
        found["calibration intercept", name], found["calibration slope", name] = 0.0, 1.0
    return found


def simulate(n: int, prevalence: float, *, simulations: int, n_resamples: int, seed: int) -> pd.DataFrame:
    """Coverage of every interval at one size and prevalence."""
    rng = np.random.default_rng([seed, n, round(1000 * prevalence)])
    known = truths(prevalence)
    limits = defaultdict(list)
    for number in range(simulations):
        y, x, p = cohort(rng, n, prevalence)
        for statistic, model, kind, found in intervals(y, x, p, n_resamples=n_resamples, seed=number):
            limits[statistic, model, kind].append((found.lower, found.upper))
    rows = []
    for (statistic, model, kind), pairs in limits.items():
        lower, upper = np.array(pairs).T
        known_lower, known_upper = lower[np.isfinite(lower)], upper[np.isfinite(lower)]
        value = known[statistic, model]
        below, above = float((known_lower > value).mean()), float((known_upper < value).mean())
        coverage = 1 - below - above
        rows.append(
            {
                "statistic": statistic,
                "model": model,
                "interval": kind,
                "n": n,
                "prevalence": prevalence,
                "truth": value,
                "coverage": coverage,
                "mc_error": np.sqrt(coverage * (1 - coverage) / len(known_lower)),
                "truth_below": below,
                "truth_above": above,
                "mean_width": float((known_upper - known_lower).mean()),
                "no_interval": 1 - len(known_lower) / simulations,
                "simulations": simulations,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Run all sizes and prevalences and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    parts = []
    for n in SIZES:
        for prevalence in PREVALENCES:
            print(f"n = {n}, prevalence {prevalence}: {arguments.simulations} cohorts", flush=True)
            parts.append(
                simulate(
                    n,
                    prevalence,
                    simulations=arguments.simulations,
                    n_resamples=arguments.resamples,
                    seed=arguments.seed,
                )
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    pd.concat(parts, ignore_index=True).to_csv(
        arguments.out, index=False, float_format="%.4f", lineterminator="\n"
    )


if __name__ == "__main__":
    main()
