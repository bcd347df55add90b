"""A peer to measure against: ResNet-50 and EfficientNet-Lite0 for PyTorch, with BNNeck.

Written for the benchmarks, independently of `fashion_jax.models`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """ResNet's bottleneck with the stride in the 3x3 convolution."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the block's features."""
        hidden = functional.relu(self.bn1(self.conv1(inputs)), inplace=True)
        hidden = functional.relu(self.bn2(self.conv2(hidden)), inplace=True)
        return functional.relu(self.bn3(self.conv3(hidden)) + self.shortcut(inputs), inplace=True)


def resnet50(last_stride: int) -> nn.Sequential:
    """ResNet-50 up to its last map, which has 2,048 channels."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, last_stride)):
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers)


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's SAME."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the convolved photos."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for size in (inputs.shape[3], inputs.shape[2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] == pads[2] == pads[3]:
            return functional.conv2d(
                inputs, self.weight, None, self.stride, pads[0], 1, self.groups
            )
        return functional.conv2d(
            functional.pad(inputs, pads), self.weight, None, self.stride, 0, 1, self.groups
        )


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(inputs, hidden, 1, bias=False), *norm_relu6(hidden)]
        layers += [
            SameConv(hidden, hidden, kernel, stride, groups=hidden, bias=False),
            *norm_relu6(hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
        ]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the block's features."""
        return inputs + self.layers(inputs) if self.adds else self.layers(inputs)


def norm_relu6(channels: int) -> list[nn.Module]:
    """BatchNorm and ReLU6."""
    return [nn.BatchNorm2d(channels, eps=1e-3), nn.ReLU6(inplace=True)]


def efficientnet_lite0(last_stride: int) -> nn.Sequential:
    """EfficientNet-Lite0 up to its last map, which has 1,280 channels."""
    layers: list[nn.Module] = [SameConv(3, 32, 3, 2, bias=False), *norm_relu6(32)]
    inputs = 32
    for blocks, kernel, stride, expansion, outputs in (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, last_stride, 6, 192),
        (1, 3, 1, 6, 320),
    ):
        for block in range(blocks):
            layers.append(
                InvertedResidual(inputs, outputs, kernel, stride if block == 0 else 1, expansion)
            )
            inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(320, 1280, 1, bias=False), *norm_relu6(1280))


class Embedder(nn.Module):
    """Backbone, average pooling, BNNeck and classifier."""

    def __init__(self, backbone: nn.Module, width: int, identities: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, identities, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns features, embedding and logits."""
        features = self.backbone(images).mean((2, 3))
        embedding = self.neck(features)
        return features, embedding, self.classifier(embedding)


def recipe_loss(features: Tensor, logits: Tensor, identities: Tensor) -> Tensor:
    """Label-smoothed cross entropy and batch-hard triplet loss with margin 0.3."""
    smoothed = functional.cross_entropy(logits, identities, label_smoothing=0.1)
    squares = features.square().sum(1)
    distances = squares[:, None] + squares[None] - 2 * features @ features.T
    distances = distances.clamp(min=1e-12).sqrt()
    same = identities[:, None] == identities[None]
    positive = distances.masked_fill(~same, -torch.inf).amax(1)
    negative = distances.masked_fill(same, torch.inf).amin(1)
    return smoothed + functional.relu(positive - negative + 0.3).mean()


MODELS = {"resnet50": (resnet50, 2048), "efficientnet_lite0": (efficientnet_lite0, 1280)}
