"""The same networks with as few blocks as there can be, which compile in seconds."""

import dataclasses

from fashion_jax.models.backbones.spec import BackboneSpec


def shallow(spec: BackboneSpec) -> BackboneSpec:
    """One block in each stage, in an OSNet's first two; a transformer of two blocks."""
    variant = spec.variant
    if hasattr(variant, "stages"):
        stages = tuple(dataclasses.replace(stage, blocks=1) for stage in variant.stages)
        return dataclasses.replace(spec, variant=dataclasses.replace(variant, stages=stages))
    if hasattr(variant, "depth"):
        return dataclasses.replace(spec, variant=dataclasses.replace(variant, depth=2))
    if hasattr(variant, "widths"):
        first, second, _ = variant.blocks  # the third stage has no other kind of block
        widths = (*variant.widths[:3], variant.widths[2])
        blocks = (first[:1], second[:1], ())
        variant = dataclasses.replace(variant, blocks=blocks, widths=widths)
    else:
        variant = dataclasses.replace(variant, blocks=(1,) * len(variant.blocks))
    return dataclasses.replace(spec, variant=variant)
