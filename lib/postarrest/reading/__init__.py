"""Readings of the gray-to-white-matter ratio by hand: circles that a person places on a head CT.

In: the ids of the included patients, their CT, and proposed places for the circles; never an outcome.
Out: a session of one reader, saved after each change, and the table `gwr` of the data contract.
"""

from postarrest.reading.session import Session, SessionError, combine
from postarrest.reading.sources import ct_paths, included_ids, read_proposals
from postarrest.reading.widget import tool
