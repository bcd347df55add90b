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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/fashion-jax/fashion-jax/blob/main/colab/04_beside_pytorch.ipynb)
#
# # Beside PyTorch
#
# The same weights and the same batch in PyTorch and in fashion-jax, side by side: embeddings, loss,
# gradient, and a few training steps. The network is a ResNet-18 with random weights, written in
# PyTorch below and saved to a file, which fashion-jax loads without PyTorch.
#
# It runs on a CPU or a GPU and needs PyTorch, which Colab has installed.

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

# %% tags=["parameters"]
FOLDER = pathlib.Path("beside_pytorch")
SIZE = 64  # height and width of a photo
STEPS = 5
IDENTITIES, PHOTOS = 8, 4  # products in the batch, and photos of each

# %%
# Products of float32 in full precision on a GPU or TPU too; PyTorch runs on the CPU.
jax.config.update("jax_default_matmul_precision", "highest")

import torch
from torch import nn
from torch.nn import functional

print(f"{'torch':20} {torch.__version__}")

# %% [markdown]
# ## 1. A batch of drawn garments

# %%
import cv2
import matplotlib.pyplot as plt
import numpy as np

import fashion_jax as fj

few = {"train_identities": 2 * IDENTITIES, "val_identities": 4, "test_identities": 4}
fj.build("synthetic_street2shop", FOLDER / "data", **few, distractors=1)
train_split = fj.open_dataset("synthetic_street2shop", FOLDER / "data").split("train")


def photo_of(row):
    encoded = np.frombuffer(train_split.image_bytes(row), np.uint8)
    return cv2.resize(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), (SIZE, SIZE))


products = np.unique(train_split.identity)[:IDENTITIES]
rows = [np.flatnonzero(train_split.identity == product)[:PHOTOS] for product in products]
photos = np.stack([photo_of(int(row)) for row in np.concatenate(rows)])
identities = np.repeat(np.arange(IDENTITIES, dtype=np.int32), PHOTOS)

figure, axes = plt.subplots(PHOTOS, IDENTITIES, figsize=(12, 1.6 * PHOTOS))
for place, photo in zip(axes.T.flat, photos, strict=True):
    place.imshow(photo)
    place.axis("off")
figure.tight_layout()

# %% [markdown]
# ## 2. The network in PyTorch
#
# A ResNet-18 with last stride 1, BNNeck and a classifier, with torchvision's names of parameters.


# %%
class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Sequential()
        if inputs != width:
            projection = nn.Conv2d(inputs, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(width))

    def forward(self, maps):
        hidden = functional.relu(self.bn1(self.conv1(maps)))
        return functional.relu(self.bn2(self.conv2(hidden)) + self.downsample(maps))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, (width, stride) in enumerate(((64, 1), (128, 2), (256, 2), (512, 1)), start=1):
            blocks = nn.Sequential(Block(inputs, width, stride), Block(width, width, 1))
            self.add_module(f"layer{stage}", blocks)
            inputs = width

    def forward(self, images):
        maps = functional.max_pool2d(functional.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return maps.mean((2, 3))


torch.manual_seed(0)
backbone = ResNet18()
weights = FOLDER / "resnet18.pth"
torch.save(backbone.state_dict(), weights)

# %% [markdown]
# ## 3. Embeddings
#
# `load_pretrained_model` reads PyTorch's file. Both networks see the same pixels, scaled alike, and
# use the running statistics of their BatchNorms.

# %%
model = fj.load_pretrained_model("resnet18", str(weights), height=SIZE, width=SIZE)
ours = model.embed(list(photos))

scale = model.card.preprocessing
channels = {"dtype": torch.float64}
mean, std = (torch.tensor(v, **channels).reshape(1, 3, 1, 1) for v in (scale.mean, scale.std))
images = (torch.from_numpy(photos).permute(0, 3, 1, 2) - mean) / std  # float64, for both parts
with torch.no_grad():
    theirs = functional.normalize(backbone.eval()(images.float())).numpy()

print(f"{ours.shape[0]} embeddings of {ours.shape[1]} dimensions")
print(f"largest difference of embeddings: {np.abs(ours - theirs).max():.1e}")
plt.figure(figsize=(4, 4))
plt.plot(theirs.ravel(), ours.ravel(), ".", markersize=2)
plt.xlabel("PyTorch")
plt.ylabel("fashion-jax")
plt.title("each number of each embedding")
plt.show()

# %% [markdown]
# ## 4. Loss and gradient
#
# The recipe is the paper's: label-smoothed cross entropy after the neck, and the batch-hard triplet
# loss before it. The optimizer is SGD with momentum, the same in both. `make_learner` returns the
# step that `train` runs; its classifier is copied to PyTorch, so that both start from one point.
#
# Both compute in float32. The yardstick for the gradient is PyTorch's own in float64.

# %%
import copy

RATE = 1e-4
changes = {
    "image.height": SIZE,
    "image.width": SIZE,
    "model.backbone": "resnet18",
    "model.pretrained": str(weights),
    "model.compute_dtype": "float32",
    "loss.center_weight": 0.0,
    "optimizer.name": "sgd",
    "optimizer.learning_rate": RATE,
    "optimizer.weight_decay": 0.0,
    "optimizer.warmup_epochs": 0.0,
    "optimizer.milestones": (),
}
config = fj.load_config("street2shop_resnet50", changes)
mesh = fj.make_mesh(config.mesh, jax.devices()[:1])
learner = fj.make_learner(config, num_identities=IDENTITIES, steps_per_epoch=STEPS, mesh=mesh)
state = learner.create_train_state()
classifier = np.array(state.params["classifier"]["kernel"])  # [features, identities]
first_kernel = np.array(state.params["backbone"]["conv1"]["kernel"])
count = len(photos)
batch = {
    "image": photos,
    "identity": identities,
    "domain": np.zeros(count, np.int8),
    "erased": np.zeros((count, 4), np.int32),  # no random erasing
    "valid": np.ones(count, np.bool_),
}


class Embedder(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.neck = nn.BatchNorm1d(512)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(512, IDENTITIES, bias=False)

    def forward(self, images):
        features = self.backbone(images)
        return features, self.classifier(self.neck(features))


def recipe_loss(features, scores, identities):
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    same = identities[:, None] == identities[None]
    positive = distances.masked_fill(~same, -torch.inf).amax(1)
    negative = distances.masked_fill(same, torch.inf).amin(1)
    triplet = functional.relu(positive - negative + config.loss.triplet_margin).mean()
    smoothing = config.loss.label_smoothing
    return triplet + functional.cross_entropy(scores, identities, label_smoothing=smoothing)


embedder = Embedder(backbone).train()
with torch.no_grad():
    embedder.classifier.weight.copy_(torch.from_numpy(classifier.T))
optimizer = torch.optim.SGD(
    [parameter for parameter in embedder.parameters() if parameter.requires_grad],
    RATE,
    momentum=0.9,
)
labels = torch.from_numpy(identities).long()

precise = copy.deepcopy(embedder).double()
recipe_loss(*precise(images), labels).backward()
precise_gradient = precise.backbone.conv1.weight.grad.numpy()

lines = []
for step in range(1, STEPS + 1):
    state, metrics = learner.train_step(state, batch)
    loss = recipe_loss(*embedder(images.float()), labels)
    optimizer.zero_grad()
    loss.backward()
    gradients = [p.grad for p in embedder.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    lines.append(
        (float(metrics["loss/total"]), loss.item(), float(metrics["gradients/norm"]), norm.item())
    )
    if step == 1:  # the first step of SGD is the gradient times the rate
        change = first_kernel - np.array(state.params["backbone"]["conv1"]["kernel"])
        our_gradient = np.transpose(change / RATE, (3, 2, 0, 1))
        their_gradient = embedder.backbone.conv1.weight.grad.numpy().copy()
    optimizer.step()

print("       loss                                     norm of the gradient")
print("step   fashion-jax      PyTorch   difference     fashion-jax      PyTorch   difference")
for step, (loss, their_loss, norm, their_norm) in enumerate(lines, start=1):
    print(f"{step:4} {loss:13.8f} {their_loss:12.8f} {abs(loss - their_loss):12.1e}", end="   ")
    print(f"{norm:13.8f} {their_norm:12.8f} {abs(norm - their_norm):12.1e}")

print("\ngradient of the first convolution, relative difference from PyTorch in float64:")
for who, gradient in (("fashion-jax", our_gradient), ("PyTorch", their_gradient)):
    difference = np.abs(gradient - precise_gradient).max() / np.abs(precise_gradient).max()
    print(f"  {who:12} {difference:.1e}")

# %% [markdown]
# Rounding errors grow from step to step, because each step starts from the one before.
# `docs/losses.md` has the differences over fifty steps, in float32 and in float64.

# %%
losses = np.array(lines)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5))
steps = range(1, STEPS + 1)
left.plot(steps, losses[:, 1], label="PyTorch", linewidth=4, alpha=0.4)
left.plot(steps, losses[:, 0], label="fashion-jax")
left.set_xticks(steps)
left.set_xlabel("step")
left.set_ylabel("loss")
left.legend()
right.plot(their_gradient.ravel(), our_gradient.ravel(), ".", markersize=2)
right.set_xlabel("PyTorch")
right.set_ylabel("fashion-jax")
right.set_title("gradient of the first convolution")
figure.tight_layout()

# %% [markdown]
# ## What to do next
#
# - Find your toolbox's options and their names here: `docs/coming_from.md`.
# - Load weights of PyTorch toolboxes, necks included: `docs/weights.md`.
# - Read why two frameworks' results differ: `docs/framework_differences.md`.
# - Compare speed: `benchmarks/train_step.py`.
# - Train the paper's recipe: `03_reproduce_paper.ipynb`.
