# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What can a neural network predict from one CT slice?
#
# A network that was trained on photographs (VGG19 in paper A, ResNet50 in paper B) turns each patient's CT slice
# into numbers, its features. Where its weights are not to be had, a network that was trained on simulated heads and
# comes with this library (the embedded network) takes its place. A small head is trained on these to predict the outcome. By default the network
# itself is not changed: a head is tuned on frozen features.
#
# *Reads* the cohort, the splits, the slices and the kept features. *Writes* the scores of this split's patients.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
split: str = "holdout-1"  # hold-out split or outer fold, or holdout_all-1 or outer_all-1: all patients
outcome_label: str = "revised"  # outcome label to learn: revised or standard
architecture: str = "VGG19"  # VGG19, ResNet50 or embedded (trained on simulated heads, in this library)
weights: str = "auto"  # auto (imagenet if to be had, else embedded), imagenet, embedded, none, or a file
fit_image: str = "crop"  # crop (central 224 of 256 pixels) or resize (all, to 224); not for embedded
augmentation: dict = {"sharpness": [0.3, 0.7], "rotation_deg": 10, "erasing": 0.3}  # ranges, augmented copies
copies: int = 4  # augmented copies of each slice
precision: str = "float32"  # float32 or mixed_bfloat16, for the frozen network
space: dict = {}  # search space of the head, such as {width: {choices: [0, 64]}}; empty: the protocol's own
fixed: dict = {"batch_size": 32, "epochs": 60}  # hyperparameters that are not searched; epochs is the most
depth: str = "head"  # what is trained: head (on frozen features), last_block or all of the network as well
fine_tuning: dict = {"learning_rate": 0.00001, "epochs": 10, "batch_size": 16}  # used unless depth is head
class_weights: bool = True  # whether both outcomes have equal weight in training
patience: int = 10  # epochs without a better loss in the tuning set before training stops (hold-out splits)
trials: int = 20  # Optuna's trials (outer folds)
shown_patients: int = 4  # single patients whose Grad-CAM is shown, at least 1
seed: int = 1  # seed of the head and of augmentation

# %%
import pandas as pd

from postarrest import evaluation, figures, models, places, scores
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="03_cnn", part=f"{split}-{outcome_label}")
y = pd.read_parquet(here.build("cohort.parquet"))[f"y_good_{outcome_label}"]
this = models.splits.get(pd.read_parquet(here.build("splits.parquet")), split)
ledger = models.leakage.Ledger(this)
fold = models.crossfit.CrossFit(this, y, ledger, keep=here.build("optuna"), trials=trials, seed=seed)
asked = models.cnn.network.Network(
    architecture=architecture,
    weights=weights,
    fit_image=fit_image,
    augmentation=augmentation,
    copies=copies,
    precision=precision,
    seed=seed,
)
network = models.cnn.features.decided(here, asked)
training = models.cnn.head.Training(
    space=space,
    fixed=fixed,
    class_weights=class_weights,
    patience=patience,
    depth=depth,
    fine_tuning=fine_tuning,
)

# %% [markdown]
# ## Which weights, which patients?

# %%
features = models.cnn.features.features(here, network)
page.text(
    "**Weights: {source}.** Trained is {depth}. Split {split}, {label} outcome label: the head learns from "
    "{n_development} patients ({n_development_good} good outcomes) and is tested on {n_test} others "
    "({n_test_good} good). What is shown of single patients below is of {n_shown} {shown}.",
    source=features.source,
    depth=models.cnn.head.DEPTHS[depth],
    split=split,
    label=outcome_label,
    **fold.sizes,
    n_shown=len(this.shown),
    shown=this.shown_in_words,
)

# %% [markdown]
# ## Network input
#
# The slice at the foramen of Monro, window 40 / 80 HU, 256 x 256 pixels. Augmented copies differ from it at random
# within the ranges of `augmentation`.

# %%
page.text("The {name} receives {given}.", name=network.name, given=network.input_in_words)
one_slice = models.cnn.features.images(here, this.shown[:1])
page.figure(
    figures.cnn.slices(models.cnn.network.variants(one_slice, network)),
    name="cnn_input",
    caption="One patient's slice and its augmented copies, before they are cropped or resized for the network.",
    alt="Head CT slices side by side: the original and copies that are rotated, blurred or partly erased.",
)

# %% [markdown]
# ## Which head?
#
# In a hold-out split, every combination of a grid is tried, and training stops by the loss in the *tuning set*. In
# an outer fold, Optuna maximises the mean ROC-AUC of the inner folds; the number of epochs is a hyperparameter, and
# probabilities are calibrated by Platt scaling on out-of-fold predictions. The test patients take no part.

# %%
result = models.cnn.fit.fit_split(
    features, training, fold, final=models.cnn.finetune.final(here, features, network, training)
)
page.table(
    models.tuning.chosen_table(result.tuned, fold=this.fold, model=f"cnn, {outcome_label} label, {split}"),
    name="hyperparameters",
    caption="Hyperparameters of the head: the space searched and the values chosen.",
)
values = training.fixed | result.tuned.values | {"class_weights": class_weights}
settings = {"cnn": models.tuning.Chosen("cnn", values)}
models.tuning.write_chosen(settings, here.out(f"chosen_cnn_{split}-{outcome_label}.json"))
page.table(
    result.tuned.history,
    name="cnn_search",
    caption="Every trial of the search: ROC-AUC in the patients on whom hyperparameters are chosen.",
    note="Blank: stopped early, since it could no longer become the best.",
    digits=4,
)

# %%
page.figure(
    figures.cnn.history({("cnn",): result.tuned.history}),
    name="cnn_search",
    caption="The search: each trial (circles) and the best so far (line).",
    alt=f"ROC-AUC of {len(result.tuned.history)} trials; the best reaches {result.tuned.auc:.2f}.",
)
page.figure(
    figures.cnn.training(result.head.curve_, result.head.best_epoch_),
    name="cnn_training",
    caption="Training of the head that was fitted last.",
    alt=f"Loss by epoch; the weights of epoch {result.head.best_epoch_} are used.",
)

# %% [markdown]
# ## Which regions support the prediction?
#
# Grad-CAM marks the regions whose activity in the last convolution supports the predicted outcome. A good outcome
# is predicted at or above the threshold with the highest Youden index in patients the head was not fitted on (the
# tuning set, or out of fold). All maps of a figure share one scale.

# %%
model = result.head.whole_model(network)
images = models.cnn.features.images(here, this.shown)
y_shown = y[this.shown].to_numpy()
probability = result.head.predict_proba(pd.DataFrame(index=this.shown))[:, 1]
cut = evaluation.thresholds.choose(y[result.out_of_fold.index], result.out_of_fold, "Youden").threshold
predicted_good = probability >= cut
signed = models.cnn.gradcam.maps(model, network, images)
cams = models.cnn.gradcam.for_class(signed, predicted_good, network)
page.figure(
    figures.cnn.patients(images, cams, y_shown, predicted_good, probability, n=shown_patients),
    name="gradcam_patients",
    caption=f"Grad-CAM of single {this.shown_in_words}, from the highest score to the lowest: regions that support the "
    "predicted outcome.",
    alt="Head CT slices; colour and contours mark the regions that support the predicted outcome.",
)

# %% [markdown]
# Means over groups show what patients have in common. The network that reads CT says where in the MNI template each
# pixel lies, so that the same places of different brains overlap. Each patient's map is that of the predicted outcome, so that a group by true
# outcome alone mixes maps of both.

# %%
mapped, mapped_cams, tissues = models.ct_reader.template.registered(
    images, cams, models.ct_reader.network.trained()
)
added = models.cnn.groups.sums(
    cams, tissues, mapped_cams, mapped, y_good=y_shown, predicted_good=predicted_good, network=network
)
models.cnn.groups.write(added, here.out(f"gradcam_cnn_{split}-{outcome_label}.npz"))
page.figure(
    figures.cnn.attention(*models.cnn.groups.means(added), columns=3),
    name="gradcam_groups",
    caption=f"Mean Grad-CAM of {len(y_shown)} {this.shown_in_words} for the predicted outcome, by true, by predicted "
    "and by both outcomes, over the group's mean slice, in the space of the MNI template.",
    alt="Mean head CT slices of the groups; colour and contours mark the mean regions of attention.",
)

# %% [markdown]
# ## Which tissues get attention?

# %%
shares = models.cnn.groups.shares(added)
page.text(
    "Of the attention, {outside} % lay outside the brain, which takes {outside_area} % of the area that the network receives. "
    "Of the tissues, as the network that reads CT sees them, {tissue} had most attention for its area: {most} % on "
    "{most_area} %.",
    table="attention",
    units=dict.fromkeys(("outside", "outside_area", "most", "most_area"), "%"),
    **models.cnn.groups.looked_at(shares),
)
page.table(
    shares,
    name="attention",
    caption="Mean share of Grad-CAM attention by tissue and outcome, with 95 % interval, and share of area.",
)
page.figure(
    figures.cnn.tissue_shares(shares),
    name="attention",
    caption="Share of attention by tissue; bars mark the tissue's share of the area the network receives.",
    alt="Mean share of attention on each tissue in good and poor outcomes with intervals.",
)

# %% [markdown]
# ## Does the map depend on what the network learned?
#
# With its weights shuffled within each layer, the network should give another map (Adebayo 2018). Maps of at most 20
# patients are compared, before the method sets their negative parts to 0.

# %%
page.text(
    "Sanity check: the mean Spearman correlation of a map with that of the shuffled network is {correlation} in "
    "{n_checked} of the {n_test}, and {size} regardless of sign (1 would mean that the weights do not matter). In "
    "{n_flat} that were to be checked a map is constant and cannot be compared; in {n_blank} of all {n_test} no "
    "region supports the predicted outcome.",
    **models.cnn.gradcam.sanity_check(model, network, images, signed, cams, seed=seed),
)

# %% [markdown]
# ## Was any patient scored by a model fitted on that patient?

# %%
ledger.check()
page.table(
    ledger.table(),
    name="leakage",
    caption="Patients each stage was fitted or chosen on, patients it scored, and patients in both (none).",
    note="n_indirect: patients scored who were used at an earlier stage only. It must be 0 in test patients; in the "
    "training set, the choice of hyperparameters uses every patient. A head looks up its patients' features "
    "itself: the table shows which patients it was given, not what it computed from them.",
)
ledger.write(here.out(f"seen_cnn_{split}-{outcome_label}.json"))
scores.write(
    fold.score_table(result.rows, outcome_label=outcome_label),
    here.out(f"scores_cnn_{split}-{outcome_label}.csv"),
    tested=len(this.test) > 0,
)
models.parts.keep(fold.parts, here.out(f"models/03_cnn_{split}-{outcome_label}"), network=network)

# %% [markdown]
# The page Evaluation reports performance from these scores.
