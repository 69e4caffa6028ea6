"""Notebook 02: fine-tuning with LoRA, with training rows, the trainer and a memory estimate."""
