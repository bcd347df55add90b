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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/fashion-jax/fashion-jax/blob/main/colab/02_own_photos.ipynb)
#
# # Search your own photos
#
# A folder of photos and one list of them are enough to train a network on your products and to
# search them with a photo. This notebook checks the photos, builds a dataset, trains, indexes,
# searches and adds new photos to the index.
#
# Without photos of your own it runs on drawn garments, which it first writes into a folder and a
# list, as yours would be. That takes a few minutes on two CPU cores.

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
# `LIST` is a CSV file with the columns `photo` and `product` and, if you have them, `domain` and
# `category`:
#
#     photo,product,domain,category
#     coats/17-front.jpg,17,shop,coats
#     customers/2291.jpg,17,street,coats
#
# `photo` is the path below the folder `PHOTOS`. `product` is your name or number of the product.
# `domain` is `street` for customers' photos and `shop` for yours.
#
# In Colab, upload the folder, or mount Google Drive and give a path below `/content/drive/MyDrive`.

# %% tags=["parameters"]
FOLDER = pathlib.Path("own_photos")
PHOTOS: str | None = None  # your folder; None for drawn garments
LIST: str | None = None  # your list
QUERY: str | None = None  # a photo to search with; None for a query photo of the test products
BOX: str | None = None  # "x,y,width,height" of the garment on it, in pixels
NEW_PHOTOS: str | None = None  # a folder of photos to add to the index
DRAWN = {"train_identities": 150, "val_identities": 4, "test_identities": 8, "distractors": 4}
OVERRIDES: dict[str, object] = {}

# %% [markdown]
# ## 1. Photos and list
#
# With your own photos, this cell only reads the list. Otherwise it writes drawn garments: photos of
# 150 products for the catalogue and, as new photos, the shop photos of a few others.

# %%
import csv

import fashion_jax as fj
from fashion_jax.datasets.records import domain_names


def write_photos(split, rows, folder):
    """Write photos of a split as files; return their rows of the list."""
    listed = []
    for row in rows:
        name = f"{split.category[row]}/{split.photo_id[row]}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(split.image_bytes(row))
        domain = domain_names(split.domain[row : row + 1])[0]
        listed.append((name, f"product-{split.identity[row]}", domain, split.category[row]))
    return listed


if PHOTOS is None:
    PHOTOS, LIST, NEW_PHOTOS = FOLDER / "photos", FOLDER / "items.csv", FOLDER / "new_photos"
    fj.build("synthetic_street2shop", FOLDER / "drawn", **DRAWN)
    drawn = fj.open_dataset("synthetic_street2shop", FOLDER / "drawn")
    listed = write_photos(drawn.split("train"), range(len(drawn.split("train"))), PHOTOS)
    with LIST.open("w", newline="") as file:
        csv.writer(file).writerows([("photo", "product", "domain", "category"), *listed])
    write_photos(drawn.split("gallery"), range(len(drawn.split("gallery"))), NEW_PHOTOS)

with pathlib.Path(LIST).open(newline="") as file:
    rows = list(csv.reader(file))
print(f"{len(rows) - 1} rows in {LIST}; the first ones:")
for row in rows[:5]:
    print("  ", ",".join(row))

# %% [markdown]
# ## 2. Check
#
# All photos are read and all problems are reported at once. The contact sheet shows some photos and
# what the network sees of them: wrong boxes show at once.

# %%
import matplotlib.pyplot as plt


def show(picture, height=6):
    plt.figure(figsize=(12, height))
    plt.imshow(plt.imread(picture))
    plt.axis("off")
    plt.show()


sheet = FOLDER / "contact_sheet.png"
sheet.parent.mkdir(parents=True, exist_ok=True)
report = fj.check("catalogue", manifest=str(LIST), photos=str(PHOTOS), contact_sheet=sheet)
print(report.to_table())
show(sheet, height=9)

# %% [markdown]
# ## 3. Build
#
# 20 % of the products become the test set and 5 % of the rest validation, unless the list has a
# column `split`.

# %%
fj.build("catalogue", FOLDER / "data", manifest=str(LIST), photos=str(PHOTOS))
dataset = fj.open_dataset("catalogue", FOLDER / "data")
for name in dataset.splits:
    split = dataset.split(name)
    print(f"{name:12} {len(split):6} photos of {len(set(split.identity))} products")

# %% [markdown]
# ## 4. Train
#
# `street2shop_small_contrastive` is the best recipe found for two CPU cores. A batch holds 16
# products with four photos each: with fewer products, lower `data.identities_per_batch` in
# `OVERRIDES`. If the run is interrupted, run the cell again to resume.

# %%
changes = {"data.dataset": "catalogue", "data.data_dir": str(FOLDER / "data"), **OVERRIDES}
config = fj.load_config("street2shop_small_contrastive", changes)
workdir = FOLDER / "run"
fj.train(config, workdir)

# %%
from fashion_jax.training.metrics_log import read_metrics

lines = read_metrics(workdir)
plt.figure(figsize=(8, 3.5))
for term in ("loss/identity", "loss/supervised_contrastive"):
    points = [(line["step"], line[term]) for line in lines if term in line]
    plt.plot(*zip(*points, strict=True), label=term)
plt.xlabel("step")
plt.legend()
plt.show()

# %% [markdown]
# ## 5. Measure
#
# The metrics compare the network before and after training, on products never seen in training.
# Few test products make wide intervals: look at the column `95 %`.

# %%
evaluation = fj.evaluate_run(workdir, untrained=True)
print(evaluation.to_table())

# %% [markdown]
# ## 6. Index and search
#
# The index has the gallery, which is the shop photos of the test products, and then the photos of
# the training products.

# %%
if not (workdir / "index").exists():
    print(fj.build_index(workdir).to_table())
    print(fj.add_split(workdir, "train").to_table())

if QUERY is None:
    QUERY = FOLDER / "query.jpg"
    QUERY.write_bytes(dataset.split("query").image_bytes(0))
answers = fj.search(QUERY, workdir, box=BOX, k=10, picture=FOLDER / "answers.png")
print(answers.to_table())
show(FOLDER / "answers.png")

# %% [markdown]
# ## 7. Add new photos
#
# New products need no training: their photos are embedded and added. Photos that the index already
# has are replaced. The search then uses one of the new photos, which has to come first.

# %%
if NEW_PHOTOS is not None:
    new = fj.find_photos(NEW_PHOTOS)
    print(fj.add_files(workdir, new, replace=True).to_table())
    answers = fj.search(
        new.origin(0).source, workdir, k=5, by="photo", picture=FOLDER / "new_answers.png"
    )
    print(answers.to_table())
    show(FOLDER / "new_answers.png")

# %% [markdown]
# ## What to do next
#
# - Read `docs/own_photos.md`: what a product is, how many photos you need, which recipe fits.
# - On a GPU or TPU, train a larger network on larger photos: `street2shop_resnet50`.
# - Keep `FOLDER` on Google Drive, so that the run and its index outlive the runtime.
# - Export the model for serving: `fj.export`, `docs/export.md`.
# - Train on public data as well: `03_reproduce_paper.ipynb`.
