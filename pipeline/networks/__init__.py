"""Networks: the layers that systems are made of, and families of encoders and decoders for images of any size.

A family (``families``) makes the networks of one system for images of one shape: MLPs (``perceptrons``), the convolutions of
CCVAE's table 3 (``convolutional``), those of Rb-VAE's figure 7 (``pixel_norm``), or the user's own. ``choice`` finds the
one that a run names. Images and pixel logits are flat rows, in the order (channel, height, width).
"""

from pipeline.networks.layers import (
    SMALLEST_SCALE,
    ConditionedMLP,
    Decoder,
    concatenated,
    full_precision,
    he_initialised,
    held_fixed,
    mlp,
    one_hot,
    scale_of,
    split_mean_and_scale,
)

__all__ = [
    "SMALLEST_SCALE",
    "ConditionedMLP",
    "Decoder",
    "concatenated",
    "full_precision",
    "he_initialised",
    "held_fixed",
    "mlp",
    "one_hot",
    "scale_of",
    "split_mean_and_scale",
]
