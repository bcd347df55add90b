"""TFDS builder of DeepFashion2."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from tqdm.auto import tqdm

from fashion_jax.datasets.building.base import RetrievalBuilder
from fashion_jax.datasets.building.list_files import ListProblems
from fashion_jax.datasets.building.plan import BuildPlan

from .annotations import CATEGORIES, read_annotations
from .layout import find_annotations, photo_id, photo_ids, photo_tree
from .splits import GarmentCollector, assign_splits


class DeepFashion2(RetrievalBuilder):
    """Builder of customers' and shops' photos with boxes around all garments, some the same."""

    name = "deepfashion2"
    # The released half of the paper's training set, as counted by those who unpacked it and
    # confirmed by the authors: github.com/switchablenorms/DeepFashion2, issues 6 and 29.
    PUBLISHED: ClassVar[Mapping[str, int]] = {
        "train_photos": 191_961,
        "validation_photos": 32_153,
    }
    DESCRIPTION = (
        "DeepFashion2: photos by customers and by shops with boxes around all garments of 13 "
        "categories, and which of them are the same product."
    )
    HOMEPAGE = "https://github.com/switchablenorms/DeepFashion2"
    CITATION = """@inproceedings{ge2019deepfashion2,
  title={DeepFashion2: A Versatile Benchmark for Detection, Pose Estimation, Segmentation and
    Re-Identification of Clothing Images},
  author={Ge, Yuying and Zhang, Ruimao and Wu, Lingyun and Wang, Xiaogang and Tang, Xiaoou and
    Luo, Ping},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2019}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir must hold {train,validation}/image/000001.jpg, … and
    {train,validation}/annos/000001.json, …, as train.zip and validation.zip unpack. The password
    is given by a form that the dataset's page links to.
    """

    def plan(self, manual_dir: pathlib.Path) -> BuildPlan:
        """Read the annotations.

        Raises:
            LayoutError: if `manual_dir` is not a raw copy.
            ListError: if annotations are invalid.
        """
        annotations = find_annotations(manual_dir)
        photos = photo_tree(manual_dir)
        there = {part: photo_ids(manual_dir, part) for part in annotations}
        garments = self._read(annotations)
        present = {photo for of_part in there.values() for photo in of_part}
        fraction, seed = self.options.validation_fraction, self.options.seed
        splits = assign_splits(garments, present, fraction, seed)
        listed, found = {}, {}
        for part, paths in annotations.items():
            annotated = {photo_id(part, path.stem) for path in paths}
            listed[f"{part}_photos"] = len(annotated)
            found[f"{part}_photos"] = len(annotated & present)
            lacking = [photo for photo in there[part] if photo not in annotated]
            garments.problems["photo_without_annotation"] += lacking
        categories = [category.replace(" ", "_") for category in CATEGORIES]
        return BuildPlan(splits, photos, categories, garments.problems, listed, found)

    def _read(self, annotations: Mapping[str, Sequence[pathlib.Path]]) -> GarmentCollector:
        garments = GarmentCollector()
        problems = ListProblems("DeepFashion2's annotations")
        with tqdm(
            total=sum(map(len, annotations.values())),
            desc=f"{self.name}: reading annotations",
            unit=" files",
            disable=not self._progress,
            mininterval=0.5,
        ) as bar:
            for part, paths in annotations.items():
                for annotation in read_annotations(part, paths, self._threads, problems):
                    garments.add(part, annotation)
                    bar.update()
        problems.raise_any()
        return garments
