"""What makes two photos similar to a model, shown as maps.

A window of one photo is covered with the photo's mean colour; the map has the fall of the cosine
similarity to the other photo, as a mean over the windows that cover a pixel (occlusion: Zeiler &
Fergus 2014, arXiv:1311.2901, section 4.2; here for a similarity in place of a class's score). It
asks nothing of the network: any backbone, pooling or exported model will do.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from fashion_jax.datasets.loader import resize
from fashion_jax.inference.model import EmbeddingModel, Photo

Map = Float32[np.ndarray, "height width"]

_WINDOW = 4  # a window is a quarter of a side
_PLACES = 9  # of a window along a side


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why a model takes two photos for similar.

    Attributes:
        similarity: cosine similarity of the photos.
        query: map of the query, of the network's input size: the fall of the similarity where a
            place is covered, positive where the place makes the photos similar.
        answer: the same of the answer.
    """

    similarity: float
    query: Map
    answer: Map


def explain_similarity(
    model: EmbeddingModel, query: Photo, answers: Sequence[Photo]
) -> list[Explanation]:
    """Find the places of a query and of each of its answers that make them similar.

    Embeds each photo 82 times: as it is, and with each window covered.

    Args:
        model: the model that embeds them.
        query: RGB photo of any size.
        answers: RGB photos of any size.
    """
    image, *others = (resize(photo, model.config.image) for photo in (query, *answers))
    covered_query = _embed_covered(model, image)
    explanations = []
    for other in others:
        covered = _embed_covered(model, other)
        similarity = float(covered_query[0] @ covered[0])
        of_query = _mean_fall(image.shape[:2], similarity - covered_query[1:] @ covered[0])
        of_answer = _mean_fall(other.shape[:2], similarity - covered[1:] @ covered_query[0])
        explanations.append(Explanation(similarity, of_query, of_answer))
    return explanations


def overlay(photo: Photo, heat: Map, share: float = 0.6) -> Photo:
    """Colour the places of a photo that make it similar; the others become grey.

    Args:
        photo: RGB photo of any size.
        heat: map of the photo, of any size.
        share: opacity of the grey where the map is lowest.
    """
    height, width = photo.shape[:2]
    heat = cv2.resize(np.maximum(heat, 0), (width, height), interpolation=cv2.INTER_LINEAR)
    strength = (heat / max(float(heat.max()), 1e-6))[..., None]
    grey = photo.mean(axis=2, keepdims=True) * 0.5 + 96
    tint = np.array([255.0, 96.0, 0.0])
    cold = photo * (1 - share) + grey * share
    warm = photo * 0.65 + tint * 0.35
    return np.clip(cold * (1 - strength) + warm * strength, 0, 255).astype(np.uint8)


def _embed_covered(
    model: EmbeddingModel, image: UInt8[np.ndarray, "height width 3"]
) -> Float32[np.ndarray, "covered features"]:
    """Embed a photo as it is, then with each window covered."""
    colour = image.mean(axis=(0, 1)).round().astype(np.uint8)
    images = [image]
    for rows, columns in _windows(image.shape[:2]):
        images.append(image.copy())
        images[-1][rows, columns] = colour
    size = model.config.evaluation.batch_size
    parts = [
        model.embed_images(np.stack(images[start : start + size]), size)
        for start in range(0, len(images), size)
    ]
    return np.concatenate(parts)


def _windows(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    rows, columns = (_steps(side) for side in shape)
    return ((each, other) for each in rows for other in columns)


def _steps(side: int) -> list[slice]:
    length = max(1, side // _WINDOW)
    starts = np.linspace(0, side - length, _PLACES).round().astype(int)
    return [slice(start, start + length) for start in starts.tolist()]


def _mean_fall(shape: tuple[int, ...], falls: Float32[np.ndarray, " windows"]) -> Map:
    total, count = np.zeros((2, *shape), np.float32)
    for (rows, columns), fall in zip(_windows(shape), falls, strict=True):
        total[rows, columns] += fall
        count[rows, columns] += 1
    return total / count
