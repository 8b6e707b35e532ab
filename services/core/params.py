"""What ``params.yaml`` says, checked. DVC tracks the same keys, so a changed number runs exactly the
stages that it touches."""

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
    """What the simulator writes where there is no real data."""

    seed: int = 7
    rows: int = Field(default=6_000, gt=0)
    start: str = "2024-01-01"
    days: int = Field(default=180, gt=0)
    drift: tuple[str, ...] = ()


class Ingest(_Model):
    simulate: Simulate = Simulate()
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """A file with a larger share of bad rows is refused whole."""


class Preprocess(_Model):
    sample_rows: int = Field(default=500, gt=0)
    """How many examples are sent through the request model to see that both agree."""


class Search(_Model):
    """Budget of the hyper-parameter search; no trials means no search."""

    trials: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    """Time after which no trial is started; 0 is no limit."""
    validation: float = Field(default=0.2, gt=0, lt=1)
    """Share of the training rows, the latest ones, on which trials are compared."""


Hyperparameter = float | int | str | bool


class LearnerOverride(_Model):
    """Hyperparameters of one target in place of those that the use case declares."""

    num_boost_round: int | None = Field(default=None, gt=0)
    """Rounds of every member of boosted trees."""
    parameters: dict[str, Hyperparameter | dict[str, Hyperparameter]] = {}
    """Of boosted trees those of every member, of an estimator what its factory is called with, of a late fusion those
    of each modality model by its name. What is not named stays as declared."""


class Train(_Model):
    seed: int = 7
    folds: int = Field(default=5, ge=2)
    """Cross-fitting: the encodings of a training row come from the other folds."""
    threads: int = Field(default=2, ge=1)
    """Boosters and folds that run side by side, one thread each: the number changes no result."""
    minimum_group: int = Field(default=200, ge=20)
    """Calibration rows that a group needs for an interval correction of its own."""
    reference_rows: int = Field(default=5_000, ge=10)
    """Rows that the bundle keeps for drift detection."""
    search: Search = Search()
    learners: dict[str, LearnerOverride] = {}
    """Target -> its hyperparameters."""


class Evaluate(_Model):
    subgroup_rows: int = Field(default=50, ge=1)
    """Test rows that a subgroup needs to be reported."""


class Gate(_Model):
    """docs/gate.md says how these decide."""

    seed: int = 11
    bootstrap: int = Field(default=2_000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    minimum_gain: float = Field(default=0.0, ge=0)
    """The bound of the deciding metric's gain has to lie above this, in the metric's unit."""
    minimum_rows: int = Field(default=200, ge=2)
    """Test rows below which nothing is promoted."""
    subgroup_rows: int = Field(default=150, ge=10)
    """Test rows that a subgroup needs to be guarded."""
    subgroup_limit: float = Field(default=0.05, ge=0)
    """How much worse a subgroup may get, as a share of the champion's value of the deciding metric."""
    official_limit: float = Field(default=0.01, ge=0)
    """How much worse official rows may get where outcomes are among the test rows, as a share."""
    max_bundle_mb: float = Field(default=50.0, gt=0)
    max_latency_ms: float = Field(default=20.0, gt=0)
    """One row through the predictor, median."""
    max_latency_ratio: float = Field(default=3.0, ge=1)
    """How many times slower than the champion, once past a tenth of ``max_latency_ms``."""


class Monitoring(_Model):
    """docs/drift.md says how these decide. Days and hours are those of the calls' own time."""

    seed: int = 13
    window_days: float = Field(default=14.0, gt=0)
    """How far back from the newest call a run looks."""
    maximum_calls: int = Field(default=20_000, ge=100)
    minimum_calls: int = Field(default=200, ge=20)
    """Calls below which inputs and outputs are not compared."""
    minimum_outcomes: int = Field(default=150, ge=20)
    """Calls with an outcome below which the error is not judged."""
    segment_rows: int = Field(default=40, ge=10)
    """Calls with an outcome that a centre, area or hour needs to be judged by itself."""
    significance: float = Field(default=0.001, gt=0, lt=0.5)
    """Chance of one false finding among all columns, or all segments, of a run (Holm)."""
    number_distance: float = Field(default=0.25, gt=0)
    """Wasserstein distance, in standard deviations of the reference, from which a number has drifted."""
    word_distance: float = Field(default=0.2, gt=0, lt=1)
    """Jensen-Shannon distance from which words or flags have drifted."""
    missing_difference: float = Field(default=0.15, gt=0, lt=1)
    unseen_share: float = Field(default=0.05, gt=0, lt=1)
    """Share of calls with a word that no reference row has."""
    drifted_share: float = Field(default=0.3, gt=0, le=1)
    """Share of the model's importance that lies on drifted columns, from which the inputs as a whole have."""
    error_limit: float = Field(default=0.2, gt=0)
    """How much larger the live error may be than that on the frozen test rows, as a share."""
    segment_limit: float = Field(default=0.5, gt=0)
    """The same for one centre, area or hour."""
    bias_limit: float = Field(default=0.12, gt=0, lt=1)
    """How far a probability may be from how often it happens, in one such group; half of it over all calls."""
    breach_hours: float = Field(default=24.0, ge=0)
    """How long an error has to be beyond its limit before it counts."""
    confirmations: int = Field(default=2, ge=1)
    """Runs in a row that have to say so."""
    retraining_outcomes: int = Field(default=300, ge=20)
    """Outcomes since the change without which a retraining would have nothing to learn from."""
    cooldown_hours: float = Field(default=24.0, ge=0)
    """Between two automatic retrainings."""
    daily_retrainings: int = Field(default=2, ge=0)
    """Automatic retrainings within 24 hours of the machine's own time."""
    watch_days: float = Field(default=14.0, ge=0)
    """How long a new champion is compared with the one before it."""
    rollback_limit: float = Field(default=0.05, ge=0)
    """How much worse than its predecessor a new champion may be on the same calls, as a share."""
    reports_kept: int = Field(default=30, ge=1)
    """HTML reports that are kept of each use case; the summaries stay."""


class UseCaseParams(_Model):
    code: str
    """The folder of the use case's package, relative to the root: a dependency of all its stages."""
    ingest: Ingest = Ingest()
    preprocess: Preprocess = Preprocess()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()


class Params(_Model):
    use_cases: dict[str, UseCaseParams]
    gate: Gate = Gate()
    monitoring: Monitoring = Monitoring()

    def including(self, use_case: str) -> Params:
        """With an entry for ``use_case``: one that ``VIGIE_EXTRA_USE_CASES`` adds needs none in the file
        and then has the defaults."""
        if use_case in self.use_cases:
            return self
        code = use_case_registry.packages()[use_case].replace(".", "/")
        return self.model_copy(update={"use_cases": {**self.use_cases, use_case: UseCaseParams(code=code)}})

    def of(self, use_case: str) -> UseCaseParams:
        """
        Raises:
            VigieError: the use case has no entry.
        """
        if use_case not in self.use_cases:
            raise VigieError(
                f"{PARAMS_FILE} has no entry for the use case {use_case!r}.",
                expected="one of " + ", ".join(self.use_cases),
                action=f"Add {use_case} below use_cases in {PARAMS_FILE}.",
            )
        return self.use_cases[use_case]


def write_learners(folder: Path, use_case: str, learners: Mapping[str, LearnerOverride]) -> None:
    """Put hyperparameters below ``use_cases.<use_case>.train.learners`` in ``folder``'s ``params.yaml``, in place of
    those of the same name; comments and all else stay."""
    from dvc.utils.serialize import modify_yaml  # noqa: PLC0415 - training has it, calls do not need it

    with modify_yaml(folder / PARAMS_FILE) as content:
        written = content["use_cases"][use_case].setdefault("train", {}).setdefault("learners", {})
        for target, override in learners.items():
            entry = written.setdefault(target, {})
            if override.num_boost_round is not None:
                entry["num_boost_round"] = override.num_boost_round
            if override.parameters:
                entry.setdefault("parameters", {}).update(override.parameters)


def load_params(folder: Path = Path()) -> Params:
    """Read ``params.yaml`` in ``folder`` (a workspace or the checkout; stages run inside one).

    Raises:
        VigieError: it is missing, is no YAML, or holds an unknown key or a value out of bounds.
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
