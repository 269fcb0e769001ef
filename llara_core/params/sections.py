"""The sections of params.yaml.

No field has a default, for DVC tracks params.yaml, not this code; but `quantization`, which few entries have, may be
left out.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from llara_core.params.base import (
    BareName,
    Count,
    Dropout,
    Fraction,
    Name,
    PositiveFloat,
    PositiveInt,
    Precision,
    Probability,
    Section,
    Sha256,
)
from llara_core.params.objectives import ObjectiveChoice
from llara_core.params.templates import Templates


class Selector(Section):
    """Which entry of the map of the same (plural) name is used."""

    name: Name


class Split(Section):
    """How interactions are divided.

    `first_interaction` ranks users by their first kept timestamp (the paper); `leave_one_out` tests on everybody's last
    item and validates on the one before; `global_time` cuts all sequences at the same two points in time; `given` takes
    the split that the dataset comes with.
    """

    name: Literal["first_interaction", "leave_one_out", "global_time", "given"]
    validation: Fraction
    test: Fraction
    min_history: PositiveInt
    history_length: PositiveInt

    @model_validator(mode="after")
    def _leave_training_users(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation + test must be < 1, got {self.validation + self.test:g}")
        if self.min_history > self.history_length:
            raise ValueError(f"min_history must be ≤ history_length {self.history_length}, got {self.min_history}")
        return self


class Draws(Section):
    """Stored candidate sets of each user's last position."""

    validation: PositiveInt
    test: PositiveInt


class AllPositions(Section):
    """Stored candidate sets of validation and test users: `draws` of each of up to `limit` drawn ones."""

    limit: PositiveInt
    draws: Count


class Popularity(Section):
    """Negatives by popularity: an item's weight is its number of training interactions plus `smoothing`."""

    smoothing: Annotated[float, Field(ge=1e-6, le=1e9)]


class Hard(Section):
    """Hard negatives: drawn among the `pool` items that the pretrained recommender gives the highest scores."""

    pool: PositiveInt


class Candidates(Section):
    """Candidate sets; `negatives` says which items may be negatives of a user, and how they are drawn.

    The stored ones are drawn by their own `seed`, so that models of several seeds are asked about the same lists.
    """

    seed: Count
    size: Annotated[int, Field(ge=2)]
    negatives: Literal["outside_history", "outside_recent", "popularity", "hard"]
    popularity: Popularity
    hard: Hard
    draws: Draws
    all_positions: AllPositions

    @model_validator(mode="after")
    def _fill_lists(self) -> Self:
        if self.negatives == "hard" and self.hard.pool < self.size - 1:
            raise ValueError(f"hard.pool must be ≥ size - 1 = {self.size - 1}, got {self.hard.pool}")
        return self


Attention = Literal["sdpa", "eager", "flash_attention_2"]
"""transformers' names: PyTorch's kernels, plain products that store all scores, and the package flash-attn."""


class PackagedLlm(Section):
    """A GGUF file that a Python package ships; converted once to safetensors.

    An adapter's llara.json names these too. `file` becomes a path, `package` and `version` a command of pip's, to which
    an address, a folder or an option would be welcome: so all three are bare names.
    """

    source: Literal["package"]
    file: BareName
    sha256: Sha256
    package: BareName
    version: BareName
    member: Name
    dtype: Literal["float32", "bfloat16"]
    attention: Attention
    quantization: None = None

    @field_validator("quantization", mode="before")
    @classmethod
    def _quantised_once(cls, value: object) -> object:
        if value is not None:
            raise ValueError(
                "must be null for source package, whose GGUF file has been quantised already (huggingface and folder "
                f"can have nf4), got {value!r}"
            )
        return value


_HUB_NAME = r"[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*"


Quantization = Literal["nf4"]
"""How a base model's linear maps are kept: in 4 bits, by QLoRA's rule (arXiv 2305.14314); else they have `dtype`."""


class HubLlm(Section):
    """A model on the Hugging Face hub, pinned to a commit."""

    source: Literal["huggingface"]
    id: Annotated[str, Field(pattern=rf"^{_HUB_NAME}(/{_HUB_NAME})?$", max_length=200)]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    dtype: Literal["float32", "bfloat16"]
    attention: Attention
    quantization: Quantization | None = None


class FolderLlm(Section):
    """A local folder as transformers' `save_pretrained` writes it, with safetensors weights.

    It is a path by design, also where an adapter's llara.json names it: what lies there is only ever read, as
    safetensors and JSON, and never run.
    """

    source: Literal["folder"]
    path: Annotated[Path, Field(strict=False)]
    dtype: Literal["float32", "bfloat16"]
    attention: Attention
    quantization: Quantization | None = None


Llm = Annotated[PackagedLlm | HubLlm | FolderLlm, Field(discriminator="source")]


Mode = Literal["hybrid", "text", "id"]
"""How a prompt shows its items: by title and behavioural token, by title alone, or by behavioural token alone."""


class Prompt(Section):
    """Prompt texts. A template uses {history} and {candidates}, and may use {n_candidates} and the nouns.

    `mode` is how prompts with behavioural tokens show an item: by title and token (`hybrid`), or by token alone (`id`);
    with `text` there are none. `form`: templates alone (`raw`), or as a message in the tokenizer's chat template.
    """

    mode: Mode
    form: Literal["raw", "chat"]
    separator: Name
    templates: Templates


def _all_or_names(value: object) -> object:
    if value == "all-linear" or (isinstance(value, list) and value and all(isinstance(x, str) and x for x in value)):
        return value
    raise ValueError(f"must be all-linear or names of linear layers, got {value!r}")


class Lora(Section):
    """LoRA on the named linear layers; `all-linear` means every linear layer but the output head."""

    rank: PositiveInt
    alpha: PositiveInt
    dropout: Dropout
    targets: Annotated[Literal["all-linear"] | list[Name], BeforeValidator(_all_or_names)]


class Train(Section):
    """The optimisation, whichever the objective.

    `precision` is that of matrix products in training and in the validation beside it: bfloat16 under autocast, or the
    type that a layer's weights have (float32, if `llms.*.dtype` is).
    """

    objective: ObjectiveChoice
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Probability
    max_grad_norm: PositiveFloat
    precision: Precision
    gradient_checkpointing: bool
    checkpoint_every: PositiveInt
    workers: Count


Changed = Literal["vectors_shuffled", "vectors_zeroed", "history_shuffled", "history_removed", "candidates_shuffled"]
Probe = Literal[Mode, Changed]


class Eval(Section):
    """How the language model is asked.

    `positions`: each test user's last one (the paper), or all that have lists; `limit`: of them at most so many, drawn.

    `probes`: the same lists are also asked with one thing taken away: items shown by title alone (`text`), by token
    alone (`id`) or both (`hybrid`), with tokens of other items or of a vector of zeros, after a history in random order
    or without one, or with the candidates in another order. Each costs as much as asking does.

    `untuned`: the language model before tuning is asked too, about the first `draws` lists of each position, and so are
    all others then.

    `exclude_seen`: from rankings of the whole catalogue, items that the user has had.

    `draws`: of the stored candidate sets of each user, where each is a prompt of its own; `stream` reads a history once
    and takes them all.

    `mode`: items by title and behavioural token (`hybrid`), title alone (`text`) or token alone (`id`), or as the last
    steps of training showed them.
    """

    positions: Literal["last", "all"]
    limit: PositiveInt | None
    probes: list[Probe]
    untuned: bool
    method: Literal["scoring", "generation", "constrained"]
    mode: Literal["as_trained"] | Mode
    draws: PositiveInt
    template: Count
    batch_size: PositiveInt
    length_normalized: bool
    exclude_seen: bool


class Baselines(Section):
    """The Markov chain that recommenders are compared with.

    The latest `context` items of a history each predict what followed them within `reach` steps; an item counts `decay`
    times as much as the one after it, and `smoothing` pseudo-counts spread by popularity are what it backs off to.
    """

    context: PositiveInt
    reach: PositiveInt
    decay: Annotated[float, Field(gt=0, le=1)]
    smoothing: PositiveFloat
