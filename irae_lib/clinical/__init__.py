"""What the note says and which floors follow from it, by rules alone. Neither torch nor a model in here."""
