"""The command-line program for people: put a trained model to use. Above the core, beside the stages."""
