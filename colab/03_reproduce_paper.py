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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/fashion-jax/fashion-jax/blob/main/colab/03_reproduce_paper.ipynb)
#
# # Reproduce the paper
#
# Trains and measures the recipe of Wieczorek, Michalowski, Wroblewska, Dabrowski 2020
# ([arXiv:2003.04094](https://arxiv.org/abs/2003.04094)) on Street2Shop or DeepFashion
# Consumer-to-Shop, from a raw copy on Google Drive, and compares the results with the published
# ones.
#
# You need a GPU or TPU and a raw copy of the dataset: `data_builders/street2shop/README.md` and
# `data_builders/deepfashion_consumer2shop/README.md` say where to get it and how to lay it out.
#
# **When the runtime goes away**, open the notebook again and run all cells: the built dataset and
# the run are on Drive, and training resumes from its last checkpoint.

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
# | `CONFIG` | dataset |
# |---|---|
# | `street2shop_resnet50` | Street2Shop, ResNet-50 in batches of 48 × 4 |
# | `street2shop_resnet50:ibn` | Street2Shop, ResNet-50-IBN-a in batches of 12 × 4 |
# | `consumer2shop_resnet50`, `consumer2shop_resnet50:ibn` | the same on DeepFashion |
#
# `PRETRAINED` is a file of ImageNet weights for the backbone; `docs/weights.md` lists which files
# load. The paper starts from such weights: without them the numbers are not comparable. Outside
# Colab, `FOLDER` is a folder of this machine.

# %% tags=["parameters"]
FOLDER = pathlib.Path("/content/drive/MyDrive/fashion_jax")  # keeps the dataset and the run
RAW = "/content/drive/MyDrive/street2shop"  # the raw copy
LOCAL = "data"  # the runtime's own disk, which reads faster
CONFIG = "street2shop_resnet50:ibn"
PRETRAINED = "/content/drive/MyDrive/weights/resnet50_ibn_a.pth"
OVERRIDES: dict[str, object] = {}

# %% [markdown]
# ## 1. Google Drive

# %%
try:
    from google.colab import drive
except ImportError:
    print("This is not Colab: no Drive to mount.")
else:
    drive.mount("/content/drive")

# %%
import fashion_jax as fj

changes = {"data.data_dir": LOCAL, "model.pretrained": PRETRAINED, **OVERRIDES}
config = fj.load_config(CONFIG, changes)
workdir = FOLDER / "runs" / CONFIG.replace(":", "_")
print(f"{config.data.dataset}, {config.model.backbone}, {config.training.epochs} epochs")
print(f"the run is in {workdir}")

# %% [markdown]
# ## 2. Check the raw copy and build the dataset
#
# The report counts what is there, missing and broken. A copy of Street2Shop is never complete,
# because many of its links are dead: a smaller gallery makes every metric larger. The contact sheet
# shows boxes and crops.
#
# The dataset is built on the runtime's disk and copied to Drive once. A new runtime copies it back.

# %%
import shutil

import matplotlib.pyplot as plt


def copy(source, target):
    """Copy a folder; it gets its name when it is complete."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    partial.rename(target)


name = config.data.dataset
built, kept = pathlib.Path(LOCAL) / name, FOLDER / "data" / name
sheet = FOLDER / f"{name}_crops.png"
if kept.exists() and not built.exists():
    copy(kept, built)
elif not kept.exists():
    FOLDER.mkdir(parents=True, exist_ok=True)
    fj.check(name, RAW, contact_sheet=sheet)
    fj.build(name, LOCAL, RAW)
    copy(built, kept)

print(fj.build(name, LOCAL, RAW).to_table())  # the stored report of the existing dataset
plt.figure(figsize=(12, 9))
plt.imshow(plt.imread(sheet))
plt.axis("off")
plt.show()

# %% [markdown]
# ## 3. Train
#
# Checkpoints go to Drive every 500 steps and after each epoch. Run the cell again to resume.

# %%
state = fj.train(config, workdir)
print(f"trained for {int(state.step)} steps")

# %%
from fashion_jax.training.metrics_log import read_metrics

lines = read_metrics(workdir)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5))
for term in ("loss/identity", "loss/triplet"):
    points = [(line["step"], line[term]) for line in lines if term in line]
    left.plot(*zip(*points, strict=True), label=term)
left.set_xlabel("step")
left.legend()
points = [(line["epoch"], line["val/instance/mAP"]) for line in lines if "val/instance/mAP" in line]
right.plot(*zip(*points, strict=True), marker="o")
right.set_xlabel("epoch")
right.set_ylabel("mAP on validation products")
figure.tight_layout()

# %% [markdown]
# ## 4. Compare with the published numbers
#
# Published are the paper's best results, those of ResNet-50-IBN-a, as the configs quote them
# (`configs/street2shop_resnet50.py`, `configs/consumer2shop_resnet50.py`).

# %%
PUBLISHED = {
    "street2shop": {"instance/mAP": 0.548, "instance/Acc@20": 0.729},
    "deepfashion_consumer2shop": {"instance/Acc@1": 0.473, "instance/Acc@20": 0.790},
}

evaluation = fj.evaluate_run(workdir, untrained=True)
print(evaluation.to_table())

metrics, intervals = evaluation.metrics(), evaluation.intervals()
print("\nmetric            here    95 %             published")
for metric, published in PUBLISHED[name].items():
    low, high = intervals.get(metric, (float("nan"), float("nan")))
    print(f"{metric:16} {metrics[metric]:6.3f}  {low:.3f} to {high:.3f}  {published:10.3f}")

# %% [markdown]
# ## 5. Look at a search

# %%
print(fj.build_index(workdir, index="index").to_table())
query = pathlib.Path("query.jpg")
query.write_bytes(fj.open_dataset(name, LOCAL).split("query").image_bytes(0))
answers = fj.search(query, workdir, index="index", picture="answers.png")
print(answers.to_table())
plt.figure(figsize=(12, 6))
plt.imshow(plt.imread("answers.png"))
plt.axis("off")
plt.show()

# %% [markdown]
# ## What to do next
#
# - Before you compare, read the coverage above and `docs/compare.md`; repeat with other seeds
#   (`training.seed`).
# - Why numbers differ between frameworks: `docs/framework_differences.md`.
# - Measure refinements such as re-ranking next to the plain embeddings: `fashion-jax evaluate
#   --workdir=… --rerank`.
# - Use the model on your own photos: `02_own_photos.ipynb`.
