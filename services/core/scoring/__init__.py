"""Scoring: the same metrics, computed by the same code, for evaluation, the gate and the command line."""

from services.core.scoring.report import score, score_baseline

__all__ = ["score", "score_baseline"]
