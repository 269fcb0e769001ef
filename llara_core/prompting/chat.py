"""The turns of a conversation that an instruct model's tokenizer puts around a prompt."""

from typing import TYPE_CHECKING

from llara_core.errors import ModelError
from llara_core.params.base import Section

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROMPT = "THE-PROMPT-STANDS-HERE"


class ChatFrame(Section):
    """What stands before a user's only message, and after it up to the answer; special tokens among it.

    An adapter keeps it as it was in training, for some models' templates write the day's date.
    """

    before: str
    after: str


def chat_frame(tokenizer: "PreTrainedTokenizerBase") -> ChatFrame:
    """Ask the tokenizer's chat template, which transformers renders in a sandbox.

    Raises:
        ModelError: it has none, or none that a single message goes through as it is.
    """
    name = tokenizer.name_or_path
    if not tokenizer.chat_template:
        raise ModelError(f"prompt.form must be raw for {name}, whose tokenizer has no chat template, got chat")
    message = [{"role": "user", "content": _PROMPT}]
    try:
        text = str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # of Jinja and of what the template itself raises
        raise ModelError(f"{name}: not a usable chat template ({type(error).__name__}: {error})") from error
    before, marker, after = text.partition(_PROMPT)
    if not marker or _PROMPT in after:
        raise ModelError(
            f"{name}: the chat template must show a user's message once, got it {text.count(_PROMPT)} times"
        )
    return ChatFrame(before=before, after=after)
