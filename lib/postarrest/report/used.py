"""The network that a study's runs used, as the features step decided and recorded it."""

import json
from dataclasses import dataclass

from postarrest.places import Here


@dataclass(frozen=True)
class UsedNetwork:
    """A study's network.

    Parameters
    ----------
    architecture : str
        The network that was used, which need not be the one asked for; blank without a network.
    name : str
        Its name for readers.
    source : str
        Source of its weights: ``imagenet``, ``embedded``, ``none``, or ``file-`` and a hash.
    weights : str
        The source in words.
    circular : str
        Why its results in these patients are circular; blank where they are not.
    instead_of : str
        The architecture asked for, where its weights were not available.
    """

    architecture: str = ""
    name: str = ""
    source: str = ""
    weights: str = ""
    circular: str = ""
    instead_of: str = ""

    @property
    def notice(self) -> str:
        """What every page says where another network than the one asked for was used; blank elsewhere."""
        return self.weights if self.instead_of else ""


NO_NETWORK = UsedNetwork()


def used_network(here: Here) -> UsedNetwork:
    """Return a study's network; all blank before the features step, and in studies without one."""
    place = here.build("features.json")
    if not place.is_file():
        return NO_NETWORK
    record = json.loads(place.read_text(encoding="utf-8"))
    used = record.get("used", {})
    return UsedNetwork(
        architecture=used.get("architecture", ""),
        name=record.get("network", ""),
        source=record.get("source", ""),
        weights=record.get("weights", ""),
        circular=record.get("circular", ""),
        instead_of=used.get("instead_of", ""),
    )
