"""The turns of a conversation that an instruct model's tokenizer puts around a prompt."""

from typing import TYPE_CHECKING

from llara_core.errors import ModelError
from llara_core.params.base import Section

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STRANGE_MESSAGE = (
    "this User's \"list\" of {{ items }} & {0} — ÄÖ_é  #1 (www.example.org).\tWhat's Next? 100% of *it* is unknown; "
    "therefore this sentence is a good deal longer than what is left of a message that a template shortens or wraps, "
    "and it ends a line here.\n\nthe Second line, `&lt;`, {% if %} <&> [&] \\n 'Heat', Heat. one more Word. the choice:"
)
"""A message that templates can hardly change unseen: letters of both cases, marks, spaces, sentences and lines.

It ends in no space, for many templates trim, and holds no tag or mark that may be some tokenizer's token.
"""


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
    message = [{"role": "user", "content": STRANGE_MESSAGE}]
    try:
        text = str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # of Jinja and of what the template itself raises
        raise ModelError(f"{name}: not a usable chat template ({type(error).__name__}: {error})") from error
    before, marker, after = text.partition(STRANGE_MESSAGE)
    if not marker or STRANGE_MESSAGE in after:
        raise ModelError(
            f"{name}: the chat template must show a user's message once and as it is, "
            f"got it so {text.count(STRANGE_MESSAGE)} times"
        )
    return ChatFrame(before=before, after=after)
