"""The memory of finetuning at its peak, by part, in bytes.

With P the parameters of the base model that are read, T those that are trained, W the bytes of a weight, B rows of S
tokens in the largest micro-batch:

    program      of Python and its libraries, measured; on a GPU what CUDA keeps for itself. Tables: 20 bytes an
                 interaction, and 4 a candidate of every stored list, on the CPU.
    weights      W P, or with linear maps in 4 bits as in `quantised`. On a CPU files are mapped, and the vocabulary's
                 head is never touched by objectives that answer in the recommender's space; on a GPU it is there too.
                 Where processes on GPUs divide the model, all of it but the embeddings counts by their number, and
                 twice what is whole while it works, a layer or that head: the next one is fetched meanwhile.
    trained      4 T: LoRA, projector and head, always float32
    gradients    4 T
    optimiser    8 T: AdamW's two moments
    averages     8 T: the moving average, and the best weights so far
    activations  see `activations`, with those of the projector: 4 B K (D + 2 h + 2 H) for K slots a row
    working      what one layer's backward pass has at hand, with the largest map of 4 bits as its product needs it
    logits       of `answer`, for N answer tokens of the micro-batch: 12 N V, as logits, their log-softmax and its
                 gradient; 2 N V more where the model's numbers are bfloat16, and 8 N V where logits are capped. Of
                 `stream`, over n items: 8 · rows · min(n, chunk) for the product and its softmax, as much for the
                 teacher's, and 4 n D for the gradient of vectors; and 12 n a position of its validation, which is
                 compared with all items at once
    allocator    on a CPU half of what a step makes and drops, with checkpointing as without: in micro-batches of
                 different lengths it leaves holes that glibc can't fill, measured; on a GPU a twentieth of what is held

The start has a peak of its own: weights, and the embeddings in float32, squared, for the scale of behavioural tokens.
On a CPU nothing of the weights but the embeddings has been touched by then, unless they have been quantised; the pages
of files that this reads are resident too, until somebody needs them, and aren't planned.
"""

from dataclasses import asdict, dataclass

from llara_core.params.objectives import Stream
from llara_core.params.params import Params
from llara_core.planning.activations import Numbers, kept_bytes, numbers, working_bytes
from llara_core.planning.quantised import model_bytes, product_bytes
from llara_core.planning.shapes import Shape
from llara_core.planning.trained import count_trained
from llara_core.planning.workload import Workload

GIB = 2**30
MARGIN = 1.2
"""By which a prediction may be too low: what fits without it, but not with it, is tight."""
PROGRAM = {"cpu": round(0.66 * GIB), "cuda": round(0.6 * GIB)}
"""Of a process before it has loaded a model: stages.finetune on Linux (docs/planning.md), a CUDA context."""
HOLES = {"cpu": 0.5, "cuda": 0.05}
"""Share of what a step makes (on a GPU: holds) by which the allocator takes more."""
_CHUNK, _ROWS = 8192, 256  # objectives.stream.model's, recommenders.losses.cross_entropy's


@dataclass(frozen=True)
class Memory:
    """Bytes of each part at the peak of training, as in this module's docstring."""

    program: int
    weights: int
    trained: int
    gradients: int
    optimizer: int
    averages: int
    activations: int
    working: int
    logits: int
    allocator: int
    starting: int

    @property
    def parts(self) -> dict[str, int]:
        """All that training holds at its peak."""
        return {name: size for name, size in asdict(self).items() if name != "starting"}

    @property
    def peak(self) -> int:
        """The higher of the two peaks."""
        return max(sum(self.parts.values()), self.starting)


def estimate_memory(params: Params, whole: Shape, workload: Workload, device: str, parts: int = 1) -> Memory:
    """Estimate the peak of one process.

    Args:
        params: all of params.yaml.
        whole: the language model.
        workload: what is read.
        device: cpu or cuda.
        parts: into which processes divide the frozen weights; on CPUs, which they share, it isn't counted.

    Raises:
        ModelError: the model hasn't the layers that are to be read.
        ParamsError: one of `lora.targets` names nothing.
    """
    shape = read_shape(params, whole)
    kept = numbers(params, shape, device)
    rows, width = workload.rows, workload.lengths.widest
    weights = _weights(shape, kept, parts if device == "cuda" else 1)
    weights -= kept.weight * _untouched(params, shape, device)
    trained = count_trained(params, shape).all
    held, made = (
        kept_bytes(shape, kept, rows, width, checkpointing=checkpointing) + _projected(params, shape, workload)
        for checkpointing in (params.train.gradient_checkpointing, False)
    )
    working, logits = working_bytes(shape, kept, rows, width), _logits(params, shape, workload, device)
    working += product_bytes(shape, kept.weight) if kept.quantised else 0
    program = PROGRAM[device] + (_tables(params, workload) if device == "cpu" else 0)
    started = weights if device != "cpu" or kept.quantised else kept.weight * shape.embedding
    squared = shape.embedding * (4 if kept.weight == 4 else 8)
    return Memory(
        program=program,
        weights=weights,
        trained=4 * trained,
        gradients=4 * trained,
        optimizer=8 * trained,
        averages=8 * trained,
        activations=held,
        working=working,
        logits=logits,
        allocator=round(HOLES[device] * ((made if device == "cpu" else held) + working + logits)),
        starting=program + started + 4 * trained + squared,
    )


def read_shape(params: Params, whole: Shape) -> Shape:
    """Return the part of a model that the selected objective loads.

    Raises:
        ModelError: the model hasn't so many layers.
    """
    return whole.lowest(getattr(params.selected_objective, "layers", None))


def _weights(shape: Shape, kept: Numbers, parts: int) -> int:
    if kept.quantised:  # which isn't divided
        return model_bytes(shape, kept.weight)
    if parts == 1:
        return kept.weight * shape.parameters
    own = -(-(shape.parameters - shape.embedding) // parts)
    at_work = 2 * max(shape.layer, shape.vocabulary_head)
    return kept.weight * min(shape.embedding + own + at_work, shape.parameters)


def _untouched(params: Params, shape: Shape, device: str) -> int:
    has_head = params.train.objective.name == "answer" or device != "cpu"
    return 0 if has_head else shape.vocabulary_head


def _tables(params: Params, workload: Workload) -> int:
    catalogue = workload.catalogue
    return 20 * catalogue.interactions + 4 * catalogue.lists * params.candidates.size


def _projected(params: Params, shape: Shape, workload: Workload) -> int:
    inner = getattr(params.projector, "hidden", 0)
    slot = params.selected_recommender.dim + 2 * inner + 2 * shape.hidden
    return 4 * workload.rows * workload.lengths.slots * slot


def _logits(params: Params, shape: Shape, workload: Workload, device: str) -> int:
    lengths, recipe = workload.lengths, params.selected_objective
    if params.train.objective.name == "answer":
        number = (14 if numbers(params, shape, device).inside == 2 else 12) + 8 * shape.caps_logits
        return round(number * workload.rows * lengths.answer * shape.vocabulary)
    if not isinstance(recipe, Stream):
        return 0
    n, asked = workload.catalogue.items, workload.rows * lengths.targets
    rivals = n if n <= recipe.sampled.beyond else recipe.sampled.negatives
    rows = min(asked, _ROWS) if device == "cpu" else asked
    scores = 8 * rows * min(rivals, _CHUNK) + 8 * min(asked, _ROWS) * rivals
    dim, noise = params.selected_recommender.dim, 4 * asked * shape.hidden
    return scores + 4 * n * dim + noise + 12 * n * recipe.validation.positions * (device == "cpu")
