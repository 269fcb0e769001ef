"""The options of each encoder, apart from its layers, so that reading params.yaml needs no torch."""
