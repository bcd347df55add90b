"""`fashion-jax evaluate`, `cross-domain` and `robustness`."""

import argparse
from typing import Any

from fashion_jax.cli.command import MODEL, YES, Flags, command, print_result

_EVALUATE_FLAGS: Flags = {
    "--untrained": {"action": YES, "help": "also measure the network before training"},
    "--explain": {
        "action": YES,
        "help": "colour in the report what makes the first answers of the best and the worst "
        "queries similar to them",
    },
    "--labelled_pairs": {
        "nargs": "+",
        "default": (),
        "metavar": "FILE",
        "help": "score pairs of test photos that people labelled: CSV of serve --marks or data "
        "duplicates",
    },
}
_REFINEMENTS: Flags = {
    "--flip": {"action": YES, "help": "average with the mirrored photo"},
    "--whiten": {
        "type": int,
        "default": 0,
        "metavar": "D",
        "help": "PCA whitening to D dimensions",
    },
    "--database_augmentation": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "add N nearest neighbours to each gallery embedding",
    },
    "--query_expansion": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "add N nearest gallery embeddings to each query",
    },
    "--alpha": {
        "type": float,
        "default": 0.0,
        "metavar": "A",
        "help": "weight added embeddings by similarity to the power A (default: 0, equal weights)",
    },
    "--rerank": {"action": YES, "help": "k-reciprocal re-ranking"},
    "--rerank_top": {
        "type": int,
        "metavar": "N",
        "help": "re-rank the first N answers (default: all)",
    },
    "--k1": {
        "type": int,
        "default": 20,
        "metavar": "N",
        "help": "neighbours in re-ranking (default: %(default)s)",
    },
    "--k2": {
        "type": int,
        "default": 6,
        "metavar": "N",
        "help": "encodings averaged in re-ranking (default: %(default)s)",
    },
    "--original_weight": {
        "type": float,
        "default": 0.3,
        "metavar": "W",
        "help": "weight of the original distance in re-ranking (default: %(default)s)",
    },
}
_CROSS_DOMAIN_FLAGS: Flags = {
    "--runs": {
        "required": True,
        "nargs": "+",
        "metavar": "RUN",
        "help": "directories of the runs",
    },
    "--datasets": {
        "required": True,
        "nargs": "+",
        "metavar": "NAME",
        "help": "names of built datasets",
    },
    "--data_dir": {"metavar": "DIR", "help": "directory of built datasets (default: each run's)"},
    "--report": {
        "default": "report",
        "metavar": "DIR",
        "help": "directory of cross_domain.html and cross_domain.json (default: %(default)s)",
    },
}
_ROBUSTNESS = """\
The gallery stays clean; the queries are embedded again for every corruption at each of
five severities. Writes a page with curves and photos, and robustness.json next to it."""
_ROBUSTNESS_FLAGS: Flags = {
    "--queries": {
        "type": int,
        "metavar": "N",
        "help": "draw N queries at random (default: all)",
    },
    "--corruptions": {
        "nargs": "+",
        "metavar": "NAME",
        "help": "corruptions to measure (default: all)",
    },
    "--report": {
        "metavar": "DIR",
        "help": "directory of index.html (default: WORKDIR/report/robustness)",
    },
}


def add(commands: Any) -> None:
    """Add the commands of this file."""
    text = "measure a run's best model on test identities and write its report"
    evaluate = command(commands, "evaluate", _evaluate, text, "", MODEL | _EVALUATE_FLAGS)
    refinements = evaluate.add_argument_group(
        "refinements", "applied in this order and measured alongside the plain embeddings"
    )
    for flag, options in _REFINEMENTS.items():
        refinements.add_argument(flag, **options)
    text = "measure several runs on the test identities of several datasets"
    command(commands, "cross-domain", _cross_domain, text, "", _CROSS_DOMAIN_FLAGS)
    text = (
        "measure a run's best model under increasing blur, lighting changes, occlusion and others"
    )
    flags = MODEL | _ROBUSTNESS_FLAGS
    command(commands, "robustness", _robustness, text, _ROBUSTNESS, flags)


def _refinements(flags: argparse.Namespace) -> Any:
    from fashion_jax.evaluation.refinements import Refinements
    from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig

    rerank = None
    if flags.rerank:
        rerank = KReciprocalConfig(flags.k1, flags.k2, flags.original_weight)
    return Refinements(
        flip=flags.flip,
        whiten=flags.whiten,
        database_augmentation=flags.database_augmentation,
        query_expansion=flags.query_expansion,
        alpha=flags.alpha,
        rerank=rerank,
        rerank_top=flags.rerank_top,
    )


def _evaluate(flags: argparse.Namespace) -> None:
    from fashion_jax.experiments.evaluate import evaluate_datasets

    result = evaluate_datasets(
        flags.workdir,
        flags.dataset,
        flags.data_dir,
        flags.untrained,
        refinements=_refinements(flags),
        labelled_pairs=flags.labelled_pairs,
        explain=flags.explain,
    )
    print_result(result, flags)


def _cross_domain(flags: argparse.Namespace) -> None:
    from fashion_jax.experiments.cross_domain import cross_domain

    result = cross_domain(flags.runs, flags.datasets, flags.data_dir, flags.report)
    print_result(result, flags)


def _robustness(flags: argparse.Namespace) -> None:
    from fashion_jax.experiments.robustness import measure_robustness

    result = measure_robustness(
        flags.workdir,
        flags.dataset,
        flags.data_dir,
        flags.queries,
        flags.corruptions,
        flags.report,
    )
    print_result(result, flags)
