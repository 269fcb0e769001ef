"""Training prompts whose candidates can be pointed at."""

from llara_core.objectives.choice.prompts import ChoicePrompt, encode_choice
from llara_core.objectives.prompt_plan import PromptPlan
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode


class ChoicePlan(PromptPlan[ChoicePrompt]):
    """Prompts whose candidates can be pointed at."""

    def _encode(self, drawn: Question, mode: Mode, step: int) -> ChoicePrompt:
        return encode_choice(drawn, mode, self._writer, self._encoder)
