"""Notebook 02: training rows, the LoRA trainer and a memory estimate."""
