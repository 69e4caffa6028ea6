"""Notebook 03: scoring, statistics, calibration, robustness, the release gate and the typed report.

Nothing here loads torch at import.
"""
