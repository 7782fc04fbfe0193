"""Losses."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.importers.arrays import (
    mean,
    numbers,
    pick,
    row,
    take_along,
    where,
    xlogy,
)
from simsa.importers.aten.reductions import cosine_similarity, pairwise_distance
from simsa.importers.aten.shared import CLAMP, absolute, relu
from simsa.program import functions, numpy_api
from simsa.program.symbolic import symbolic


def _reduced(losses: Any, reduction: int) -> Any:
    """Return losses as they are (0), their mean (1), or their sum (2)."""
    if reduction == 0:
        return losses
    return mean(losses) if reduction == 1 else np.sum(numbers(losses))


def _mse_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    """`mse_loss`."""
    return _reduced(np.square(np.subtract(x, target)), reduction)


def _l1_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    """`l1_loss`."""
    return _reduced(absolute(np.subtract(x, target)), reduction)


def _huber_loss(x: Any, target: Any, reduction: int = 1, delta: float = 1.0) -> Any:
    """`huber_loss`."""
    return _reduced(row("huber", "torch.nn.functional.huber_loss", a=delta)(np.subtract(x, target)), reduction)


def _smooth_l1_loss(x: Any, target: Any, reduction: int = 1, beta: float = 1.0) -> Any:
    """`smooth_l1_loss`: the Huber loss over its threshold."""
    if beta == 0:
        return _l1_loss(x, target, reduction)
    losses = row("huber", "torch.nn.functional.huber_loss", a=beta)(np.subtract(x, target))
    return _reduced(losses if beta == 1 else losses / beta, reduction)


def _cross_entropy_loss(
    x: Any,
    target: Any,
    weight: Any = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    """`cross_entropy`, with labels or with probabilities as the target."""
    axis = 0 if np.ndim(x) == 1 else 1
    scores, classes = np.moveaxis(numbers(x), axis, -1), np.shape(x)[axis]
    total = numpy_api.logsumexp(scores, -1)
    if np.shape(target) == np.shape(x):
        wanted = np.moveaxis(target, axis, -1)
        if label_smoothing:
            wanted = wanted * (1 - label_smoothing) + label_smoothing / classes
        terms = np.multiply(wanted, np.expand_dims(total, -1) - scores)
        losses = np.sum(terms if weight is None else terms * weight, axis=-1)
        count = np.size(losses) if np.ndim(x) > 1 else 1
        return losses if reduction == 0 else _over(np.sum(losses), count if reduction == 1 else 1)
    weights = _weights(target, weight)
    losses = total - _chosen(scores, target)
    losses = losses if weights is None else losses * weights
    if label_smoothing:
        each = np.expand_dims(total, -1) - scores
        even = np.sum(each if weight is None else each * weight, axis=-1) / classes
        losses = losses * (1 - label_smoothing) + even * label_smoothing
    return _means(losses, target, reduction, ignore_index, weights)


def _chosen(scores: Any, target: Any) -> Any:
    """Return the entries along the last axis that labels name."""
    if symbolic(target):
        return pick(target, [scores[..., k] for k in range(scores.shape[-1])])
    return take_along(scores, np.clip(np.expand_dims(target, -1), 0, None), -1)[..., 0]


def _over(value: Any, count: Any) -> Any:
    """Return value / count; for a count of 1 the value."""
    return value if not symbolic(count) and np.all(count == 1) else value / count


def _means(losses: Any, target: Any, reduction: int, ignore_index: int, weights: Any = None) -> Any:
    """Return the losses, their mean or their sum, without those whose label is to be ignored.

    losses: with their weights, if there are some. weights: what a mean divides by the sum of; None for their number. A
    label that is data is taken to be a class, and NaN if it is none, unless `ignore_index` is a class itself.
    """
    ignored = np.equal(target, ignore_index) if not symbolic(target) or ignore_index >= 0 else None
    if ignored is not None and (symbolic(ignored) or np.any(ignored)):
        losses = where(ignored, 0.0, losses)
        given = np.ones(np.shape(losses)) if weights is None else weights
        weights = where(ignored, 0.0, given) if symbolic([ignored, given]) else np.where(ignored, 0.0, given)
    if reduction == 0:
        return losses
    if reduction == 2 or weights is None:
        return _reduced(losses, reduction)
    return _over(np.sum(numbers(losses)), np.sum(numbers(weights)))


def _weights(target: Any, weight: Any) -> Any:
    """Return the weight of the class of each label; None if there are no weights."""
    if weight is None:
        return None
    if symbolic(target):
        return pick(target, [np.full(np.shape(target), w) for w in weight])
    return np.asarray(weight)[np.clip(target, 0, None)]


def _nll_loss(x: Any, target: Any, weight: Any = None, reduction: int = 1, ignore_index: int = -100) -> Any:
    """`nll_loss`."""
    losses = -_chosen(np.moveaxis(numbers(x), 0 if np.ndim(x) == 1 else 1, -1), target)
    weights = _weights(target, weight)
    return _means(losses if weights is None else losses * weights, target, reduction, ignore_index, weights)


def _bce_with_logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = 1) -> Any:
    """`binary_cross_entropy_with_logits`: softplus(x) - x t, which is smooth."""
    if pos_weight is None:
        losses = functions.softplus(x) - np.multiply(x, target)
    else:
        losses = np.subtract(1.0, target) * x + functions.softplus(-numbers(x)) * (
            1.0 + np.multiply(np.subtract(pos_weight, 1.0), target)
        )
    return _reduced(losses if weight is None else losses * weight, reduction)


def _binary_cross_entropy(x: Any, target: Any, weight: Any = None, reduction: int = 1) -> Any:
    """`binary_cross_entropy`, whose logarithms are at least -100."""
    one, other = (row("maximum", CLAMP)(np.log(p), -100.0) for p in (x, np.subtract(1.0, x)))
    losses = -(np.multiply(target, one) + np.multiply(np.subtract(1.0, target), other))
    return _reduced(losses if weight is None else losses * weight, reduction)


def _kl_div(x: Any, target: Any, reduction: int = 1, log_target: bool = False) -> Any:
    """`kl_div`."""
    if log_target:
        return _reduced(np.exp(target) * np.subtract(target, x), reduction)
    if symbolic(target):
        constant = xlogy(target, target)
    else:
        constant = np.where(np.equal(target, 0), 0.0, target * np.log(np.where(np.equal(target, 0), 1.0, target)))
    return _reduced(np.subtract(constant, np.multiply(target, x)), reduction)


def _hinge_embedding_loss(x: Any, target: Any, margin: float = 1.0, reduction: int = 1) -> Any:
    """`hinge_embedding_loss`."""
    above = row("maximum", CLAMP)(np.subtract(margin, x), 0.0)
    losses = where(np.equal(target, 1.0), x, 0.0) + where(np.equal(target, -1.0), above, 0.0)
    return _reduced(losses, reduction)


def _margin_ranking_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: int = 1) -> Any:
    """`margin_ranking_loss`."""
    return _reduced(row("maximum", CLAMP)(np.negative(target) * np.subtract(x1, x2) + margin, 0.0), reduction)


def _multi_margin_loss(x: Any, target: Any, p: Any = 1, margin: Any = 1, weight: Any = None, reduction: int = 1) -> Any:
    """`multi_margin_loss`, whose derivative at its kinks is 0."""
    scores: Any = numbers(x) if np.ndim(x) > 1 else np.expand_dims(numbers(x), 0)
    labels = target if np.ndim(target) else np.reshape(target, (1,))
    classes = scores.shape[-1]
    own = np.expand_dims(_chosen(scores, labels), -1)
    terms: Any = relu(margin - own + scores)
    terms = np.square(terms) if p == 2 else terms
    is_own = np.equal(np.expand_dims(labels, -1), np.arange(classes, dtype=np.float64))
    losses: Any = np.sum(where(is_own, 0.0, terms), axis=-1) / classes
    if weight is not None:
        losses = losses * (pick(labels, list(np.asarray(weight))) if symbolic(labels) else weight[labels])
    losses = _reduced(losses, reduction)
    return losses[0] if np.ndim(x) == 1 and reduction == 0 else losses


def _soft_margin_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    """`soft_margin_loss`."""
    return _reduced(functions.softplus(np.negative(target) * x), reduction)


def _cosine_embedding_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: int = 1) -> Any:
    """`cosine_embedding_loss`."""
    similarity = cosine_similarity(x1, x2, -1)
    apart = row("maximum", CLAMP)(similarity - margin, 0.0)
    losses = where(np.equal(target, 1.0), 1.0 - similarity, 0.0) + where(np.equal(target, -1.0), apart, 0.0)
    return _reduced(losses, reduction)


def _triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Any:
    """`triplet_margin_loss`."""
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = row("minimum", "torch.minimum")(far, pairwise_distance(positive, negative, p, eps))
    return _reduced(row("maximum", CLAMP)(margin + near - far, 0.0), reduction)


def _poisson_nll_loss(x: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: int = 1) -> Any:
    """`poisson_nll_loss`, without the term of Stirling."""
    if full:
        raise ProgramError("poisson_nll_loss can be imported with full=False")
    losses = np.exp(x) - np.multiply(target, x) if log_input else x - np.multiply(target, np.log(x + eps))
    return _reduced(losses, reduction)


LOSSES: Mapping[str, Callable[..., Any]] = {
    "mse_loss": _mse_loss,
    "l1_loss": _l1_loss,
    "huber_loss": _huber_loss,
    "smooth_l1_loss": _smooth_l1_loss,
    "cross_entropy_loss": _cross_entropy_loss,
    "nll_loss": _nll_loss,
    "nll_loss_nd": _nll_loss,
    "nll_loss2d": _nll_loss,
    "binary_cross_entropy_with_logits": _bce_with_logits,
    "binary_cross_entropy": _binary_cross_entropy,
    "kl_div": _kl_div,
    "hinge_embedding_loss": _hinge_embedding_loss,
    "margin_ranking_loss": _margin_ranking_loss,
    "multi_margin_loss": _multi_margin_loss,
    "soft_margin_loss": _soft_margin_loss,
    "cosine_embedding_loss": _cosine_embedding_loss,
    "triplet_margin_loss": _triplet_margin_loss,
    "poisson_nll_loss": _poisson_nll_loss,
}
"""The functions by the names of the operations."""
