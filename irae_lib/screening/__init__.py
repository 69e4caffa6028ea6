"""Notebook 06: screen many notes with the rules and a model server.

`screen` runs both stages of a `stage.ScreeningRun`; `monitor` watches it and `cost` estimates one. On the command line:
`python -m irae_lib.screening NOTES --out FOLDER`.
"""
