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
# # What does a network see in one CT slice?
#
# A network that was trained on photographs (VGG19 in paper A, ResNet50 in paper B) turns each patient's CT slice
# into numbers; a small head is trained on these to predict the outcome. By default the network itself stays as
# it is: what is tuned is a head on frozen features.
#
# *Reads* the cohort, the splits, the slices and the kept features. *Writes* the scores of this split's patients.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
split: str = "holdout-1"  # hold-out split or outer fold
outcome_label: str = "revised"  # outcome label to learn: revised or standard
architecture: str = "VGG19"  # VGG19 or ResNet50
weights: str = "auto"  # auto (Keras's cache, else none), imagenet (cache or download), none, or a file
fit_image: str = "crop"  # crop (central 224 of 256 pixels) or resize (all, to 224)
# fmt: off
augmentation: dict = {"sharpness": [0.3, 0.7], "rotation_deg": 10, "erasing": 0.3}  # ranges of the augmented copies
# fmt: on
copies: int = 4  # augmented copies of each slice
precision: str = "float32"  # float32 or mixed_bfloat16, for the frozen network
# fmt: off
space: dict = {"learning_rate": {"choices": [0.0003, 0.003]}, "dropout": {"choices": [0.2, 0.5]}, "width": {"choices": [0, 64]}, "weight_decay": {"choices": [0.0001, 0.01]}}  # grid, or Optuna's ranges
# fmt: on
fixed: dict = {"batch_size": 32, "epochs": 60}  # hyperparameters that are not searched; epochs is the most
depth: str = "head"  # what is trained: head (on frozen features), last_block or all of the network as well
fine_tuning: dict = {"learning_rate": 0.00001, "epochs": 10, "batch_size": 16}  # used where depth is not head
class_weights: bool = True  # whether both outcomes weigh the same in training
patience: int = 10  # epochs without a better tune loss before training stops (hold-out splits)
trials: int = 20  # Optuna's trials (outer folds)
shown_patients: int = 4  # single patients whose Grad-CAM is shown, at least 1
seed: int = 1  # seed of the head and of augmentation

# %%
import numpy as np
import pandas as pd

from postarrest import places, scores
from postarrest.evaluation import thresholds
from postarrest.figures import cnn as draw
from postarrest.models import splits, tuning
from postarrest.models.cnn import features as features_room
from postarrest.models.cnn import finetune, fit, gradcam
from postarrest.models.cnn import network as network_room
from postarrest.models.leakage import Ledger
from postarrest.report import page as page_room

here = places.open(study_name, save_to=save_to)
page = page_room.Page(here, notebook="03_cnn", part=f"{split}-{outcome_label}")
cohort = pd.read_parquet(here.build("cohort.parquet"))
y = cohort[f"y_good_{outcome_label}"]
this = splits.get(pd.read_parquet(here.build("splits.parquet")), split)
network = network_room.Network(architecture, weights, fit_image, augmentation, copies, precision, seed)
ledger = Ledger(this)

# %% [markdown]
# ## Which weights, which patients?

# %%
features = features_room.features(here, network)
page.text(
    "**Weights: {source}.** What is trained: {depth}. Split {split}, {label} outcome label: the head learns from {n_development} patients "
    "({n_development_good} good outcomes) and is tested on {n_test} others ({n_test_good} good).",
    source=features.source,
    depth={"head": "a head on frozen features", "last_block": "the head and the last block"}.get(
        depth, "the whole network"
    ),
    split=split,
    label=outcome_label,
    n_development=len(this.development),
    n_development_good=int(y[this.development].sum()),
    n_test=len(this.test),
    n_test_good=int(y[this.test].sum()),
)

# %% [markdown]
# ## What reaches the network?
#
# The slice at the foramen of Monro, window 40 / 80 HU, 256 x 256; then the central 224 pixels (or all of them,
# reduced), three equal channels, less ImageNet's means. Augmented copies differ from it by the stated ranges.

# %%
images = features_room.images(here, this.test[:1])
variants = np.concatenate([images, *(network_room.augment(images, network, c + 1) for c in range(copies))])
page.figure(
    draw.slices(variants, ["slice", *(f"copy {c + 1}" for c in range(copies))]),
    name="cnn_input",
    caption="One patient's slice and its augmented copies, before they are cropped or reduced to 224 pixels.",
    alt="Head CT slices side by side: the original and copies that are turned, blurred or partly erased.",
)

# %% [markdown]
# ## Which head?
#
# A hold-out split tries every combination of a grid and stops training by the loss in the *tune* patients. An
# outer fold tunes by Optuna on the mean ROC-AUC of the inner folds, with the number of epochs as a
# hyperparameter, and calibrates by Platt scaling on out-of-fold outputs. The test patients take no part.

# %%
result = fit.fit_split(
    features,
    y,
    this,
    space=space,
    fixed=fixed,
    class_weights=class_weights,
    patience=patience,
    trials=trials,
    seed=seed,
    keep=here.build("optuna"),
    ledger=ledger,
    final=finetune.final(here, features, network, depth=depth, fine=fine_tuning),
)
page.table(
    tuning.chosen_table(result.tuned, fold=this.fold, model=f"cnn, {outcome_label} label, {split}"),
    name="hyperparameters",
    caption="Hyperparameters of the head: the space searched and the values chosen.",
)
page.table(
    result.tuned.history,
    name="cnn_search",
    caption="Every trial of the search: ROC-AUC in the patients on whom hyperparameters are chosen.",
    note="Blank: stopped early, since it could not become the best any more.",
    digits=4,
)

# %%
page.figure(
    draw.history({architecture: result.tuned.history}),
    name="cnn_search",
    caption="The search: each trial (circles) and the best so far (line).",
    alt=f"ROC-AUC of {len(result.tuned.history)} trials; the best reaches {result.tuned.auc:.2f}.",
)
page.figure(
    draw.training(result.head.curve_, result.head.best_epoch_),
    name="cnn_training",
    caption="Training of the head that scores the test patients.",
    alt=f"Loss by epoch; the weights of epoch {result.head.best_epoch_} are used.",
)

# %% [markdown]
# ## Where does it look?
#
# Grad-CAM: the parts of the last convolution whose activity speaks for the class that was predicted. Maps of
# different patients share one scale. Single patients first, then means by true, by predicted and by both outcomes,
# over the mean slice of the group (each patient's map is that of the predicted outcome, so that those of a true outcome
# are of both); for these, heads are brought onto a common ellipse, so that the same
# places of different heads lie on each other. "Predicted good" is a score at or above Youden's threshold on the
# training side.

# %%
model = finetune.whole_model(network, result.head)
model.save(here.out(f"models/03_cnn_{split}-{outcome_label}.keras"))
test_images = features_room.images(here, this.test)
signed = gradcam.maps(model, network, test_images)
truth = y[this.test].to_numpy()
probability = result.head.predict_proba(pd.DataFrame(index=this.test))[:, 1]
trained = result.scores[result.scores["role"].eq("train_oof")]
trained = trained[trained["stage"].eq(trained["stage"].iloc[0])]
cut = thresholds.choose(y[trained["patient_id"]], trained["score"], "Youden").threshold
predicted_good = probability >= cut
cams = gradcam.for_class(signed, predicted_good, network)
shown = np.linspace(0, len(truth) - 1, min(max(shown_patients, 1), len(truth))).astype(int)
first = np.argsort(-probability)[shown]
page.figure(
    draw.attention(
        test_images[first],
        cams[first],
        [
            f"{'good' if truth[i] else 'poor'} outcome, predicted\n"
            f"{'good' if predicted_good[i] else 'poor'} (score {probability[i]:.2f})"
            for i in first
        ],
        columns=max(len(first), 1),
    ),
    name="gradcam_patients",
    caption=f"Grad-CAM of {len(first)} single test patients, from the highest score to the lowest: what speaks for the "
    "predicted outcome.",
    alt="Head CT slices with the regions that speak for the predicted outcome marked by colour and contours.",
)

# %%
titles, mean_maps, mean_slices = gradcam.group_means(cams, test_images, truth, predicted_good)
page.figure(
    draw.attention(mean_slices, mean_maps, titles, columns=3),
    name="gradcam_groups",
    caption=f"Mean Grad-CAM of the {len(truth)} test patients for the predicted outcome, by true, by predicted and by both "
    "outcomes, over the group's mean slice; heads aligned.",
    alt="Mean head CT slices of the groups with the mean regions of attention marked by colour and contours.",
)

# %% [markdown]
# Where the tissue is known (in a simulation), attention can be counted: the share of each map on each tissue,
# beside the share that the tissue has of the area that the network sees. The table is empty for real patients.

# %%
known, tissue = gradcam.read_tissues(here.data / "tissue", this.test)
at = this.test.get_indexer(known)
shares = gradcam.shares_by_outcome(cams[at], tissue, truth[at], network)
page.table(
    shares,
    name="attention",
    caption="Mean share of Grad-CAM attention by tissue and outcome, with 95 % interval, and share of area.",
)
if len(shares):
    page.figure(
        draw.tissue_shares(shares),
        name="attention",
        caption="Share of attention by tissue; bars mark the tissue's share of what the network sees.",
        alt="Mean share of attention on each tissue in good and poor outcomes with intervals.",
    )

# %% [markdown]
# Does the map depend on what the network learned? With the same weights shuffled within each layer it should
# become another map (Adebayo 2018). Maps are compared before the method sets their negative parts to 0.

# %%
shuffled = gradcam.maps(gradcam.randomised(model, seed=seed), network, test_images)
agreement = gradcam.agreement_with(signed, shuffled)
page.text(
    "Sanity check: the Spearman correlation of a map with that of the shuffled network is {correlation} in the mean "
    "of {n_checked} of {n_test} test patients, and {size} regardless of sign (1 would mean that the weights do not "
    "matter). In {n_flat} patients a map is the same everywhere, so that it can't be compared; in {n_blank} nothing "
    "in the slice speaks for the predicted outcome.",
    correlation=gradcam.mean_with_interval(agreement),
    size=gradcam.mean_with_interval(np.abs(agreement)),
    n_checked=int(np.isfinite(agreement).sum()),
    n_test=len(agreement),
    n_flat=int(np.isnan(agreement).sum()),
    n_blank=int((cams.max(axis=(1, 2)) == 0).sum()),
)

# %% [markdown]
# ## Was any patient scored by what had seen that patient?

# %%
ledger.check()
page.table(
    ledger.table(),
    name="leakage",
    caption="Patients that each stage was fitted or chosen on, patients it scored, and patients in both (none).",
    note="n_indirect: patients scored whom only an earlier stage had seen. It must be 0 in test patients; on the "
    "training side, the choice of hyperparameters sees everybody.",
)
ledger.write(here.out(f"seen_cnn_{split}-{outcome_label}.json"))
scores.write(
    fit.score_rows(result, y, this, outcome=outcome_label),
    here.out(f"scores_cnn_{split}-{outcome_label}.csv"),
)

# %% [markdown]
# Performance is judged in `05_evaluation`, on these scores.
