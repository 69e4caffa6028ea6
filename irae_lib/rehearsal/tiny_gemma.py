"""The architecture and tokenizer of the rehearsal base: Gemma 3 at about 1/3,000 of the size of MedGemma-4B.

It has the same classes, file layout, module names, chat template and special tokens as MedGemma, so the whole pipeline
runs on it unchanged. It has 1,326,960 parameters and no clinical knowledge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..files import DATA

VOCABULARY = 4096
# Gemma's special tokens at Gemma's ids: <start_of_turn> is 105 and <end_of_turn> 106, as in MedGemma.
_TURNS = ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", *(f"<unused{i}>" for i in range(99)), *_TURNS)
_BYTES = tuple(f"<0x{i:02X}>" for i in range(256))


def make_tokenizer(texts: Iterable[str], size: int = VOCABULARY):
    """A Gemma-like tokenizer of `size` tokens: byte-fallback BPE, digits one by one, Gemma's chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    from trl.chat_template_utils import gemma3_chat_template

    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    bpe.normalizer = normalizers.Replace(" ", "\u2581")
    # Keep punctuation runs apart from words: a label must not merge into one token with the key before it.
    bpe.pre_tokenizer = pre_tokenizers.Split(Regex(r"\d|\u2581?[^\W\d]+|[^\w\s\u2581]+|\u2581|\n"), behavior="isolated")
    bpe.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, special_tokens=[*SPECIAL, *_BYTES], show_progress=False)
    )
    # The trainer marks the bytes as special tokens; in Gemma's tokenizer they are ordinary tokens.
    written = json.loads(bpe.to_str())
    written["added_tokens"] = [token for token in written["added_tokens"] if token["content"] not in _BYTES]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(written)),
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        additional_special_tokens=list(_TURNS),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = gemma3_chat_template
    return tokenizer


def make_model(seed: int):
    """A randomly initialized `Gemma3ForConditionalGeneration` of the shipped base's shape.

    Its configuration is `data/rehearsal_base/config.json`: four layers of width 128. As in Gemma 3, the last layer uses
    full attention and the others a sliding window. The vision tower is as small as its classes allow.
    """
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, GenerationConfig

    torch.manual_seed(seed)
    model = Gemma3ForConditionalGeneration(Gemma3Config.from_pretrained(DATA / "rehearsal_base"))
    model.generation_config = GenerationConfig.from_pretrained(DATA / "rehearsal_base")
    return model
