"""Notebook 05: the review panel and the verdicts of reviewers."""
