"""The strong baseline's training recipe in plain PyTorch: a peer to compare with.

Written for the benchmarks, independently of `fashion_jax`, after Luo et al. 2019
(arXiv:1906.08332) and its reference implementation.
"""

from collections.abc import Mapping

import numpy as np
import torch
from pytorch_models import MODELS, Embedder
from torch import Tensor, nn
from torch.nn import functional

# Of pixels of 0..255, as the networks' published weights expect them.
IMAGENET = ((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))
SCALES = {
    "resnet18": IMAGENET,
    "resnet50": IMAGENET,
    "efficientnet_lite0": ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
}
ERASED = (0.485, 0.456, 0.406)
LABEL_SMOOTHING = 0.1
MARGIN = 0.3
CENTER_WEIGHT = 5e-4
LEARNING_RATE = 3.5e-4
WEIGHT_DECAY = 5e-4
CENTER_LEARNING_RATE = 0.5
WARMUP_START = 0.01
DECAY = 0.1


def photos_for(network: str, images: Tensor, rectangles: Tensor, dtype: torch.dtype) -> Tensor:
    """Normalises bytes [N, H, W, 3] to [N, 3, H, W], then erases a rectangle of each photo."""
    mean, std = (torch.tensor(values, dtype=dtype).view(3, 1, 1) for values in SCALES[network])
    photos = (images.permute(0, 3, 1, 2).to(dtype) - mean) / std
    fill = torch.tensor(ERASED, dtype=dtype).view(3, 1, 1)
    for photo, (top, left, height, width) in zip(photos, rectangles.tolist(), strict=True):
        photo[:, top : top + height, left : left + width] = fill
    return photos


def batch_hard_triplet(features: Tensor, identities: Tensor) -> Tensor:
    """Mean over anchors of max(0, farthest positive - nearest negative + margin)."""
    squares = (features[:, None] - features[None]).square().sum(2)
    distances = squares.clamp(min=1e-12).sqrt()
    same = identities[:, None] == identities[None]
    positive = distances.masked_fill(~same, -torch.inf).amax(1)
    negative = distances.masked_fill(same, torch.inf).amin(1)
    return functional.relu(positive - negative + MARGIN).mean()


def center_loss(features: Tensor, identities: Tensor, centers: Tensor) -> Tensor:
    """Mean over photos of the squared distance to their identity's center."""
    return (features - centers[identities]).square().sum(1).mean()


class Trainer:
    """Network, centers, their optimizers and the schedule.

    Attributes:
        model: the network.
        centers: one row per identity.
        optimizer: Adam, of the network.
    """

    def __init__(
        self,
        network: str,
        tensors: Mapping[str, np.ndarray],
        centers: np.ndarray,
        warmup_epochs: int,
        milestones: tuple[int, ...],
        dtype: torch.dtype,
    ) -> None:
        make, width = MODELS[network]
        self.network, self.dtype = network, dtype
        self.model = Embedder(make(1), width, len(centers)).to(dtype).train()
        fill(self.model, tensors)
        self.centers = nn.Parameter(torch.tensor(centers, dtype=dtype))
        trained = [value for value in self.model.parameters() if value.requires_grad]
        self.optimizer = torch.optim.Adam(trained, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.center_optimizer = torch.optim.SGD([self.centers], CENTER_LEARNING_RATE)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda done: rate_factor(done + 1, warmup_epochs, milestones)
        )

    def step(self, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Take a step; return the terms of the loss before it, and the learning rate."""
        identities = torch.from_numpy(batch["identity"]).long()
        images, rectangles = (torch.from_numpy(batch[name]) for name in ("image", "erased"))
        features, _, logits = self.model(photos_for(self.network, images, rectangles, self.dtype))
        identity = functional.cross_entropy(logits, identities, label_smoothing=LABEL_SMOOTHING)
        triplet = batch_hard_triplet(features, identities)
        center = center_loss(features, identities, self.centers)
        total = identity + triplet + CENTER_WEIGHT * center
        self.optimizer.zero_grad()
        self.center_optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        self.centers.grad /= CENTER_WEIGHT  # the centers do not see the loss's weight
        self.center_optimizer.step()
        terms = {"identity": identity, "triplet": triplet, "center": center, "total": total}
        rate = self.optimizer.param_groups[0]["lr"]
        return {name: value.item() for name, value in terms.items()} | {"learning_rate": rate}

    def end_epoch(self) -> None:
        """Goes to the next epoch's learning rate."""
        self.schedule.step()

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights and running statistics by name, and `centers`."""
        found = {
            name: value.numpy().copy()
            for name, value in self.model.state_dict().items()
            if not name.endswith("num_batches_tracked") and name != "neck.bias"
        }
        return found | {"centers": self.centers.detach().numpy().copy()}

    def first_moments(self) -> dict[str, np.ndarray]:
        """Adam's mean of the gradients, decay included, by name."""
        return {
            name: self.optimizer.state[value]["exp_avg"].numpy().copy()
            for name, value in self.model.named_parameters()
            if value.requires_grad
        }


def fill(model: Embedder, tensors: Mapping[str, np.ndarray]) -> None:
    """Take weights over; all but BatchNorm's counters and the neck's bias, which stays at 0."""
    values = {name: torch.tensor(value) for name, value in tensors.items()}
    found = model.load_state_dict(values, strict=False)
    missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
    if missing != ["neck.bias"] or found.unexpected_keys:
        raise ValueError(f"missing: {missing}; superfluous: {found.unexpected_keys}")


def rate_factor(epoch: int, warmup_epochs: int, milestones: tuple[int, ...]) -> float:
    """Share of the full learning rate in an epoch, counted from 1."""
    factor = DECAY ** sum(epoch >= milestone for milestone in milestones)
    if epoch < warmup_epochs:
        alpha = epoch / warmup_epochs
        factor *= WARMUP_START * (1 - alpha) + alpha
    return factor
