"""The embedded network: the encoder of the network that reads head CT, as a frozen backbone.

It was pretrained on simulated heads (:mod:`postarrest.models.ct_reader.training`), is kept with this library
and needs no download. A slice of 256 x 256 pixels shows 240 mm, so that 171 pixels are of 1.4 mm, as in
training.
"""

from pathlib import Path
from typing import Any

from postarrest.models.ct_reader import network as reader

WEIGHTS = reader.WEIGHTS
PIXELS = 171


def encoder(slices: Any) -> Any:
    """Build the encoder on slices, with random weights.

    The two last stages begin at one layer, ``below_last``, from which they can be trained further.

    Parameters
    ----------
    slices : keras.KerasTensor
        Gray values of 0 to 255, shape (n, 256, 256, 1).

    Returns
    -------
    keras.Model
        From the slices to the maps of all stages, shape (n, 20, 20, 296); flat.
    """
    import keras
    from keras import layers

    fitted = layers.CenterCrop(reader.SIZE, reader.SIZE, name="crop")(
        layers.Resizing(PIXELS, PIXELS, name="resize")(slices)
    )
    fine = reader.stage(reader.entrance(fitted), 0)
    middle = reader.stage(fine, 1)
    below = layers.Concatenate(name="below_last")([middle, layers.AveragePooling2D(2)(fine)])
    width = reader.WIDTHS[1]
    middle, fine = below[..., :width], below[..., width:]
    coarse = reader.stage(middle, 2)
    pooled = (layers.AveragePooling2D(2)(maps) for maps in (fine, middle))
    return keras.Model(slices, reader.joined(*pooled, coarse, reader.stage(coarse, 3)), name="embedded")


def load(model: Any, path: Path) -> None:
    """Load the encoder's weights from a file of the network that reads head CT; see `reader.load_encoder`."""
    reader.load_encoder(model, path)
