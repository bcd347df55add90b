"""The same networks with as few blocks as there can be, which compile in seconds."""

import dataclasses

from fashion_jax.models.backbones.spec import BackboneSpec


def shallow(spec: BackboneSpec) -> BackboneSpec:
    """One block in each stage; a transformer of two blocks."""
    variant = spec.variant
    if hasattr(variant, "stages"):
        stages = tuple(dataclasses.replace(stage, blocks=1) for stage in variant.stages)
        return dataclasses.replace(spec, variant=dataclasses.replace(variant, stages=stages))
    if hasattr(variant, "depth"):
        return dataclasses.replace(spec, variant=dataclasses.replace(variant, depth=2))
    if isinstance(variant.blocks[0], tuple):
        blocks = tuple(stage[:1] for stage in variant.blocks)
    else:
        blocks = (1,) * len(variant.blocks)
    return dataclasses.replace(spec, variant=dataclasses.replace(variant, blocks=blocks))
