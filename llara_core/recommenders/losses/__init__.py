"""Losses over next-item scores: what each needs drawn, and its sum over positions."""
