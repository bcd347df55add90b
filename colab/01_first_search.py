# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/fashion-jax/fashion-jax/blob/main/colab/01_first_search.ipynb)
#
# # A first visual search
#
# A person takes a photo of a garment in the street; the shop's own photo of the very same product
# comes back first. This notebook runs every step on drawn garments: build a dataset, train a model,
# index the gallery, search it and measure it.
#
# It takes a few minutes on two CPU cores and less on a GPU or TPU. It keeps the runtime's JAX
# and its other packages.

# %%
# Installs fashion-jax without changing the runtime's packages; prints versions and devices.
import importlib
import importlib.metadata
import pathlib
import subprocess
import sys
import tempfile

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


def installed_versions():
    # Without "", the working folder: a clone there looks like an installed package.
    folders = [folder for folder in sys.path if folder]
    found = {}
    for package in importlib.metadata.distributions(path=folders):
        if name := package.metadata["Name"]:
            found.setdefault(canonicalize_name(name), package.version)
    return found


def is_version(text):
    try:
        return bool(Version(text))
    except InvalidVersion:  # some system packages; pip would refuse the whole list
        return False


def is_clone(folder):
    project = folder / "pyproject.toml"
    return project.is_file() and 'name = "fashion-jax"' in project.read_text()


before = installed_versions()
if "fashion-jax" not in before:
    here = pathlib.Path.cwd()
    clones = filter(is_clone, (here, *here.parents))
    wheels = sorted(here.glob("fashion_jax-*.whl"), reverse=True)
    requirements = [str([*clones, *wheels, "fashion-jax"][0])]
    print("installing", requirements[0])

    # The runtime's packages fit each other and its accelerator, so pip may add but not change.
    kept = {name: version for name, version in before.items() if is_version(version)}
    # One exception: tensorflow-metadata after 1.17.2 cannot be imported with protobuf before 6,
    # which is what Colab has. protobuf stays, because other packages need it.
    replaced = set()
    protobuf, metadata = (Version(kept.get(n, "0")) for n in ("protobuf", "tensorflow-metadata"))
    if 0 < protobuf.major < 6 and metadata > Version("1.17.2"):
        replaced = {"tensorflow-metadata"}
        requirements.append("tensorflow-metadata==1.17.2")
        del kept["tensorflow-metadata"]
        print(
            f"tensorflow-metadata changes from {metadata} to 1.17.2: newer ones need protobuf 6, "
            f"and the runtime has {protobuf}. Only TFDS and TFX use it."
        )
    constraints = pathlib.Path(tempfile.mkdtemp()) / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
    subprocess.run([*pip, *requirements], check=True)

    importlib.invalidate_caches()
    after = installed_versions()
    changed = {name for name, version in before.items() if after.get(name) != version}
    for name in sorted(changed):
        print(f"changed: {name} {before[name]} -> {after.get(name, 'removed')}")
    if changed - replaced:
        raise RuntimeError(f"pip changed packages of the runtime: {sorted(changed - replaced)}")

import jax

versions = installed_versions()
for name in (
    "fashion-jax", "jax", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets",
    "scann",
):  # fmt: skip
    print(f"{name:20} {versions.get(name, 'not installed')}")
if "scann" not in versions:
    print("ScaNN has no package for this system or Python; searches are exact instead.")
print(f"{'python':20} {sys.version.split()[0]}")
print(f"{'devices':20} {jax.devices()}")

# %% [markdown]
# ## Settings
#
# The recipe is `configs/demo.py`. `OVERRIDES` changes any of its fields, such as
# `{"training.epochs": 6}`.

# %% tags=["parameters"]
FOLDER = pathlib.Path("fashion_jax_demo")
DATASET_OPTIONS: dict[str, int] = {}
OVERRIDES: dict[str, object] = {}

# %%
import fashion_jax as fj

changes = {"data.data_dir": str(FOLDER / "data"), "training.evaluate_every_epochs": 1}
config = fj.load_config("demo", {**changes, **OVERRIDES})
config

# %% [markdown]
# ## 1. Build the dataset
#
# The builder draws garments: silhouettes, prints, and near-duplicates that differ only in colour,
# print or cut. Each product has studio photos (domain `shop`) and street photos. Products are split
# into training, validation and test; training never sees a test product.

# %%
report = fj.build(config.data.dataset, config.data.data_dir, **DATASET_OPTIONS)
print(report.to_table())

# %%
import cv2
import matplotlib.pyplot as plt
import numpy as np

from fashion_jax.datasets.records import Domain

dataset = fj.open_dataset(config.data.dataset, config.data.data_dir)
train_split = dataset.split("train")


def photo_of(split, row):
    encoded = np.frombuffer(split.image_bytes(row), np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)


products = np.unique(train_split.identity)[:6]
figure, axes = plt.subplots(2, len(products), figsize=(12, 4.5))
for column, product in enumerate(products):
    for line, domain in enumerate(Domain):
        mine = (train_split.identity == product) & (train_split.domain == domain)
        row = np.flatnonzero(mine)[0]
        axes[line, column].imshow(photo_of(train_split, int(row)))
        axes[line, column].set_title(f"{domain.name.lower()} · {train_split.category[row]}")
        axes[line, column].axis("off")
figure.tight_layout()

# %% [markdown]
# ## 2. Train
#
# Batches hold P products with K photos each. The objective is the sum of two losses: cross entropy
# over the training products, and a supervised contrastive loss, which pulls photos of a product
# together and pushes the batch's other products away. If the run is interrupted, run the cell again
# to resume.

# %%
workdir = FOLDER / "run"
fj.train(config, workdir)

# %%
from fashion_jax.training.metrics_log import read_metrics

lines = read_metrics(workdir)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5))
for term in ("loss/identity", "loss/supervised_contrastive"):
    points = [(line["epoch"], line[term]) for line in lines if term in line]
    left.plot(*zip(*points, strict=True), label=term)
left.set_xlabel("epoch")
left.legend()
points = [(line["epoch"], line["val/instance/mAP"]) for line in lines if "val/instance/mAP" in line]
right.plot(*zip(*points, strict=True), marker="o")
right.set_xlabel("epoch")
right.set_ylabel("mAP on validation products")
figure.tight_layout()

# %% [markdown]
# ## 3. Index the gallery
#
# The gallery's photos are embedded and stored in an index, with their names and thumbnails: ScaNN's
# where it is installed, else an exact one.

# %%
print(fj.build_index(workdir, kind="scann" if "scann" in versions else "exact").to_table())

# %% [markdown]
# ## 4. Search
#
# Set `photo` to a photo of your own, and `box` to the garment's `"x,y,width,height"` in pixels.

# %%
query_split = dataset.split("query")
photo = FOLDER / "street_photo.jpg"
photo.write_bytes(query_split.image_bytes(0))
answers = fj.search(photo, workdir, box=None, k=10, picture=FOLDER / "answers.png")
print(answers.to_table())
plt.figure(figsize=(12, 6))
plt.imshow(plt.imread(FOLDER / "answers.png"))
plt.axis("off")
plt.show()

# %% [markdown]
# ## 5. Measure
#
# The metrics compare the network before and after training, on products never seen in training.
# `mAP` covers the full ranking; `Acc@k` is the share of queries with a photo of the same product
# among the first k.

# %%
evaluation = fj.evaluate_run(workdir, untrained=True)
print(evaluation.to_table())

# %% [markdown]
# The report at the path above is a single HTML file with pictures of the best, median and worst
# searches. Download it and open it in a browser.

# %% [markdown]
# ## What to do next
#
# - Search your own photos: `02_own_photos.ipynb`.
# - Train on a published dataset: `03_reproduce_paper.ipynb`.
# - Compare with PyTorch: `04_beside_pytorch.ipynb`. Use a TPU: `05_tpu.ipynb`.
# - Read the tutorial, `docs/tutorial.md`, for the same steps as commands.
