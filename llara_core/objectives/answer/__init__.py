"""Objective `answer`, the paper's: the language model's own loss on the title that answers a prompt with candidates."""
