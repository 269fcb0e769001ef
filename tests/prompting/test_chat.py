"""A prompt as a message of a chat: the frame's special tokens are some, the prompt's words never are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from llara_core.errors import ModelError
from llara_core.prompting.chat import STRANGE_MESSAGE, ChatFrame, chat_frame
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import FusedTitle, ItemSlot, PromptWriter, Text
from tests.factories import CHAT_TEMPLATE, SENTENCEPIECE, make_chat_tokenizer, make_sentencepiece

LLAMA_2 = "{{ bos_token }}[INST] {{ messages[0]['content'] | trim }} [/INST]"


@pytest.fixture(scope="module")
def chat(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    return make_chat_tokenizer(tokenizer)


@pytest.fixture(scope="module")
def marked(chat: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return a tokenizer with control marks that it doesn't call special."""
    own = make_chat_tokenizer(chat)
    own.add_tokens([AddedToken(mark, special=False, normalized=bool(place % 2)) for place, mark in enumerate(_MARKS)])
    return own


@pytest.fixture(scope="module")
def encoder(chat: PreTrainedTokenizerFast) -> PromptEncoder:
    return PromptEncoder(chat, 1024, chat_frame(chat))


def _whole(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Ids as transformers itself makes them of a conversation."""
    message = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)


def test_the_frame_is_what_the_template_puts_around_a_message(chat: PreTrainedTokenizerFast) -> None:
    assert chat_frame(chat) == ChatFrame(before="<|im|>user\n", after="<eos>\n<|im|>assistant\n")


def test_a_prompt_of_words_has_the_ids_that_transformers_gives_the_conversation(
    chat: PreTrainedTokenizerFast, encoder: PromptEncoder
) -> None:
    text = "This user has watched Toy Story. Answer:"
    assert encoder.encode([Text(text)]).input_ids == _whole(chat, text)


@pytest.mark.parametrize("style", ["first", "transformers"])
def test_a_sentencepiece_prompt_keeps_the_space_behind_its_frame(style: str) -> None:
    tokenizer = make_sentencepiece(style)
    tokenizer.chat_template = LLAMA_2
    encoder = PromptEncoder(tokenizer, 1024, chat_frame(tokenizer))
    found = encoder.encode([Text("Heat, Heat")]).input_ids
    assert tokenizer.convert_ids_to_tokens(found)[0] == "<s>"
    assert found.count(tokenizer.bos_token_id) == 1
    assert "▁Heat" in tokenizer.convert_ids_to_tokens(found)
    assert tokenizer.convert_ids_to_tokens(found) == tokenizer.convert_ids_to_tokens(_whole(tokenizer, "Heat, Heat"))
    first = encoder.encode([FusedTitle("Heat", 0, 6), ItemSlot(6)])
    assert first.slot_items == [6, 6]
    assert tokenizer.convert_ids_to_tokens([first.input_ids[first.slot_mask.index(True)]]) == ["▁Heat"]
    # [/INST] ends in no space: the answer brings its own.
    assert tokenizer.convert_ids_to_tokens(encoder.encode_answer(Text(" Heat"))) == ["▁Heat", "</s>"]


TEMPLATES = {
    "zephyr": "<|user|>\n{{ messages[0]['content'] }}{{ eos_token }}\n<|assistant|>\n",
    "llama-2": LLAMA_2,
    "behind a special token": "{{ bos_token }}{{ messages[0]['content'] }}",
    "behind a space": "{{ bos_token }}<s> {{ messages[0]['content'] }}</s> He:",
    "at the beginning": "{{ messages[0]['content'] }}</s>",
}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_a_sentencepiece_prompt_has_the_ids_that_transformers_gives_the_conversation(style: str, template: str) -> None:
    tokenizer = make_sentencepiece(style)
    tokenizer.chat_template = TEMPLATES[template]
    encoder = PromptEncoder(tokenizer, 1024, chat_frame(tokenizer))
    for text in ("Heat, Heat", "nd. Heat:", "3 He", "日本,\nHeat."):
        expected = tokenizer.convert_ids_to_tokens(_whole(tokenizer, text))
        assert tokenizer.convert_ids_to_tokens(encoder.encode([Text(text)]).input_ids) == expected
        fused = encoder.encode([FusedTitle(text, 0, 6)])
        assert tokenizer.convert_ids_to_tokens(fused.input_ids) == expected
        assert tokenizer.convert_ids_to_tokens(fused.input_ids[fused.slot_mask.index(True)]) != "▁"


@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_a_tokenizer_that_joins_a_message_with_its_frame_is_refused(style: str) -> None:
    tokenizer = make_sentencepiece(style)  # a + t is a token of its own
    assert STRANGE_MESSAGE.startswith("t")
    with pytest.raises(ModelError, match="must have the token ids that the tokenizer gives the whole conversation"):
        PromptEncoder(tokenizer, 1024, ChatFrame(before="<s>Hea", after="."))


def test_added_tokens_of_ordinary_text_stay_tokens(chat: PreTrainedTokenizerFast) -> None:
    own = make_chat_tokenizer(chat)
    own.add_tokens(["   ", "Heat", ">=", "[", "<"])
    encoder = PromptEncoder(own, 1024, chat_frame(own))
    text = "saw   Heat >= [Alien] < Babe"
    assert encoder.encode([Text(text)]).input_ids == _whole(own, text)
    assert PromptEncoder(own, 1024).encode([Text(text)]).input_ids == own(text).input_ids


@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_a_message_right_behind_its_frame_gets_no_space(style: str) -> None:
    tokenizer = make_sentencepiece(style)
    encoder = PromptEncoder(tokenizer, 1024, ChatFrame(before="<s>He:", after="."))
    found = tokenizer.convert_ids_to_tokens(encoder.encode([Text("Heat"), ItemSlot(6)]).input_ids)
    assert found[found.index(":") + 1 :] == ["Heat", tokenizer.unk_token, "."]


def test_an_answer_begins_at_once_where_the_frame_ends_a_line(
    chat: PreTrainedTokenizerFast, encoder: PromptEncoder
) -> None:
    assert chat.decode(encoder.encode_answer(Text(" Heat"))) == "Heat<eos>"
    assert encoder.decode(encoder.encode_answer(Text(" Heat"))) == "Heat"


def test_slots_and_marks_stand_inside_the_frame(
    chat: PreTrainedTokenizerFast, encoder: PromptEncoder, writer: PromptWriter
) -> None:
    raw = PromptEncoder(chat, 1024)
    for fusion in ("append", "add"):
        segments = replace(writer, fusion=fusion).compose(0, [1, 5], [6, 2], "hybrid", marked=True)
        (framed, marks), (alone, alone_marks) = encoder.encode_marked(segments), raw.encode_marked(segments)
        before, after = _whole(chat, "|")[: -len(encoder._around.after) - 1], encoder._around.after
        assert framed.input_ids == [*before, *alone.input_ids, *after]
        assert framed.slot_mask == [*[False] * len(before), *alone.slot_mask, *[False] * len(after)]
        assert framed.slot_items == alone.slot_items
        assert marks == [len(before) + mark for mark in alone_marks]


_MARKS = ["<think>", "</s>", "[INST]", "<|tool|>", "▁<PRE>"]
_TITLES = st.lists(
    st.one_of(
        st.sampled_from(["{history}", "{0}", "{candidates!r}", "<|im|>", "<eos>", "<pad>", "▢", "a<think>b", *_MARKS]),
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1),
    ),
    min_size=3,
    max_size=3,
)


@given(_TITLES)
@pytest.mark.parametrize("fusion", ["append", "replace"])
def test_titles_are_neither_placeholders_nor_slots_nor_special_tokens_nor_line_ends(
    marked: PreTrainedTokenizerFast, writer: PromptWriter, fusion: str, titles: list[str]
) -> None:
    encoder = PromptEncoder(marked, 1024, chat_frame(marked))
    own = replace(writer, titles=["", *titles], fusion=fusion)
    plain = replace(writer, titles=["", "x", "x", "x"], fusion=fusion)
    special = {*marked.added_tokens_decoder, *encoder.stop_ids}
    for mode in ("hybrid", "text", "id"):
        if (mode, fusion) == ("id", "replace"):
            continue
        found, expected = (encoder.encode(w.compose(0, [1, 2], [3, 1], mode)) for w in (own, plain))
        for prompt in (found, expected):
            shown = list(zip(prompt.input_ids, prompt.slot_mask, strict=True))
            kept = [token for token, is_slot in shown if not is_slot or fusion == "replace"]
            assert sum(token in special for token in kept) == 6  # the frame's three, and its three line ends
        order = [] if mode == "text" else [1, 2, 3, 1]
        assert _runs(found.slot_items) == _runs(expected.slot_items) == order
        if mode == "text":
            words = marked.decode(found.input_ids)
            assert words.count("watched " + ", ".join(titles[:2])) == 1
            assert f": {titles[2]}, {titles[0]}. Answer:" in words
    assert not {*encoder.encode_answer(own.answer(1))[:-1]} & special


def _runs(items: list[int]) -> list[int]:
    return [item for place, item in enumerate(items) if not place or items[place - 1] != item]


def test_a_tokenizer_without_a_chat_template_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(
        ModelError, match="prompt.form must be raw for .*, whose tokenizer has no chat template, got chat"
    ):
        chat_frame(tokenizer)


_CHANGES = (
    *("|upper", "|lower", "|capitalize", "|title", "|e", "|tojson", "|striptags", "|truncate(30)", "|truncate"),
    *("|wordwrap(40)", "|wordwrap", "|indent", "|urlize", ".split()|join(' ')", ".split(' ')[0]", ".split('.')[0]"),
    *(".split('\\n')[0]", "|replace('\\n', ' ')", "|replace('  ', ' ')", "|replace('\\t', ' ')", "[:100]", "[-100:]"),
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ raise_exception('no users') }}", "not a usable chat template .*no users"),
        ("{{ messages[0].content ", "not a usable chat template"),
        ("hello", "must show a user's message once and as it is, got it so 0 times"),
        ("{{ messages[0].content * 2 }}", "must show a user's message once and as it is, got it so 2 times"),
        *((f"<|im|>{{{{ messages[0].content{change} }}}}<eos>", "got it so 0 times") for change in _CHANGES),
    ],
)
def test_chat_templates_that_do_not_show_the_message_once_are_refused(
    chat: PreTrainedTokenizerFast, template: str, expected: str
) -> None:
    own = make_chat_tokenizer(chat)
    own.chat_template = template
    with pytest.raises(ModelError, match=expected):
        chat_frame(own)
    assert chat.chat_template == CHAT_TEMPLATE
