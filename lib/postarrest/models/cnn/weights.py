"""Where a network's weights come from: Keras's cache, its download, a file, or the embedded network.

A network is never untrained unless that is asked for. What is to be had differs from machine to machine and
from day to day, so it is decided once per study (:func:`postarrest.models.cnn.features.keep_features`).
"""

import hashlib
import http.client
import os
import queue
import shutil
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from postarrest.files import whole
from postarrest.models.cnn import embedded
from postarrest.models.cnn.network import NAMES, NETWORKS, Network, NetworkError

# Longest wait for the server of ImageNet's weights, and for each part of the download.
WAIT_S = 10.0
IMAGENET_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
READER = "the embedded reader (U-Net encoder), pretrained on simulated heads"
CIRCULAR = "pretrained on heads of the same kind of simulation, with other settings and seeds"


@dataclass(frozen=True)
class WeightsSource:
    """Where a network's weights come from.

    Parameters
    ----------
    kind : str
        ``imagenet``, ``embedded``, ``none``, or ``file-`` and the beginning of its hash.
    path : pathlib.Path or None
        The file that is loaded; None for random weights.
    sha256 : str
        Its hash; blank where there is none.
    words : str
        The source as the report states it; it holds no path.
    """

    kind: str
    path: Path | None
    sha256: str
    words: str


def settled(network: Network) -> Network:
    """Return a network whose weights can be had, with ``auto`` decided.

    ``auto`` is ImageNet's weights from Keras's cache, else from Keras's server, else the embedded network
    instead of the architecture asked for. The server is asked once, for at most :data:`WAIT_S` seconds.

    Raises
    ------
    NetworkError
        If ImageNet's weights are asked for and cannot be had, or a named file does not exist.
    """
    name, weights = network.architecture, network.weights
    if name == "embedded":
        return network.model_copy(update={"weights": "embedded"}) if weights == "auto" else network
    if weights == "embedded":
        return network.model_copy(update={"architecture": "embedded"})
    if weights not in ("auto", "imagenet"):
        return network
    reason = "" if cached(name).is_file() else _fetch(name)
    if not reason:
        return network.model_copy(update={"weights": "imagenet"})
    if weights == "imagenet":
        other = "Give a file, or 'embedded' for the network that needs no download."
        raise NetworkError(f"weights: ImageNet's weights of {name} could not be had ({reason}). {other}")
    found = network.model_copy(update={"architecture": "embedded", "weights": "embedded", "instead_of": name})
    _say(f"{source(found).words} ({reason}).")
    return found


def source(network: Network) -> WeightsSource:
    """Describe a settled network's weights.

    Raises
    ------
    NetworkError
        If the file is not there.
    """
    name, weights = network.architecture, network.weights
    if weights == "none":
        words = (
            f"no pretrained weights: an untrained {NAMES[name]} with random weights (seed {network.seed}), "
            "so its results say little about transfer learning"
        )
        return WeightsSource("none", None, "", words)
    path = embedded.WEIGHTS if weights == "embedded" else Path(weights).expanduser()
    if weights == "imagenet":
        path = cached(name)
    if not path.is_file():
        expected = "auto, imagenet, embedded, none or a file's path"
        raise NetworkError(f"weights: found no file '{path.name}'; expected {expected}.")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if weights == "imagenet":
        return WeightsSource("imagenet", path, sha256, f"ImageNet weights of {name} from Keras")
    if weights == "embedded":
        missing = f"{network.instead_of}'s ImageNet weights were not available; the network used is "
        words = f"{missing if network.instead_of else ''}{READER}"
        return WeightsSource("embedded", path, sha256, words)
    words = f"weights of the {NAMES[name]} from the file {path.name} ({sha256[:12]})"
    return WeightsSource(f"file-{sha256[:12]}", path, sha256, words)


def answers(url: str, *, within_s: float = WAIT_S) -> bool:
    """Return whether a server answers, whatever it answers.

    The look-up of its name has no time limit of its own, and a firewall may drop packets without a word; so
    the answer is waited for in a thread of its own.
    """
    answered: queue.Queue[bool] = queue.Queue()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=within_s):
                answered.put(True)
        except urllib.error.HTTPError:
            answered.put(True)
        except (OSError, http.client.HTTPException):
            answered.put(False)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answered.get(timeout=within_s)
    except queue.Empty:
        return False


def cached(name: str) -> Path:
    """Return where Keras keeps ImageNet's weights of a network, whether or not they are there.

    Examples
    --------
    >>> cached("VGG19").name
    'vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5'
    """
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    return folder / Path(NETWORKS[name].file).name


def _fetch(name: str) -> str:
    """Download ImageNet's weights into Keras's cache; return why that failed, blank where it did not."""
    url, place = IMAGENET_URL + NETWORKS[name].file, cached(name)
    if not answers(url):
        return "their server does not answer"
    _say(f"Downloading ImageNet's weights of {name} ({NETWORKS[name].megabytes} MB), once.")
    try:
        with whole(place) as beside:
            with urllib.request.urlopen(url, timeout=WAIT_S) as answer, beside.open("wb") as file:
                shutil.copyfileobj(answer, file)
            if hashlib.md5(beside.read_bytes(), usedforsecurity=False).hexdigest() != NETWORKS[name].md5:
                # Raised inside `whole`, so that the file never gets its name.
                raise OSError("the file is not the expected one")
    except (OSError, http.client.HTTPException) as error:
        return f"the download failed: {error}"
    return ""


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
