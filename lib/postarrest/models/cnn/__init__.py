"""The convolutional network on one CT slice: frozen features, the trained head, Grad-CAM.

In: windowed slices, outcomes and one split.
Out: scores of the split's patients, the fitted network and its Grad-CAM maps.
"""

from postarrest.models.cnn import features, finetune, fit, frozen, gradcam, groups, head, network, weights
