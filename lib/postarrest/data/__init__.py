"""A hospital's export, read and checked against the data contract.

In: the files of a study's data folder, and the mapping of a hospital's own columns, codes and units.
Out: included patients, GWR readings and CT slices; or every error at once, with its location.
"""
