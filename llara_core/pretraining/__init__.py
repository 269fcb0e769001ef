"""Pretraining a recommender as a whole, and judging it beside counting baselines."""
