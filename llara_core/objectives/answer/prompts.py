"""Prompts with what answers them."""

from llara_core.objectives.prompt_plan import PromptPlan
from llara_core.prompting.encoding import EncodedPrompt
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode

AnsweredPrompt = tuple[EncodedPrompt, list[int]]
"""A prompt with its answer's token ids."""


class AnswerPlan(PromptPlan[AnsweredPrompt]):
    """Prompts with their targets' titles."""

    def _encode(self, drawn: Question, mode: Mode, step: int) -> AnsweredPrompt:
        segments = self._writer.compose(drawn.template, drawn.history, drawn.candidates, mode)
        return self._encoder.encode(segments, drawn.name), self._encoder.encode_answer(
            self._writer.answer(drawn.target)
        )
