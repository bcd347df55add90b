"""How many pixels of zeros a convolution adds on each side."""

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # (above, below), (left, right)


def symmetric_padding(kernel_size: int) -> Padding:
    """Returns PyTorch's usual padding: `kernel_size // 2` on every side."""
    half = kernel_size // 2
    return (half, half), (half, half)


def same_padding(height: int, width: int, kernel_size: int, stride: int) -> Padding:
    """Returns TensorFlow's `SAME` padding, whose odd pixel goes below and to the right."""
    return _same_axis(height, kernel_size, stride), _same_axis(width, kernel_size, stride)


def _same_axis(size: int, kernel_size: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2
