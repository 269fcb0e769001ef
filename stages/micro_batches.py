"""How many examples a micro-batch has where params.yaml leaves it to the machine: between planning and finetuning."""

from pathlib import Path

from llara_core.finetuning.trainer import rows_of_checkpoint
from llara_core.finetuning.tuning import require_loadable
from llara_core.hybrid.base_llm import load_tokenizer
from llara_core.params.params import Params
from llara_core.planning.machines import this_machine
from llara_core.planning.micro_batch import is_open, settled, with_rows
from llara_core.runtime.checkpoints import agreed_checkpoint
from llara_core.runtime.compute import meet_others, smallest_of_all
from llara_core.runtime.division import is_divided
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.paths import METRICS, PROCESSED
from llara_core.runtime.processes import n_processes


def settle_micro_batches(params: Params, checkpoints: Path) -> Params:
    """Put a number in the place of `auto`: the one of the checkpoint that is gone on from, else as many as fit now.

    All processes get the same, the smallest of what each finds.

    Raises:
        ModelError: nothing fits, a checkpoint is damaged, or the language model can't be loaded.
    """
    if not is_open(params):
        return params
    require_loadable(params.selected_llm)
    load_tokenizer(params.selected_llm)  # with it config.json is here, which says how large the model is
    if n_processes() > 1:
        meet_others()  # accelerate must know of the processes before they can agree
    if (checkpoint := agreed_checkpoint(checkpoints)) is not None:
        chosen = with_rows(params, rows_of_checkpoint(checkpoint))
        why = "as the checkpoint was begun"
    else:
        parts = n_processes() if is_divided() else 1
        found = settled(params, PROCESSED, METRICS, this_machine(), n_processes(), parts)
        chosen = with_rows(params, smallest_of_all(found.selected_objective.rows))
        why = "the most that fit into what is free"
    LOGGER.info("micro-batches of %d examples, %s", chosen.selected_objective.rows, why)
    return chosen
