"""How attention can be computed where, and the masks that are made for it."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, PreTrainedModel

from llara_core.errors import ModelError
from llara_core.hybrid import attention
from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.attention import FLASH, choose_attention, require_attention
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.families import FAMILIES
from llara_core.hybrid.masks import attention_masks
from llara_core.params.sections import FolderLlm
from llara_core.planning import shapes
from tests.conftest import OF_FAMILIES
from tests.factories import APPEND, PROJECTOR, folder_llm

CPU, GPU = torch.device("cpu"), torch.device("cuda")
LLAMA, CAPPED = AutoConfig.for_model("llama"), AutoConfig.for_model("gemma2")


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A version of flash-attn that is said to be installed, on a GPU of the Ampere generation; none while empty."""
    versions: list[str] = []

    def version(_: str) -> str:
        if not versions:
            raise PackageNotFoundError
        return versions[0]

    monkeypatch.setattr(attention, "version", version)
    monkeypatch.setattr(attention, "is_flash_attn_2_available", lambda: versions != ["1.0"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    return versions


@pytest.mark.usefixtures("package")
def test_all_that_flash_attention_lacks_is_told_before_a_folder_is_looked_for() -> None:
    entry = folder_llm(Path("nowhere"), attention=FLASH)
    expected = (
        r"llms\.\*\.attention: flash_attention_2 needs weights of bfloat16 \(llms.\*.dtype\), got float32; "
        "a GPU, got the CPU; the package flash-attn, which isn't installed; choose sdpa"
    )
    for refuse in (lambda: require_attention(entry, CPU), lambda: load_base_llm(entry, CPU)):
        with pytest.raises(ModelError, match=expected):
            refuse()


@pytest.mark.parametrize(
    ("dtype", "device", "version", "capability", "expected"),
    [
        ("float32", GPU, "2.8", (8, 0), "needs weights of bfloat16 .*, got float32; choose"),
        ("bfloat16", CPU, "2.8", (8, 0), "needs a GPU, got the CPU; choose"),
        ("bfloat16", GPU, "2.8", (7, 5), "needs a GPU of the Ampere generation or later, got T4; choose"),
        ("bfloat16", GPU, "1.0", (8, 0), "needs a version of the package flash-attn that transformers takes, got 1.0"),
        ("bfloat16", GPU, None, (9, 0), "needs the package flash-attn, which isn't installed; choose"),
    ],
)
def test_each_by_itself(
    package: list[str],
    monkeypatch: pytest.MonkeyPatch,
    dtype: str,
    device: torch.device,
    version: str | None,
    capability: tuple[int, int],
    expected: str,
) -> None:
    package += [version] if version else []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "T4")
    with pytest.raises(ModelError, match=expected):
        choose_attention(folder_llm(Path("x"), dtype, FLASH), LLAMA, device, may_stand_in=False)


def test_what_can_run_is_chosen(package: list[str]) -> None:
    package.append("2.8")
    for config, names in ((LLAMA, ("sdpa", "eager", FLASH)), (CAPPED, ("eager", FLASH))):
        for name in names:
            entry = folder_llm(Path("x"), "bfloat16", name)
            assert [choose_attention(entry, config, GPU, may_stand_in=may) for may in (False, True)] == [name] * 2


@pytest.mark.usefixtures("package")
def test_a_model_tuned_with_flash_attention_is_asked_anywhere() -> None:
    entry = folder_llm(Path("x"), "bfloat16", FLASH)
    assert choose_attention(entry, LLAMA, CPU, may_stand_in=True) == "sdpa"
    assert choose_attention(entry, CAPPED, CPU, may_stand_in=True) == "eager"


@pytest.mark.parametrize(
    "config",
    [
        CAPPED,
        AutoConfig.for_model("gemma2", attn_logit_softcapping=None),  # transformers refuses it all the same
        AutoConfig.for_model("gemma3_text", attn_logit_softcapping=9.0),
    ],
    ids=["gemma2", "gemma2-uncapped", "gemma3_text"],
)
@pytest.mark.parametrize("may_stand_in", [False, True])
def test_capped_scores_need_another_than_sdpa(config: object, may_stand_in: bool) -> None:
    with pytest.raises(ModelError, match=r"llms.\*.attention must be eager or flash_attention_2 for a gemma.*got sdpa"):
        choose_attention(folder_llm(Path("x")), config, CPU, may_stand_in=may_stand_in)


@pytest.mark.parametrize("name", ["sdpa", "eager"])
def test_the_model_is_loaded_with_it(llm_entry: FolderLlm, name: str) -> None:
    model = load_base_llm(llm_entry.model_copy(update={"attention": name}), CPU)
    assert model.config._attn_implementation == model.model.layers[0].self_attn.config._attn_implementation == name


def test_both_read_the_same(llm_entry: FolderLlm) -> None:
    ids = torch.tensor([[4, 5, 6, 7, 8, 9]])
    one, other = (
        load_base_llm(llm_entry.model_copy(update={"attention": name}), CPU)(ids).logits for name in ("sdpa", "eager")
    )
    torch.testing.assert_close(one, other)


@pytest.mark.every_family
@torch.no_grad()
def test_where_masks_say_who_sees_whom_another_stands_in_for_flash_attention(
    llm: PreTrainedModel, item_embeddings: np.ndarray
) -> None:
    hybrid = build_hybrid(llm, item_embeddings, PROJECTOR, APPEND)
    own = llm.config._attn_implementation
    words = llm.get_input_embeddings()(torch.tensor([[4, 5, 6, 7, 8, 9, 10, 11]]))
    visible, places = torch.ones(1, 8, 8, dtype=torch.bool).tril(), torch.arange(8)[None]
    expected = hybrid.states_seeing(words, visible, places, places)
    torch.testing.assert_close(expected, hybrid.backbone(inputs_embeds=words, use_cache=False).last_hidden_state)
    llm.config._attn_implementation = FLASH  # whose package isn't here: it would fail
    torch.testing.assert_close(hybrid.states_seeing(words, visible, places, places), expected)
    assert llm.config._attn_implementation == FLASH != own


def test_masks_by_hand() -> None:
    """Three tokens that see all before them, the third 2 places behind the first; a window of 2."""
    visible = torch.ones(1, 3, 3, dtype=torch.bool).tril()
    distance = torch.arange(3)[None, :, None] - torch.arange(3)[None, None]
    low = torch.finfo(torch.float32).min
    whole = torch.tensor([[[[0, low, low], [0, 0, low], [0, 0, 0.0]]]])
    near = torch.tensor([[[[0, low, low], [0, 0, low], [low, 0, 0.0]]]])

    def masks(family: str, **options: object) -> object:
        return attention_masks(AutoConfig.for_model(family, **options), visible, distance, torch.float32)

    for family in ("llama", "gemma"):
        assert torch.equal(masks(family, sliding_window=2), whole)  # which says nothing in these families
    assert torch.equal(masks("mistral", sliding_window=2), near)
    assert torch.equal(masks("mistral", sliding_window=None), whole)
    for family in ("qwen2", "qwen3", "gemma2", "gemma3_text"):
        found = masks(family, sliding_window=2, **({"use_sliding_window": True} if "qwen" in family else {}))
        assert found.keys() == {"full_attention", "sliding_attention"}
        assert torch.equal(found["full_attention"], whole)
        assert torch.equal(found["sliding_attention"], near)
    assert masks("qwen3", sliding_window=2).keys() == {"full_attention"}


def test_families_are_known_alike_everywhere() -> None:
    assert set(FAMILIES) == set(shapes.FAMILIES) == set(OF_FAMILIES)
