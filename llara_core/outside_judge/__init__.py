"""Asking an outside judge: any OpenAI-compatible endpoint, about the stored lists, judged as everything else is."""
