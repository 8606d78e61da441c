"""A simulated cohort on real anatomy, whose truth is known.

`write_study` writes a study's data folder as a hospital's export would look; `Settings` says what is in it.
"""

from postarrest.simulate.settings import Settings
from postarrest.simulate.write import write_study

__all__ = ["Settings", "write_study"]
