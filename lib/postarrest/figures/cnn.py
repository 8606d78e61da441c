"""Figures of the CNN: its input, its training, its search, and Grad-CAM."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures import looks, style
from postarrest.models.cnn.gradcam import TISSUES
from postarrest.words import words


def slices(variants: Iterable[np.ndarray]) -> Figure:
    """Draw one patient's slice and its augmented copies side by side.

    Parameters
    ----------
    variants : iterable of numpy.ndarray of shape (1, 256, 256)
        From :func:`postarrest.models.cnn.network.variants`; window 40 / 80 HU.
    """
    images = [variant[0] for variant in variants]
    titles = ["slice", *(f"copy {number}" for number in range(1, len(images)))]
    height = style.DOUBLE_COLUMN_IN / len(images) + 0.3
    with style.drawing(1, len(images), height=height, squeeze=False) as (fig, axes):
        style.draw_slices(axes, images, titles)
    return fig


def training(curve: pd.DataFrame, best_epoch: int) -> Figure:
    """Draw the losses by epoch, with the epoch whose weights are used.

    Parameters
    ----------
    curve : pandas.DataFrame
        ``part`` (``head``, then ``fine-tuning``), ``epoch, train_loss`` and, in hold-out splits,
        ``tune_loss``.
    best_epoch : int
        The epoch whose weights are used.
    """
    with style.drawing(width=style.SINGLE_COLUMN_IN, height=2.4) as (fig, ax):
        for label, colour, dash in (("train", style.NEUTRAL, "-"), ("tune", style.POOR, "--")):
            if f"{label}_loss" in curve:
                loss = curve[f"{label}_loss"]
                ax.plot(curve["epoch"], loss, dash, color=colour)
                end = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
                ax.annotate(label, (curve["epoch"].iloc[-1], loss.iloc[-1]), color=colour, **end)
        ax.axvline(best_epoch, color=style.GOOD, lw=1, ls=":")
        of_head = int((curve["part"] == "head").sum())
        if of_head < len(curve):
            ax.axvspan(of_head + 0.5, len(curve) + 0.5, color=style.NEUTRAL, alpha=0.12, lw=0)
            ax.text(of_head + 0.7, ax.get_ylim()[1], "fine-tuning", va="top", fontsize=6)
        ax.set(xlabel=f"epoch (weights of epoch {best_epoch} are used)", ylabel="mean cross-entropy, nats")
    return fig


def history(searches: Mapping[tuple[str, ...], pd.DataFrame]) -> Figure:
    """Draw each search's trials, and the best so far.

    Parameters
    ----------
    searches : Mapping
        Identifiers of a model and, if there are several, of its algorithm to its ``history``
        (``trial, auc, best``).
    """
    n = len(searches)
    width = min(style.DOUBLE_COLUMN_IN, 2.4 * n + 0.8)
    with style.drawing(1, n, width=width, height=2.3, sharey=True, squeeze=False) as (fig, axes):
        for ax, ((model, *algorithm), trials) in zip(axes[0], searches.items(), strict=True):
            ax.plot(trials["trial"], trials["auc"], "o", ms=3, color=style.NEUTRAL, mfc="none")
            ax.step(trials["trial"], trials["best"], where="post", color=style.GOOD)
            stopped = int(trials["auc"].isna().sum())
            lines = [line for name in algorithm for line in textwrap.wrap(words()["algorithms"][name], 24)]
            ax.set_title(looks.panel_title(model, *lines), fontsize=8)
            ax.set_xlabel(f"Trial (n = {len(trials)}, {stopped} stopped early)", fontsize=7)
        axes[0, 0].set_ylabel("Mean ROC-AUC where chosen")
    return fig


def patients(
    images: np.ndarray,
    cams: np.ndarray,
    y_good: np.ndarray,
    predicted_good: np.ndarray,
    score: np.ndarray,
    *,
    n: int,
) -> Figure:
    """Draw Grad-CAM of ``n`` patients, evenly spread from the highest score to the lowest.

    Parameters
    ----------
    images, cams : numpy.ndarray of shape (patients, 256, 256)
        Slices and maps.
    y_good, predicted_good, score : numpy.ndarray of shape (patients,)
        True outcome, predicted outcome and score.
    n : int
        Patients shown, at least 1.
    """
    n = min(max(n, 1), len(score))
    shown = np.argsort(-score)[np.linspace(0, len(score) - 1, n).astype(int)]
    true, predicted = (np.where(good, "good", "poor") for good in (y_good, predicted_good))
    titles = [f"{true[i]} outcome, predicted\n{predicted[i]} (score {score[i]:.2f})" for i in shown]
    return attention(images[shown], cams[shown], titles, columns=n)


def attention(images: np.ndarray, cams: np.ndarray, titles: Sequence[str], *, columns: int) -> Figure:
    """Draw Grad-CAM maps over slices, with one colour scale.

    Parameters
    ----------
    images, cams : numpy.ndarray of shape (n, 256, 256)
        Slices and their maps.
    titles : sequence of str
        Title of each.
    columns : int
        Slices per row.
    """
    cams = cams / max(float(cams.max()), 1e-9)
    rows = -(-len(cams) // columns)
    height = rows * (style.DOUBLE_COLUMN_IN * 0.9 / columns + 0.35)
    with style.drawing(rows, columns, height=height, squeeze=False) as (fig, axes):
        style.draw_slices(axes, images, titles, fontsize=7)
        for ax, cam in zip(axes.flat, cams, strict=False):
            # This colour map runs from dark to light, also in gray-scale print, where the contours help.
            drawn = ax.imshow(cam, cmap="inferno", vmin=0, vmax=1, alpha=0.8 * cam)
            levels = [level for level in (0.25, 0.5, 0.75) if cam.min() < level < cam.max()]
            if levels:
                ax.contour(cam, levels=levels, colors="white", linewidths=0.6)
        bar = fig.colorbar(drawn, ax=axes.ravel().tolist(), shrink=0.6, pad=0.01)
        bar.set_label("share of the strongest\n(contours: 0.25, 0.5, 0.75)", fontsize=6)
        bar.solids.set_alpha(1)
    return fig


def tissue_shares(shares: pd.DataFrame) -> Figure:
    """Draw the mean share of attention by tissue and outcome.

    Parameters
    ----------
    shares : pandas.DataFrame
        ``tissue, outcome, n, share, lower, upper, area``.
    """
    with style.drawing(width=style.SINGLE_COLUMN_IN + 1.2, height=2.6) as (fig, ax):
        groups = {"good": (-0.14, style.GOOD, "o"), "poor": (0.14, style.POOR, "^")}
        for outcome, rows in shares.groupby("outcome"):
            offset, colour, marker = groups[outcome]
            at = rows["tissue"].map(TISSUES.index) + offset
            error = [rows["share"] - rows["lower"], rows["upper"] - rows["share"]]
            point = {"fmt": marker, "color": colour, "ms": 4, "lw": 1, "capsize": 2}
            label = f"{outcome} outcome (n = {rows['n'].iloc[0]})"
            ax.errorbar(rows["share"], at, xerr=error, label=label, **point)
        area = shares.drop_duplicates("tissue")
        ax.plot(area["area"], area["tissue"].map(TISSUES.index), "k|", ms=14, label="share of area")
        ax.set_yticks(range(len(TISSUES)), TISSUES)
        ax.set(xlabel="share of attention, mean with 95 % interval", xlim=(0, None))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig
