"""The network that reads head CT: tissue and place of each pixel, and from them the eight regions of the GWR.

In: a patient's slices in HU.
Out: readings in the form of the contract's ``gwr`` table, and the reasons why they may be wrong.
"""

from postarrest.models.ct_reader import network, reading, regions, standard, template, training
