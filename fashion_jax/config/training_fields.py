"""Config fields of optimizer, training loop, devices and evaluation."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The network's optimizer and its learning rate's schedule.

    Attributes:
        name: `adam` (weight decay coupled: `weight_decay * parameter` is added to the gradient),
            `adamw` (decoupled) or `sgd` (momentum 0.9, coupled).
        learning_rate: after the warm-up.
        weight_decay: see `name`.
        decay_vectors: whether biases, normalisations' scales, tokens and position embeddings
            decay too, as in the strong baseline.
        schedule: `steps` or `cosine`.
        warmup_epochs: length of the linear warm-up.
        warmup_start: share of the rate that the warm-up starts from.
        milestones: epochs at which the rate is multiplied by `decay_factor`, of `steps`; may be
            fractions when `per_step`.
        decay_factor: see `milestones`.
        final_share: share of the rate at the end of `cosine`.
        per_step: follow the schedule continuously instead of holding the rate through an epoch.
        layer_decay: factor of the rate from each block of the backbone to the one before it; 1
            for the same rate everywhere.
        frozen_epochs: epochs at the start in which the backbone's parameters stay as they are.
        gradient_clip: largest norm of the whole gradient; larger ones are scaled down; 0 for any.
        center_learning_rate: SGD rate of the centers, on the unweighted gradient.
    """

    name: str = "adam"
    learning_rate: float = 3.5e-4
    weight_decay: float = 5e-4
    decay_vectors: bool = True
    schedule: str = "steps"
    warmup_epochs: float = 10.0
    warmup_start: float = 0.01
    milestones: tuple[float, ...] = (40.0, 70.0)
    decay_factor: float = 0.1
    final_share: float = 0.0
    per_step: bool = False
    layer_decay: float = 1.0
    frozen_epochs: float = 0.0
    gradient_clip: float = 0.0
    center_learning_rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The training loop.

    Attributes:
        epochs: passes over all training photos.
        seed: of initial weights, batches and augmentations.
        evaluate_every_epochs: validation, and a checkpoint with its mAP.
        checkpoint_every_steps: further checkpoints in between; 0 for none.
        log_every_steps: lines in `metrics.jsonl`.
        slices: parts that a batch is computed in, one after the other, to save memory; the losses
            see the whole batch all the same, BatchNorm a slice at a time.
        average_decay: of the moving average of the weights, which is then what is validated,
            evaluated and searched with; 0 for none.
    """

    epochs: int = 120
    seed: int = 0
    evaluate_every_epochs: int = 1
    checkpoint_every_steps: int = 0
    log_every_steps: int = 10
    slices: int = 1
    average_decay: float = 0.0


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """The device mesh.

    Attributes:
        data: devices that share the batch; -1 for all that are left.
        model: devices that share the classifier's columns and the centers; -1 for all that are
            left.
    """

    data: int = -1
    model: int = 1


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation.

    Attributes:
        batch_size: photos embedded at once, over all devices.
        rerank: measure after k-reciprocal re-ranking, too, as `evaluate --rerank` does; a ladder
            measures after it only.
    """

    batch_size: int = 64
    rerank: bool = False
