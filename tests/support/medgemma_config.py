"""The language model of MedGemma 4B as a configuration: its true sizes, without weights."""

from transformers import Gemma3TextConfig


def medgemma_text_config() -> Gemma3TextConfig:
    return Gemma3TextConfig(
        vocab_size=262_208,
        num_hidden_layers=34,
        hidden_size=2560,
        intermediate_size=10240,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=256,
    )
