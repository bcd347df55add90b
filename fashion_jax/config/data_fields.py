"""Config fields of datasets, images and augmentations."""

import dataclasses
from typing import Annotated

from msgspec import Meta

from fashion_jax.config.errors import ConfigError
from fashion_jax.config.section import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    Ratio,
    Section,
)

ImageSize = Annotated[str, Meta(pattern="^[1-9][0-9]*x[1-9][0-9]*$", examples=["160x96"])]
Channels = tuple[float, float, float]
PositiveChannels = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


@dataclasses.dataclass(frozen=True)
class DataConfig(Section):
    """Datasets to train on, and how their photos are read.

    Attributes:
        dataset: name of a built dataset.
        extra_datasets: further datasets to train on at the same time; identities stay separate.
        dataset_weights: relative share of each dataset in a batch, `dataset` first; empty for
            shares proportional to the numbers of training identities.
        data_dir: directory that `fashion-jax data build` wrote to.
        identities_per_batch: P, distinct identities in a training batch, over all devices and
            hosts.
        photos_per_identity: K, photos of each identity in a batch.
        balance_domains: draw half of an identity's K photos from the street and half from the
            shop where it has enough of both; otherwise at least one of each.
        labelled_pairs: lists of pairs of photos that people labelled: marks of the search page, or
            decisions of `data duplicates`. Products with `same` photos count as one; `different`
            ones are shown in the same batches, in an eighth of their places.
        workers: Grain worker processes; 0 reads in threads of the training process.
        threads: reading threads in each process.
    """

    dataset: str = "synthetic_street2shop"
    extra_datasets: tuple[str, ...] = ()
    dataset_weights: tuple[PositiveFloat, ...] = ()
    data_dir: str = "data"
    identities_per_batch: PositiveInt = 16
    photos_per_identity: PositiveInt = 4
    balance_domains: bool = False
    labelled_pairs: tuple[str, ...] = ()
    workers: NonNegativeInt = 0
    threads: PositiveInt = 2

    def __post_init__(self) -> None:
        """Check the fields, and the datasets together."""
        super().__post_init__()
        names = self.datasets
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise ConfigError(
                "'data.dataset' and 'data.extra_datasets' name a dataset more than once: "
                f"{', '.join(twice)}; use 'data.dataset_weights' to show it more often"
            )
        if self.dataset_weights and len(self.dataset_weights) != len(names):
            raise ConfigError(
                f"config field 'data.dataset_weights' must have one number for each of the "
                f"{len(names)} datasets ({', '.join(names)}), or none, got {self.dataset_weights}"
            )
        if self.identities_per_batch < len(names):
            raise ConfigError(
                f"config field 'data.identities_per_batch' must be at least {len(names)}, one for "
                f"each dataset, got {self.identities_per_batch}"
            )

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets to train on, `dataset` first."""
        return (self.dataset, *self.extra_datasets)


@dataclasses.dataclass(frozen=True)
class ImageConfig(Section):
    """The network's input.

    Attributes:
        height: height in pixels.
        width: width in pixels.
        multi_scale_sizes: further training sizes such as "160x96" (height x width, in pixels);
            each batch draws one size. Evaluation and search use `height` and `width`.
        pixel_mean: mean of red, green and blue, on a scale of 0 to 255, to subtract; `None` for
            that of the backbone's published weights.
        pixel_std: divisors of red, green and blue after the subtraction; `None` for those of the
            backbone's published weights.
    """

    height: PositiveInt = 256
    width: PositiveInt = 128
    multi_scale_sizes: tuple[ImageSize, ...] = ()
    pixel_mean: Channels | None = None
    pixel_std: PositiveChannels | None = None


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Section):
    """Training augmentations of the strong baseline (arXiv:1906.08332, section 3).

    Attributes:
        flip_probability: probability of a horizontal flip.
        pad: zero padding on each side before the random crop, in pixels.
        erase_probability: probability of random erasing (arXiv:1708.04896).
        erase_area_min: smallest erased fraction of the image.
        erase_area_max: largest erased fraction of the image.
        erase_aspect_min: smallest aspect ratio (height / width) of the erased rectangle.
        erase_aspect_max: largest aspect ratio (height / width) of the erased rectangle.
        on_device: flip and crop in the step, on the devices, in place of the reading threads: the
            same pixels, for accelerators that are faster than the photos come.
    """

    flip_probability: Probability = 0.5
    pad: Annotated[int, Meta(ge=0, le=1000)] = 10
    erase_probability: Probability = 0.5
    erase_area_min: Ratio = 0.02
    erase_area_max: Ratio = 0.4
    erase_aspect_min: PositiveFloat = 0.3
    erase_aspect_max: PositiveFloat = 3.33  # as published, not 1 / 0.3
    on_device: bool = False
