"""Prediction of neurological recovery after out-of-hospital cardiac arrest.

The thin library behind the notebooks: data -> cohort -> scores -> evaluation -> report.
"""
