"""The commands that make and Snakemake call.

In: the name of a study.
Out: files under build/ and reports/, each written whole or not at all.
"""
