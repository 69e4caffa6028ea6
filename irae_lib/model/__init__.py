"""Load a model, generate answers, parse and cache them."""

import logging

# On a CPU with AVX512-BF16 bitsandbytes offers to download native code from the Hub and logs on import that it is
# missing. It works without. transformers and PEFT import it, so this comes before any module of the package.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
