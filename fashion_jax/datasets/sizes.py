"""Multi-scale training: each batch has one image size, drawn by its number."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from fashion_jax.config import ImageConfig
from fashion_jax.errors import FashionJaxError

# First element of random seeds, distinct from those of plan (0 to 2) and augmentations (3).
_SIZE = 4

_FORM = re.compile(r"([1-9][0-9]*)x([1-9][0-9]*)")


def parse_size(text: str) -> tuple[int, int]:
    """Parse an image size.

    Args:
        text: height x width in pixels.

    Returns:
        (height, width).

    Raises:
        FashionJaxError: if the text has another form.

    Examples:
        >>> parse_size("160x96")
        (160, 96)
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise FashionJaxError(
            f"a photo's size is given as height x width in pixels, such as '160x96', got {text!r}"
        )
    return int(found[1]), int(found[2])


def training_sizes(image: ImageConfig) -> tuple[ImageConfig, ...]:
    """List the sizes to train on: the config's own size, then each of `multi_scale_sizes`.

    Returns:
        The config once per size, with that height and width and without further sizes. A size
        named twice appears twice.

    Raises:
        FashionJaxError: if one of `multi_scale_sizes` is not of the form "160x96".

    Examples:
        >>> sizes = training_sizes(ImageConfig(256, 128, ("160x96",)))
        >>> [(size.height, size.width) for size in sizes]
        [(256, 128), (160, 96)]
    """
    own = (image.height, image.width)
    return tuple(
        dataclasses.replace(image, height=height, width=width, multi_scale_sizes=())
        for height, width in (own, *map(parse_size, image.multi_scale_sizes))
    )


def size_of_batch(sizes: Sequence[ImageConfig], seed: int, step: int) -> ImageConfig:
    """Draw the size of batch `step`, uniformly: a pure function of its arguments.

    All threads, workers and hosts therefore read the batch at the same size.
    """
    rng = np.random.default_rng((_SIZE, seed, step))
    return sizes[int(rng.integers(len(sizes)))]
