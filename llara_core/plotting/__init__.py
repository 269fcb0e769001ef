"""Plots by Vega-Lite: DVC's templates as pictures, and a page for DVC that needs no network."""
