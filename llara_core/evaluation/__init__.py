"""Asking a model for one of the candidates, and judging what it says."""
