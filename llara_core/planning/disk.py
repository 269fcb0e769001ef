"""What a run leaves on the disk, in bytes; estimates but for the pinned downloads.

A packaged model is kept converted, 4 bytes a parameter; a checkpoint holds trained weights, their two moments, average
and best, 20 bytes a trained weight, and the new one is written before the old one goes.
"""

from llara_core.params.params import Params
from llara_core.params.sections import PackagedLlm
from llara_core.planning.counting import published
from llara_core.planning.finding import Found
from llara_core.planning.trained import Trained
from llara_core.planning.workload import Workload


def estimate_disk(params: Params, llm: Found, trained: Trained, workload: Workload) -> dict[str, int]:
    """Bytes by what they are for; what is here already counts 0 as a download."""
    catalogue = workload.catalogue
    is_converted = isinstance(params.selected_llm, PackagedLlm) and not llm.origin.startswith("the converted")
    known = published().get(params.selected_dataset.source, {})
    raw = int(known.get("raw_bytes", 25 * catalogue.interactions))
    lists = 30 * catalogue.lists  # compressed
    return {
        "language_model_download": llm.download,
        "language_model_converted": 4 * llm.shape.parameters if is_converted else 0,
        "raw_data": raw,
        "processed_data": 4 * catalogue.interactions + 20 * catalogue.items + 2 * lists,
        "checkpoints": 2 * 20 * trained.all,
        "adapter": 4 * trained.all,
    }
