"""This machine: packages, profiles, run folders, Hub access, checkpoints, and storage that outlives it."""
