"""Training prompts whose candidates can be pointed at."""

from llara_core.objectives.choice.prompts import ChoicePrompt, encode_choice
from llara_core.objectives.prompt_plan import PromptPlan
from llara_core.prompting.question import Question


class ChoicePlan(PromptPlan[ChoicePrompt]):
    """Prompts whose candidates can be pointed at."""

    def _encode(self, drawn: Question, step: int) -> ChoicePrompt:
        return encode_choice(drawn, self.mode(step), self._writer, self._encoder)
