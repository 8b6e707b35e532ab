"""Validated contents of ``params.yaml``. DVC tracks the same keys, so a changed value reruns exactly the stages that
use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core import use_case_registry
from services.core.errors import VigieError

PARAMS_FILE = "params.yaml"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Simulate(_Model):
    """Parameters of simulated data, used if there is no real data."""

    seed: int = 7
    rows: int = Field(default=6_000, gt=0)
    start: str = "2024-01-01"
    days: int = Field(default=180, gt=0)
    drift: tuple[str, ...] = ()


class Ingest(_Model):
    """Parameters of the ingest stage."""

    simulate: Simulate = Simulate()
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """A file with a larger share of invalid rows is rejected."""


class Preprocess(_Model):
    """Parameters of the preprocess stage."""

    sample_rows: int = Field(default=500, gt=0)
    """Number of examples validated with the request model, to check that both agree."""


class Search(_Model):
    """Budget of the hyperparameter search; zero trials disable it."""

    trials: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    """Time after which no trial is started; 0 means no limit."""
    validation: float = Field(default=0.2, gt=0, lt=1)
    """Share of the training rows, the latest ones, for comparing trials."""


Hyperparameter = float | int | str | bool


class LearnerOverride(_Model):
    """Hyperparameters of one target that override those declared by the use case."""

    num_boost_round: int | None = Field(default=None, gt=0)
    """Boosting rounds of every ensemble member."""
    parameters: dict[str, Hyperparameter | dict[str, Hyperparameter]] = {}
    """Boosted trees: parameters of every member. Estimator: arguments of its factory. Late fusion: per modality model,
    by its name. Omitted parameters stay as declared."""


class Train(_Model):
    """Parameters of the train stage."""

    seed: int = 7
    folds: int = Field(default=5, ge=2)
    """Cross-fitting folds: the encodings of a training row are computed from the other folds."""
    threads: int = Field(default=2, ge=1)
    """Boosters and folds trained in parallel, one thread each; does not affect results."""
    minimum_group: int = Field(default=200, ge=20)
    """Minimum calibration rows of a group for its own interval correction."""
    reference_rows: int = Field(default=5_000, ge=10)
    """Rows stored in the bundle as drift reference."""
    search: Search = Search()
    learners: dict[str, LearnerOverride] = {}
    """Target -> its hyperparameters."""


class Evaluate(_Model):
    """Parameters of the evaluate stage."""

    subgroup_rows: int = Field(default=50, ge=1)
    """Minimum test rows of a subgroup to be reported."""


class Gate(_Model):
    """Thresholds of the promotion gate; see docs/gate.md."""

    seed: int = 11
    bootstrap: int = Field(default=2_000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    minimum_gain: float = Field(default=0.0, ge=0)
    """Minimum of the confidence bound of the gain, in the deciding metric's unit."""
    minimum_rows: int = Field(default=200, ge=2)
    """Minimum test rows for a promotion."""
    subgroup_rows: int = Field(default=150, ge=10)
    """Minimum test rows of a subgroup to be guarded."""
    subgroup_limit: float = Field(default=0.05, ge=0)
    """Maximum regression of a subgroup, as a share of the champion's value of the deciding metric."""
    official_limit: float = Field(default=0.01, ge=0)
    """Maximum regression on official rows if the test rows include outcomes, as a share."""
    max_bundle_mb: float = Field(default=50.0, gt=0)
    max_latency_ms: float = Field(default=20.0, gt=0)
    """Median latency of one row through the predictor."""
    max_latency_ratio: float = Field(default=3.0, ge=1)
    """Maximum ratio to the champion's latency, checked above a tenth of ``max_latency_ms``."""


class Monitoring(_Model):
    """Thresholds of drift monitoring; see docs/drift.md. Days and hours are in the calls' own time."""

    seed: int = 13
    window_days: float = Field(default=14.0, gt=0)
    """Length of a run's window before the newest call."""
    maximum_calls: int = Field(default=20_000, ge=100)
    minimum_calls: int = Field(default=200, ge=20)
    """Minimum calls for comparing inputs and outputs."""
    minimum_outcomes: int = Field(default=150, ge=20)
    """Minimum calls with an outcome for evaluating the error."""
    segment_rows: int = Field(default=40, ge=10)
    """Minimum calls with an outcome for evaluating a centre, area or hour by itself."""
    significance: float = Field(default=0.001, gt=0, lt=0.5)
    """Family-wise error rate over all columns, or all segments, of a run (Holm)."""
    number_distance: float = Field(default=0.25, gt=0)
    """Wasserstein distance, in standard deviations of the reference, from which a numeric column has drifted."""
    word_distance: float = Field(default=0.2, gt=0, lt=1)
    """Jensen-Shannon distance from which a categorical or boolean column has drifted."""
    missing_difference: float = Field(default=0.15, gt=0, lt=1)
    unseen_share: float = Field(default=0.05, gt=0, lt=1)
    """Share of calls with a category that no reference row has."""
    drifted_share: float = Field(default=0.3, gt=0, le=1)
    """Share of the model's importance on drifted columns from which the inputs as a whole have drifted."""
    error_limit: float = Field(default=0.2, gt=0)
    """Maximum increase of the live error over that on the frozen test rows, as a share."""
    segment_limit: float = Field(default=0.5, gt=0)
    """The same for one centre, area or hour."""
    bias_limit: float = Field(default=0.12, gt=0, lt=1)
    """Maximum calibration error (difference of mean probability and observed frequency) in one such group; half of it
    over all calls."""
    breach_hours: float = Field(default=24.0, ge=0)
    """Time for which an error has to exceed its limit."""
    confirmations: int = Field(default=2, ge=1)
    """Consecutive runs that have to confirm it."""
    retraining_outcomes: int = Field(default=300, ge=20)
    """Minimum outcomes since the change for a retraining."""
    cooldown_hours: float = Field(default=24.0, ge=0)
    """Minimum time between two automatic retrainings."""
    daily_retrainings: int = Field(default=2, ge=0)
    """Maximum automatic retrainings within 24 hours of wall-clock time."""
    watch_days: float = Field(default=14.0, ge=0)
    """Period in which a new champion is compared with its predecessor."""
    rollback_limit: float = Field(default=0.05, ge=0)
    """Maximum regression of a new champion against its predecessor on the same calls, as a share."""
    reports_kept: int = Field(default=30, ge=1)
    """Number of HTML reports stored per use case; summaries are stored without limit."""


class UseCaseParams(_Model):
    """All parameters of one use case."""

    code: str
    """Folder of the use case's package, relative to the root: a dependency of all its stages."""
    ingest: Ingest = Ingest()
    preprocess: Preprocess = Preprocess()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()


class Params(_Model):
    """The contents of ``params.yaml``."""

    use_cases: dict[str, UseCaseParams]
    gate: Gate = Gate()
    monitoring: Monitoring = Monitoring()

    def including(self, use_case: str) -> Params:
        """Return params with an entry for ``use_case``: one from ``VIGIE_EXTRA_USE_CASES`` may have none in the file
        and then gets the defaults."""
        if use_case in self.use_cases:
            return self
        code = use_case_registry.packages()[use_case].replace(".", "/")
        return self.model_copy(update={"use_cases": {**self.use_cases, use_case: UseCaseParams(code=code)}})

    def of(self, use_case: str) -> UseCaseParams:
        """Return the entry of a use case.

        Raises:
            VigieError: it has none.
        """
        if use_case not in self.use_cases:
            raise VigieError(
                f"{PARAMS_FILE} has no entry for the use case {use_case!r}.",
                expected="one of " + ", ".join(self.use_cases),
                action=f"Add {use_case} below use_cases in {PARAMS_FILE}.",
            )
        return self.use_cases[use_case]


def write_learners(folder: Path, use_case: str, learners: Mapping[str, LearnerOverride]) -> None:
    """Write hyperparameters to ``use_cases.<use_case>.train.learners`` in ``folder``'s ``params.yaml``, replacing those
    of the same name; comments and everything else stay."""
    from dvc.utils.serialize import modify_yaml  # noqa: PLC0415 - not installed for serving

    with modify_yaml(folder / PARAMS_FILE) as content:
        written = content["use_cases"][use_case].setdefault("train", {}).setdefault("learners", {})
        for target, override in learners.items():
            entry = written.setdefault(target, {})
            if override.num_boost_round is not None:
                entry["num_boost_round"] = override.num_boost_round
            if override.parameters:
                entry.setdefault("parameters", {}).update(override.parameters)


def load_params(folder: Path = Path()) -> Params:
    """Load ``params.yaml`` from ``folder`` (a workspace or the checkout; stages run inside one).

    Raises:
        VigieError: it is missing or no valid YAML, or has an unknown key or a value out of range.
    """
    path = folder / PARAMS_FILE
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Params.model_validate(content)
    except FileNotFoundError as error:
        raise VigieError(
            f"There is no {PARAMS_FILE} in {folder.resolve()}.", action="Run this in the checkout or in a workspace."
        ) from error
    except yaml.YAMLError as error:
        raise VigieError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise VigieError(
            f"{path}: {where}: {first['msg']}", expected="the keys and bounds of services/core/params.py"
        ) from error
