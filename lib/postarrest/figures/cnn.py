"""Figures of the CNN: the slices it gets, its training, its search, and where it looked."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures.style import DOUBLE_COLUMN_IN, GOOD, NEUTRAL, POOR, SINGLE_COLUMN_IN, report_style
from postarrest.models.cnn.gradcam import TISSUES

# From dark to light in every print, gray ones too.
_HEAT = "inferno"


def slices(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draw slices side by side, as the network gets them.

    Parameters
    ----------
    images : numpy.ndarray of shape (n, 256, 256)
        Slices, window 40 / 80 HU.
    titles : sequence of str
        What stands above each.
    """
    with report_style():
        fig, axes = plt.subplots(
            1, len(images), figsize=(DOUBLE_COLUMN_IN, DOUBLE_COLUMN_IN / len(images) + 0.3)
        )
        for ax, image, title in zip(np.atleast_1d(axes), images, titles, strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255)
            ax.set_title(title)
            ax.set_axis_off()
    return fig


def training(curve: pd.DataFrame, best_epoch: int) -> Figure:
    """Draw the losses by epoch, with the epoch whose weights are used.

    Parameters
    ----------
    curve : pandas.DataFrame
        ``part`` (``head``, then ``fine-tuning``), ``epoch, train_loss`` and, where tune patients were
        watched, ``tune_loss``.
    best_epoch : int
        The epoch kept.
    """
    with report_style():
        fig, ax = plt.subplots(figsize=(SINGLE_COLUMN_IN, 2.4))
        lines = {"train_loss": ("train", NEUTRAL, "-"), "tune_loss": ("tune", POOR, "--")}
        for column, (label, colour, dash) in lines.items():
            if column in curve:
                ax.plot(curve["epoch"], curve[column], dash, color=colour)
                ax.annotate(
                    label,
                    (curve["epoch"].iloc[-1], curve[column].iloc[-1]),
                    xytext=(4, 0),
                    textcoords="offset points",
                    color=colour,
                    va="center",
                )
        ax.axvline(best_epoch, color=GOOD, lw=1, ls=":")
        of_head = int((curve["part"] == "head").sum())
        if of_head < len(curve):
            ax.axvspan(of_head + 0.5, len(curve) + 0.5, color=NEUTRAL, alpha=0.12, lw=0)
            ax.text(of_head + 0.7, ax.get_ylim()[1], "fine-tuning", va="top", fontsize=6)
        ax.set(xlabel=f"epoch (weights of epoch {best_epoch} are used)", ylabel="mean cross-entropy, nats")
    return fig


def history(searches: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw each search's trials, and the best so far.

    Parameters
    ----------
    searches : Mapping
        Name of a model to its ``history`` (``trial, auc, best``).
    """
    with report_style():
        n = len(searches)
        fig, axes = plt.subplots(1, n, figsize=(min(DOUBLE_COLUMN_IN, 2.4 * n + 0.8), 2.3), sharey=True)
        for ax, (name, trials) in zip(np.atleast_1d(axes), searches.items(), strict=True):
            ax.plot(trials["trial"], trials["auc"], "o", ms=3, color=NEUTRAL, mfc="none")
            ax.step(trials["trial"], trials["best"], where="post", color=GOOD)
            stopped = int(trials["auc"].isna().sum())
            ax.set_title(name)
            ax.set_xlabel(f"trial (n = {len(trials)}, {stopped} stopped early)")
        np.atleast_1d(axes)[0].set_ylabel("mean ROC-AUC where chosen")
    return fig


def attention(images: np.ndarray, cams: np.ndarray, titles: Sequence[str], *, columns: int) -> Figure:
    """Draw Grad-CAM maps over slices, with one colour scale.

    Parameters
    ----------
    images : numpy.ndarray of shape (n, 256, 256)
        Slices.
    cams : numpy.ndarray of shape (n, 256, 256)
        The map of each.
    titles : sequence of str
        What stands above each.
    columns : int
        Slices in a row.
    """
    top = max(float(cams.max()), 1e-9)
    rows = -(-len(cams) // columns)
    with report_style():
        height = rows * (DOUBLE_COLUMN_IN * 0.9 / columns + 0.35)
        fig, grid = plt.subplots(rows, columns, figsize=(DOUBLE_COLUMN_IN, height), squeeze=False)
        axes = grid.ravel()
        for ax in axes:
            ax.set_axis_off()
        for ax, slice_, cam, title in zip(axes, images, cams, titles, strict=False):
            ax.imshow(slice_, cmap="gray", vmin=0, vmax=255)
            drawn = ax.imshow(cam / top, cmap=_HEAT, vmin=0, vmax=1, alpha=np.clip(cam / top, 0, 1) * 0.8)
            # Contours say in a gray print what the colours say on a screen.
            levels = [level for level in (0.25, 0.5, 0.75) if cam.min() < level * top < cam.max()]
            if levels:
                ax.contour(cam / top, levels=levels, colors="white", linewidths=0.6)
            ax.set_title(title, fontsize=7)
        bar = fig.colorbar(drawn, ax=axes.tolist(), shrink=0.6, pad=0.01)
        bar.set_label("share of the strongest (contours at 0.25, 0.5, 0.75)", fontsize=6)
        bar.solids.set_alpha(1)
    return fig


def tissue_shares(shares: pd.DataFrame) -> Figure:
    """Draw the mean share of attention by tissue and outcome.

    Parameters
    ----------
    shares : pandas.DataFrame
        ``tissue, outcome, n, share, lower, upper, area``.
    """
    with report_style():
        fig, ax = plt.subplots(figsize=(SINGLE_COLUMN_IN + 1.2, 2.6))
        offsets = {"good": (-0.14, GOOD, "o"), "poor": (0.14, POOR, "^")}
        for outcome, (offset, colour, marker) in offsets.items():
            rows = shares[shares["outcome"] == outcome]
            if rows.empty:
                continue
            at = [TISSUES.index(t) + offset for t in rows["tissue"]]
            error = np.array([rows["share"] - rows["lower"], rows["upper"] - rows["share"]])
            ax.errorbar(rows["share"], at, xerr=error, fmt=marker, color=colour, ms=4, lw=1, capsize=2)
            label = f"{outcome} outcome (n = {int(rows['n'].iloc[0])})"
            ax.plot([], [], marker, color=colour, label=label)
        area = shares.drop_duplicates("tissue")
        ax.plot(
            area["area"],
            [TISSUES.index(t) for t in area["tissue"]],
            "|",
            color="black",
            ms=14,
            label="share of area",
        )
        ax.set_yticks(range(len(TISSUES)), TISSUES)
        ax.set(xlabel="share of attention, mean with 95 % interval", xlim=(0, None))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig
