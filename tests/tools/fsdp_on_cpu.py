"""What `accelerate launch` starts in test_sharded.py: two CPU processes in the place of two GPUs.

accelerate turns FSDP on for GPUs only; here it takes these processes for GPUs. Sharding, 4-bit weights stored
as bfloat16, activation checkpointing, gathering and saving are then its own and torch's.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from accelerate import state
from accelerate.utils import DistributedType

from irae_lib.training.sharded import train
from irae_lib.training.trainer import ResumableTrainer
from irae_lib.workspace.profiles import choose_profile

_init = state.AcceleratorState.__init__


def _with_fsdp(self, *args, fsdp_plugin=None, **kwargs):
    _init(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin, self.distributed_type = fsdp_plugin, DistributedType.FSDP
        state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP


class Watched(ResumableTrainer):
    """The trainer, saving at each update; it writes losses and the kinds of its weights to a file."""

    def train(self, *args, **kwargs):
        self.args.save_steps = self.state.save_steps = 1
        done = super().train(*args, **kwargs)
        sharded = {
            name: [type(weight).__name__, str(weight.dtype), weight.to_local().numel() * 2 == weight.numel()]
            for name, weight in self.model.named_parameters()
            if name.endswith("q_proj.base_layer.weight") or "q_proj.lora_A" in name
        }
        losses = [entry["loss"] for entry in self.state.log_history if "loss" in entry]
        if self.is_world_process_zero():
            Path(sys.argv[1], "seen.json").write_text(json.dumps({"losses": losses, "sharded": sharded}))
        return done


SETTINGS = {"dtype": "bfloat16", "compute_dtype": "bfloat16", "four_bit": True, "batch_size": 4, "at_once": 0}
if __name__ == "__main__":
    state.AcceleratorState.__init__ = _with_fsdp
    train.ResumableTrainer = Watched
    train.train_sharded(Path(sys.argv[1]), replace(choose_profile("smoke"), **SETTINGS))
