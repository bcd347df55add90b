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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/fashion-jax/fashion-jax/blob/main/colab/05_tpu.ipynb)
#
# # Train on a TPU
#
# The same config trains on one device and on all of them: the batch, its BatchNorm statistics and
# the mining of pairs are global, so the recipe does not change with the number of devices. This
# notebook trains twice, on one device and on all, and compares the losses step by step.
#
# In Colab, choose *Runtime* → *Change runtime type* → a TPU. It also runs on GPUs; with a single
# device there is nothing to compare.

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
# `mesh.data=-1`, the default, divides a batch over all devices. Their number has to divide the
# batch: `data.identities_per_batch` × `data.photos_per_identity`.

# %% tags=["parameters"]
FOLDER = pathlib.Path("tpu")
DATASET_OPTIONS: dict[str, int] = {}
OVERRIDES: dict[str, object] = {"training.epochs": 1, "training.evaluate_every_epochs": 1}

# %%
import fashion_jax as fj

settings = {"mesh.data": -1, "training.log_every_steps": 1, "data.data_dir": str(FOLDER / "data")}
config = fj.load_config("demo", settings | OVERRIDES)
fj.build(config.data.dataset, config.data.data_dir, **DATASET_OPTIONS)

all_devices = fj.make_mesh(config.mesh)
one_device = fj.make_mesh(config.mesh, jax.devices()[:1])
batch_size = config.data.identities_per_batch * config.data.photos_per_identity
print(f"{all_devices.size} devices of the kind {jax.devices()[0].device_kind}")
print(f"{batch_size} photos in a batch, {batch_size // all_devices.size} on each device")

# %% [markdown]
# ## 1. A batch on the devices
#
# Each colour is a device. A device reads its own photos of the batch; losses compare all of them.

# %%
import cv2
import matplotlib.pyplot as plt
import numpy as np

from fashion_jax.parallel.hosts import global_batch

train_split = fj.open_dataset(config.data.dataset, config.data.data_dir).split("train")
size = (config.image.width, config.image.height)


def photo_of(row):
    encoded = np.frombuffer(train_split.image_bytes(row), np.uint8)
    return cv2.resize(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), size)


photos = np.stack([photo_of(row) for row in range(batch_size)])
placed = global_batch({"image": photos}, all_devices)["image"]
columns = 8
lines = -(-batch_size // columns)
figure, axes = plt.subplots(lines, columns, figsize=(12, 1.5 * lines), squeeze=False)
for place in axes.flat:
    place.axis("off")
for number, shard in enumerate(placed.addressable_shards):
    for row, photo in zip(range(*shard.index[0].indices(batch_size)), shard.data, strict=True):
        place = axes.flat[row]
        place.imshow(np.pad(photo, ((0, 8), (0, 0), (0, 0)), constant_values=0))
        place.set_title(f"device {number}", fontsize=8, color=f"C{number % 10}")
figure.tight_layout()

# %% [markdown]
# ## 2. Train on one device, then on all
#
# A run resumes on any number of devices: run the cell again after an interruption.

# %%
import time

meshes = {"one": one_device, "all": all_devices}
for name, mesh in meshes.items():
    start = time.perf_counter()
    fj.train(config, FOLDER / name, mesh=mesh)
    print(f"{name} ({mesh.size} devices): {time.perf_counter() - start:.0f} s, with compilation")

# %% [markdown]
# ## 3. Compare the losses
#
# Sums over a batch are taken in another order on several devices, and rounding errors grow as
# training goes on: the first step shows whether the two agree. TPUs and recent GPUs round products
# of float32 to fewer bits by default, so that differences are larger there than on a CPU.

# %%
from fashion_jax.training.metrics_log import read_metrics

losses = {
    name: {
        line["step"]: line["loss/total"]
        for line in read_metrics(FOLDER / name)
        if "loss/total" in line
    }
    for name in meshes
}
plt.figure(figsize=(8, 3.5))
for (name, values), style in zip(losses.items(), ("-", "--"), strict=True):
    plt.plot(values.keys(), values.values(), style, label=f"{name} ({meshes[name].size})")
plt.xlabel("step")
plt.ylabel("loss/total")
plt.legend(title="devices")

print("step      one device     all devices   difference")
differences = {step: abs(losses["all"][step] - value) for step, value in losses["one"].items()}
for step in list(differences)[:10]:
    one, every = losses["one"][step], losses["all"][step]
    print(f"{step:4} {one:15.6f} {every:15.6f} {differences[step]:12.1e}")
print(f"largest difference in {len(differences)} steps: {max(differences.values()):.1e}")

# %% [markdown]
# ## 4. Compare the metrics

# %%
for name in meshes:
    metrics = fj.evaluate_run(FOLDER / name).metrics()
    print(f"{name}: instance/mAP {metrics['instance/mAP']:.4f}")

# %% [markdown]
# ## What to do next
#
# - Train the paper's recipe on all devices: `03_reproduce_paper.ipynb`.
# - Train in half precision with `model.compute_dtype=bfloat16`, and raise `data.workers` if the
#   devices wait for photos: `docs/train.md`.
# - Divide the classifier over devices with `mesh.model`, for many identities: `docs/losses.md`.
# - Run on a pod: start the same command on each of its hosts.
