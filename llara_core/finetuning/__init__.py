"""Curriculum LoRA tuning of the hybrid language model."""
