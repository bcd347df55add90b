"""A model card for tests that need one."""

from fashion_jax.inference.card import ModelCard

CARD = ModelCard(
    backbone="resnet50",
    last_stride=1,
    stem_relu=True,
    stem_pool="padded",
    pooling="average",
    gem_power=3.0,
    neck="bnneck",
    normalisation="l2",
    metric="cosine",
    embedding_width=2048,
    image_height=256,
    image_width=128,
    pixel_mean=(123.675, 116.28, 103.53),
    pixel_std=(58.395, 57.12, 57.375),
    weights_hash="0123abcd",
    dataset="street2shop",
    step=1200,
)
