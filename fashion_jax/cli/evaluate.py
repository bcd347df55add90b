"""`fashion-jax evaluate`, `cross-domain` and `robustness`."""

import argparse
from typing import Any

from fashion_jax.cli.command import YES, add_model, command, print_result


def add(commands: Any) -> None:
    """Add the commands of this file."""
    _add_evaluate(commands)
    _add_cross_domain(commands)
    _add_robustness(commands)


def _add_evaluate(commands: Any) -> None:
    evaluate = command(
        commands,
        "evaluate",
        _evaluate,
        "measure a run's best model on test identities and write its report",
    )
    add_model(evaluate)
    evaluate.add_argument(
        "--untrained", action=YES, help="also measure the network before training"
    )
    _add_refinements(evaluate)


def _add_refinements(evaluate: Any) -> None:
    group = evaluate.add_argument_group(
        "refinements", "applied in this order and measured alongside the plain embeddings"
    )
    group.add_argument("--flip", action=YES, help="average with the mirrored photo")
    group.add_argument(
        "--whiten", type=int, default=0, metavar="D", help="PCA whitening to D dimensions"
    )
    group.add_argument(
        "--database_augmentation",
        type=int,
        default=0,
        metavar="N",
        help="add N nearest neighbours to each gallery embedding",
    )
    group.add_argument(
        "--query_expansion",
        type=int,
        default=0,
        metavar="N",
        help="add N nearest gallery embeddings to each query",
    )
    group.add_argument(
        "--alpha",
        type=float,
        default=0.0,
        metavar="A",
        help="weight added embeddings by similarity to the power A (default: 0, equal weights)",
    )
    group.add_argument("--rerank", action=YES, help="k-reciprocal re-ranking")
    group.add_argument(
        "--rerank_top", type=int, metavar="N", help="re-rank the first N answers (default: all)"
    )
    group.add_argument(
        "--k1",
        type=int,
        default=20,
        metavar="N",
        help="neighbours in re-ranking (default: %(default)s)",
    )
    group.add_argument(
        "--k2",
        type=int,
        default=6,
        metavar="N",
        help="encodings averaged in re-ranking (default: %(default)s)",
    )
    group.add_argument(
        "--original_weight",
        type=float,
        default=0.3,
        metavar="W",
        help="weight of the original distance in re-ranking (default: %(default)s)",
    )


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


def _add_cross_domain(commands: Any) -> None:
    cross_domain = command(
        commands,
        "cross-domain",
        _cross_domain,
        "measure several runs on the test identities of several datasets",
    )
    add = cross_domain.add_argument
    add("--runs", required=True, nargs="+", metavar="RUN", help="directories of the runs")
    add("--datasets", required=True, nargs="+", metavar="NAME", help="names of built datasets")
    add("--data_dir", metavar="DIR", help="directory of built datasets (default: each run's)")
    add(
        "--report",
        default="report",
        metavar="DIR",
        help="directory of cross_domain.html and cross_domain.json (default: %(default)s)",
    )


def _add_robustness(commands: Any) -> None:
    robustness = command(
        commands,
        "robustness",
        _robustness,
        "measure a run's best model under increasing blur, lighting changes, occlusion and others",
        "The gallery stays clean; the queries are embedded again for every corruption at each of\n"
        "five severities. Writes a page with curves and photos, and robustness.json next to it.",
    )
    add_model(robustness)
    robustness.add_argument(
        "--queries", type=int, metavar="N", help="draw N queries at random (default: all)"
    )
    robustness.add_argument(
        "--corruptions", nargs="+", metavar="NAME", help="corruptions to measure (default: all)"
    )
    robustness.add_argument(
        "--report",
        metavar="DIR",
        help="directory of index.html (default: WORKDIR/report/robustness)",
    )


def _evaluate(flags: argparse.Namespace) -> None:
    from fashion_jax.experiments.evaluate import evaluate_datasets

    result = evaluate_datasets(
        flags.workdir,
        flags.dataset,
        flags.data_dir,
        flags.untrained,
        refinements=_refinements(flags),
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
