"""How a sum of tree outputs becomes an answer, and how contributions follow along.

TreeSHAP (Lundberg et al. 2020) splits a booster's margin into one share per feature. An answer in seconds
or as a probability lies behind links and calibration; its shares are those of the straight path from the
base margin to the request's (Aumann and Shapley 1974): exact in sum, and in proportion to the margin's
shares wherever one margin decides alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_IDENTITY = {
    "reg:squarederror",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "reg:squaredlogerror",
}
_EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie"}
_LOGISTIC = {"binary:logistic", "reg:logistic"}


def link(objective: str) -> Callable[[Floats], Floats]:
    """From margins to a booster's output, for objectives with one output.

    Raises:
        ValueError: an objective whose link is not known here.
    """
    if objective in _IDENTITY:
        return lambda margin: margin
    if objective in _EXPONENTIAL:
        return np.exp
    if objective in _LOGISTIC:
        return lambda margin: 1.0 / (1.0 + np.exp(-margin))
    raise ValueError(f"the link of {objective} is not known")


def slope(function: Callable[[Floats], Floats], start: float, end: float) -> float:
    """The mean slope of ``function`` between two points, its slope there where they are one."""
    if abs(end - start) < 1e-9:
        middle, step = (start + end) / 2, 1e-6
        start, end = middle - step, middle + step
    low, high = function(np.array([start, end]))
    return float((high - low) / (end - start))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_PATH, _PATH_WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


def class_shares(contributions: Floats, bases: Floats, temperature: float, bias: Floats) -> tuple[Floats, Floats]:
    """Shares of each class's calibrated probability.

    Args:
        contributions: (m, k, p) margin contributions of m averaged members for k classes.
        bases: (m, k) base margins.

    Returns:
        Shares (k, p) and the base probabilities (k,). Their sum is the calibrated probability, within
        the quadrature's error (about 1e-6).
    """
    gains = contributions.sum(axis=2)
    margins = bases[None] + _PATH[:, None, None] * gains[None]
    member = _softmax(margins)
    mean = np.maximum(member.mean(axis=1), 1e-12)
    calibrated = _softmax(np.log(mean) / temperature + bias)
    k = gains.shape[1]
    # d calibrated_j / d mean_l, then d mean_l / d margin_mq
    outer = calibrated[:, :, None] * (np.eye(k)[None] - calibrated[:, None, :]) / (temperature * mean[:, None, :])
    inner = member[:, :, :, None] * (np.eye(k)[None, None] - member[:, :, None, :]) / len(bases)
    gradient = np.einsum("t,tjl,tmlq->jmq", _PATH_WEIGHTS, outer, inner)
    shares = np.einsum("jmq,mqp->jp", gradient, contributions)
    base = _softmax(np.log(np.maximum(_softmax(bases).mean(axis=0), 1e-12)) / temperature + bias)
    return shares, base


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result
