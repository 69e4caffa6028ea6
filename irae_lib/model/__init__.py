"""Load a model, generate answers, parse and cache them."""

import logging

# On a CPU with AVX512-BF16, bitsandbytes logs on import that native code is missing and offers to download it from the
# Hub. It works without that code. transformers and PEFT import bitsandbytes, so this runs before any module here.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
