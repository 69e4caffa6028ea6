"""Screening on a Slurm or Ray cluster."""
