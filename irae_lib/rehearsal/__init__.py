"""Notebook 00: the rehearsal base, a stand-in model small enough to train on two CPU cores."""
