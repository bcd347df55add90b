"""Config fields of data, photos and augmentations."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which built datasets to read, and how.

    Attributes:
        dataset: name of a builder in `data_builders/`.
        more_datasets: further ones to train on at the same time; their identities stay apart.
        weights: share of each dataset in a batch, `dataset` first, in any unit; empty for shares
            by the numbers of training identities.
        data_dir: folder that `fashion-jax data build` wrote to.
        identities_per_batch: P, distinct products in a training batch, over all devices and hosts.
        photos_per_identity: K, photos of each of them.
        balance_domains: half of an identity's K photos from the street and half from the shop,
            where it has enough of both; otherwise at least one of each, the rest as drawn.
        workers: Grain worker processes (0 reads in threads of this process).
        threads: reading threads per process.
    """

    dataset: str = "synthetic_street2shop"
    more_datasets: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    data_dir: str = "data"
    identities_per_batch: int = 16
    photos_per_identity: int = 4
    balance_domains: bool = False
    workers: int = 0
    threads: int = 2

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets that are trained on, `dataset` first."""
        return (self.dataset, *self.more_datasets)


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """A photo as the network sees it.

    Attributes:
        height: in pixels.
        width: in pixels.
        more_sizes: further sizes such as "160x96" (height x width) to train on: each batch is of
            one size, drawn anew; evaluation and search use `height` and `width`.
        pixel_mean: subtracted from red, green and blue, in units of 0..255; empty for what the
            backbone's published weights expect.
        pixel_std: what they are divided by then.
    """

    height: int = 256
    width: int = 128
    more_sizes: tuple[str, ...] = ()
    pixel_mean: tuple[float, ...] = ()
    pixel_std: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Training augmentations of the strong baseline (arXiv:1906.08332, section 3).

    Attributes:
        flip_probability: horizontal flip.
        pad: pixels of zero padding before the random crop.
        erase_probability: random erasing (arXiv:1708.04896).
        erase_area_min: smallest erased part of the area.
        erase_area_max: largest erased part of the area.
        erase_aspect_min: smallest aspect ratio; the largest is its published 3.33.
        erase_aspect_max: largest aspect ratio (height / width).
    """

    flip_probability: float = 0.5
    pad: int = 10
    erase_probability: float = 0.5
    erase_area_min: float = 0.02
    erase_area_max: float = 0.4
    erase_aspect_min: float = 0.3
    erase_aspect_max: float = 3.33
