"""Encoders, one module each: `Options`, what params.yaml may say of it, and `Encoder`, item vectors to states.

An encoder maps vectors [B, T, D], padded on the right with zeros, to states [B, T, D]; state t depends on vectors 0..t
alone. It never sees item ids. A new module in this folder is a new `encoder.name`: there is nothing to register.
"""
