"""The bytes of a base model whose linear maps are kept in 4 bits (QLoRA, arXiv 2305.14314, section 3).

A map of n weights has a code of 4 bits for each; for each block of 64 of them a scale of 8 bits; for each 256 of these
a scale of theirs of 4 bytes, and their mean, 4 bytes for all. That is 4 + 8 / 64 + 32 / (64 · 256) = 4.127 bits a
weight. bitsandbytes keeps tables of the codes' 16 levels and of the scales' 256 beside each map, 4 bytes a level.
"""

from llara_core.planning.shapes import Shape

_BLOCK, _SCALES = 64, 256
_TABLES = 4 * (16 + 256)


def map_bytes(weights: int) -> int:
    """Bytes of a linear map of so many weights, without its bias."""
    blocks = -(-weights // _BLOCK)
    return -(-weights // 2) + blocks + 4 * -(-blocks // _SCALES) + 4 + _TABLES


def model_bytes(shape: Shape, other: int) -> int:
    """Bytes of a whole model; what isn't a linear map of a layer has `other` bytes a weight."""
    maps = sum(map_bytes(linear.inputs * linear.outputs) for linear in shape.linears.values())
    return shape.layers * maps + other * (shape.parameters - shape.layers * shape.layer_matrices)


def product_bytes(shape: Shape, number: int) -> int:
    """Bytes that a product has at hand: the largest map, dequantised to numbers of so many bytes, and its scales."""
    largest = max(linear.inputs * linear.outputs for linear in shape.linears.values())
    return number * largest + 4 * -(-largest // _BLOCK)
