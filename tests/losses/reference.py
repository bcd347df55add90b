"""Every loss once more, from its formula: NumPy, float64, one anchor and one pair at a time."""

import itertools
import math
from collections.abc import Callable

import numpy as np

Rows = np.ndarray
Allowed = Callable[[int, int], bool]


def everyone(anchor: int, other: int) -> bool:
    """All pairs count."""
    return True


def cosine(a: Rows, b: Rows) -> float:
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def distance(a: Rows, b: Rows, kind: str = "euclidean") -> float:
    if kind == "cosine":
        return 1 - cosine(a, b)
    return math.sqrt(max(float((a - b) @ (a - b)), 1e-12))


def hinge(gap: float, margin: float | None) -> float:
    return math.log1p(math.exp(gap)) if margin is None else max(0.0, gap + margin)


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def weighted(values: list[float], weights: list[float]) -> float:
    return float(np.average(values, weights=weights)) if values else 0.0


def positives(identities, anchor: int, allowed: Allowed = everyone) -> list[int]:
    return [
        other
        for other in range(len(identities))
        if other != anchor and identities[other] == identities[anchor] and allowed(anchor, other)
    ]


def negatives(identities, anchor: int, allowed: Allowed = everyone) -> list[int]:
    return [
        other
        for other in range(len(identities))
        if identities[other] != identities[anchor] and allowed(anchor, other)
    ]


def batch_hard(x, y, margin, kind="euclidean", batch=None, itself=True, **pairs):
    """The first `batch` rows are anchors. `pairs`: tests of anchors and pairs, and weights."""
    batch = len(y) if batch is None else batch
    is_anchor = pairs.get("anchor", lambda row: True)
    weight = pairs.get("weight", lambda anchor, other: 1.0)
    terms, weights = [], []
    for anchor in filter(is_anchor, range(batch)):
        own = positives(y, anchor, pairs.get("positive", everyone)) + [anchor] * itself
        others = negatives(y, anchor, pairs.get("negative", everyone))
        if not own or not others:
            continue
        farthest = max(own, key=lambda row: distance(x[anchor], x[row], kind))
        nearest = min(others, key=lambda row: distance(x[anchor], x[row], kind))
        gap = distance(x[anchor], x[farthest], kind) - distance(x[anchor], x[nearest], kind)
        terms.append(hinge(gap, margin))
        weights.append(weight(anchor, farthest))
    return weighted(terms, weights)


def batch_all(x, y, margin, kind="euclidean"):
    terms = [
        hinge(distance(x[a], x[p], kind) - distance(x[a], x[n], kind), margin)
        for a in range(len(y))
        for p in positives(y, a)
        for n in negatives(y, a)
    ]
    return mean([term for term in terms if term > 0])


def quadruplet(x, y, margin, second_margin, kind="euclidean"):
    terms = []
    for a in range(len(y)):
        others = negatives(y, a)
        strangers = [(m, n) for m, n in itertools.permutations(others, 2) if y[m] != y[n]]
        if strangers:
            farthest = max(distance(x[a], x[p], kind) for p in [*positives(y, a), a])
            nearest = min(distance(x[m], x[n], kind) for m, n in strangers)
            terms.append(hinge(farthest - nearest, second_margin))
    return batch_hard(x, y, margin, kind) + mean(terms)


def centroid_triplet(x, y, margin, kind="euclidean"):
    rows = [np.flatnonzero(np.asarray(y) == identity) for identity in sorted(set(y))]
    rows = [own for own in rows if len(own) > 1]
    terms = []
    for turn in range(max((len(own) for own in rows), default=0)):
        points, names = [], []
        for name, own in enumerate(own for own in rows if len(own) > turn):
            points += [x[own[turn]], x[np.delete(own, turn)].mean(0)]
            names += [name, name]
        for a in range(len(points)):
            own = positives(names, a)
            others = negatives(names, a)
            if others:
                far = max(distance(points[a], points[p], kind) for p in own)
                near = min(distance(points[a], points[n], kind) for n in others)
                terms.append(hinge(far - near, margin))
    return mean(terms)


def multi_similarity(x, y, alpha=2.0, beta=50.0, base=0.5, epsilon=0.1):
    total = 0.0
    for a in range(len(y)):
        pos = [cosine(x[a], x[p]) for p in positives(y, a)]
        neg = [cosine(x[a], x[n]) for n in negatives(y, a)]
        if not pos or not neg:
            continue
        hard_pos = [s for s in pos if s < max(neg) + epsilon]
        hard_neg = [s for s in neg if s > min(pos) - epsilon]
        total += math.log1p(sum(math.exp(-alpha * (s - base)) for s in hard_pos)) / alpha
        total += math.log1p(sum(math.exp(beta * (s - base)) for s in hard_neg)) / beta
    return total / len(y)


def supervised_contrastive(x, y, temperature=0.1):
    terms = []
    for a in range(len(y)):
        powers = {b: math.exp(cosine(x[a], x[b]) / temperature) for b in range(len(y)) if b != a}
        own = positives(y, a)
        if own:
            terms.append(-mean([math.log(powers[p] / sum(powers.values())) for p in own]))
    return mean(terms)


def circle(x, y, margin=0.25, scale=128.0):
    terms = []
    for a in range(len(y)):
        pos = [cosine(x[a], x[p]) for p in positives(y, a)]
        neg = [cosine(x[a], x[n]) for n in negatives(y, a)]
        if not pos or not neg:
            continue
        push = [math.exp(scale * max(0, s + margin) * (s - margin)) for s in neg]
        pull = [math.exp(-scale * max(0, 1 + margin - s) * (s - 1 + margin)) for s in pos]
        terms.append(math.log1p(sum(push) * sum(pull)))
    return mean(terms)


def smoothed_cross_entropy(logits, y, smoothing):
    terms = []
    for row, label in zip(logits, y, strict=True):
        target = np.full(len(row), smoothing / len(row))
        target[label] += 1 - smoothing
        terms.append(-float(target @ np.log(np.exp(row) / np.exp(row).sum())))
    return mean(terms)


def class_cosines(x, kernel, sub_centers=1):
    found = np.array([[cosine(row, column) for column in kernel.T] for row in x])
    return found.reshape(len(x), -1, sub_centers).max(2)


def arcface(cosines, y, margin, scale):
    scores = np.array(cosines)
    for row, label in enumerate(y):
        angle = math.acos(scores[row, label])
        beyond = angle + margin >= math.pi
        turned = math.cos(angle) - margin * math.sin(margin)
        scores[row, label] = turned if beyond else math.cos(angle + margin)
    return smoothed_cross_entropy(scale * scores, y, 0.0)


def cosface(cosines, y, margin, scale):
    scores = np.array(cosines)
    scores[np.arange(len(y)), y] -= margin
    return smoothed_cross_entropy(scale * scores, y, 0.0)


def proxy_nca(cosines, y, scale):
    terms = []
    for row, label in zip(cosines, y, strict=True):
        powers = np.exp(-scale * (1 - row))
        terms.append(-math.log(powers[label] / np.delete(powers, label).sum()))
    return mean(terms)


def proxy_anchor(cosines, y, alpha=32.0, delta=0.1):
    pull, push = [], []
    for proxy, column in enumerate(cosines.T):
        own = np.asarray(y) == proxy
        if own.any():
            pull.append(math.log1p(np.exp(-alpha * (column[own] - delta)).sum()))
        push.append(math.log1p(np.exp(alpha * (column[~own] + delta)).sum()))
    return mean(pull) + mean(push)
