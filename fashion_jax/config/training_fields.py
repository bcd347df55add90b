"""Config fields of optimizer, training loop, devices and evaluation."""

import dataclasses
from typing import Annotated, Literal

from msgspec import Meta

from fashion_jax.config.section import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PositiveRatio,
    Ratio,
    RatioBelowOne,
    Section,
)

AxisSize = Annotated[int, Meta(ge=-1)]
NumberOrAll = Annotated[int, Meta(ge=-1)]


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Section):
    """The network's optimizer and its learning-rate schedule.

    Attributes:
        name: `adam` (weight decay coupled: `weight_decay * parameter` is added to the gradient),
            `adamw` (decoupled) or `sgd` (momentum 0.9, coupled).
        learning_rate: learning rate after the warm-up.
        weight_decay: weight decay, coupled or decoupled as `name` says.
        decay_norm_and_bias: apply weight decay also to biases, normalisation scales, tokens and
            position embeddings, as the strong baseline does.
        schedule: `multistep` (drops at `milestones`) or `cosine` (down to `end_lr_ratio`).
        warmup_epochs: length of the linear warm-up in epochs.
        warmup_start_ratio: learning rate at the start of the warm-up, relative to `learning_rate`.
        milestones: epochs at which `multistep` multiplies the rate by `lr_decay_factor`; may be
            fractions when the granularity is `step`.
        lr_decay_factor: factor of the learning rate at each milestone.
        end_lr_ratio: learning rate at the end of `cosine`, relative to `learning_rate`.
        schedule_granularity: `epoch` holds the rate through an epoch, `step` changes it with every
            step.
        layer_decay: factor of the learning rate from each block of the backbone to the one before
            it; 1 for one rate everywhere.
        freeze_backbone_epochs: epochs at the start in which the backbone is frozen.
        gradient_clip_norm: global norm that gradients are clipped to; 0 for no clipping.
        center_learning_rate: SGD learning rate of the centers, on the unweighted gradient.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: NonNegativeFloat = 3.5e-4
    weight_decay: NonNegativeFloat = 5e-4
    decay_norm_and_bias: bool = True
    schedule: Literal["multistep", "cosine"] = "multistep"
    warmup_epochs: NonNegativeFloat = 10.0
    warmup_start_ratio: Ratio = 0.01
    milestones: tuple[NonNegativeFloat, ...] = (40.0, 70.0)
    lr_decay_factor: PositiveFloat = 0.1
    end_lr_ratio: Ratio = 0.0
    schedule_granularity: Literal["epoch", "step"] = "epoch"
    layer_decay: PositiveRatio = 1.0
    freeze_backbone_epochs: NonNegativeFloat = 0.0
    gradient_clip_norm: NonNegativeFloat = 0.0
    center_learning_rate: NonNegativeFloat = 0.5


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Section):
    """The training loop.

    Attributes:
        epochs: passes over all training photos.
        seed: seed of initial weights, batches and augmentations.
        evaluate_every_epochs: epochs between validations, each with a checkpoint.
        checkpoint_every_steps: steps between further checkpoints; 0 for none.
        log_every_steps: steps between lines of `metrics.jsonl`.
        microbatches: parts that a batch is computed in, one after the other, to save memory; they
            divide its identities. The losses see the whole batch (GradCache, arXiv:2101.06983),
            BatchNorm one part at a time.
        ema_decay: decay of the exponential moving average of the weights, which is then validated,
            evaluated and searched with; 0 for none.
    """

    epochs: PositiveInt = 120
    seed: NonNegativeInt = 0
    evaluate_every_epochs: PositiveInt = 1
    checkpoint_every_steps: NonNegativeInt = 0
    log_every_steps: PositiveInt = 10
    microbatches: PositiveInt = 1
    ema_decay: RatioBelowOne = 0.0


@dataclasses.dataclass(frozen=True)
class MeshConfig(Section):
    """The device mesh.

    Attributes:
        data: devices that share the batch; -1 for all that are left.
        model: devices that share the classifier's columns and the centers; -1 for all that are
            left.
        fsdp: divide large parameters and their optimizer state over the devices of `data` as well,
            for networks and classifiers that do not fit whole; costs sending them at each step.
    """

    data: AxisSize = -1
    model: AxisSize = 1
    fsdp: bool = False


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Section):
    """Evaluation.

    Attributes:
        batch_size: photos embedded at once, over all devices.
        validation_distractors: training photos that are added to the validation gallery; -1 for as
            many as fill a gallery of fewer than 1,000 photos up to 1,000.
        rerank: measure after k-reciprocal re-ranking: in addition, as `evaluate --rerank` does;
            in an ablation, instead.
    """

    batch_size: PositiveInt = 64
    validation_distractors: NumberOrAll = -1
    rerank: bool = False
