"""Training of one model over several GPUs with FSDP."""
