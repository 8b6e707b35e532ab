"""The one list of steps from raw data to a served model, and the names of the DAGs and assets derived from it.

The command line, Airflow's DAGs and the gateway follow it."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.contract.use_case import Text

REGISTRY_GROUP = "registry"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the pipeline. ``stage`` steps are DVC stages: pure, from files to files. The others act on the registry
    and are idempotent by the bundle's hash. ``service``: the stage service whose jobs run it."""

    name: str
    title: Text
    stage: bool
    service: str

    @property
    def lane(self) -> str:
        """Concurrency group: jobs of one use case and group are serialized. Registry actions are in another group than
        training, which takes hours: a rollback must not wait. Monitoring has its own."""
        return self.service if self.stage or self.service == "drift" else REGISTRY_GROUP


STEPS: tuple[Step, ...] = (
    Step("ingest", Text("Read and validate raw files", "Lire et valider les fichiers bruts"), True, "ingestion"),
    Step("preprocess", Text("Make examples", "Construire les exemples"), True, "preprocessing"),
    Step("train", Text("Train the models", "Entraîner les modèles"), True, "training"),
    Step("evaluate", Text("Measure on later data", "Mesurer sur des données ultérieures"), True, "training"),
    Step(
        "gate", Text("Register and compare with the champion", "Enregistrer et comparer au champion"), False, "training"
    ),
    Step("promote", Text("Promote if the gate allows it", "Promouvoir si le contrôle l'autorise"), False, "training"),
)

OTHER_JOBS: tuple[Step, ...] = (
    Step("rollback", Text("Go back to the champion before", "Revenir au champion précédent"), False, "training"),
    Step("monitor", Text("Look for drift and errors", "Surveiller la dérive et les erreurs"), False, "drift"),
    Step(
        "housekeeping", Text("Remove what nothing needs any more", "Supprimer ce qui ne sert plus"), False, "ingestion"
    ),
)
"""Jobs that are not part of the sequence. ``housekeeping`` is for ``ALL_USE_CASES``."""

JOBS: dict[str, Step] = {step.name: step for step in (*STEPS, *OTHER_JOBS)}
"""All jobs of the stage services."""

ALL_USE_CASES = "all"
"""Use case of a job that is for all of them."""
GLOBAL_STEPS: frozenset[str] = frozenset({"housekeeping"})

STAGES: tuple[str, ...] = tuple(step.name for step in STEPS if step.stage)

_TRAINING_CODE = (
    "services/training/stage",
    "services/core/contract",
    "services/core/bundle",
    "services/core/scoring",
    "services/core/weather",
)
STAGE_CODE: dict[str, tuple[str, ...]] = {
    "ingest": (
        "services/ingestion/stage",
        "services/core/raw_files",
        "services/core/contract",
        "services/core/weather",
    ),
    "preprocess": (
        "services/preprocessing/stage",
        "services/core/raw_files",
        "services/core/contract",
        "services/core/weather",
    ),
    "train": _TRAINING_CODE,
    "evaluate": (*_TRAINING_CODE, "services/training/evaluation"),
}
"""Folders that determine a stage's output besides the use case's package: its dependencies in ``dvc.yaml``."""


def stages_through(last: str) -> tuple[str, ...]:
    """Return the DVC stages up to and including ``last``."""
    return STAGES[: STAGES.index(last) + 1]


def jobs_of_service(service: str) -> tuple[str, ...]:
    """Return the jobs that a stage service runs."""
    return tuple(name for name, step in JOBS.items() if step.service == service)


NO_SOURCE = "none"
"""Source of a retraining without ingestion, on the published data."""


def dag_id(kind: str, use_case: str) -> str:
    """Return the id of a use case's DAG; ``kind`` is ``ingest``, ``retrain``, ``monitor`` or ``rollback``."""
    return f"{dag_prefix(kind)}{use_case}"


def dag_prefix(kind: str) -> str:
    """Return the common prefix of the ids of a kind's DAGs."""
    return f"{kind}_"


def raw_data_asset(use_case: str) -> str:
    """Return the asset that ingestion updates when the data has changed."""
    return f"raw_data_{use_case}"


def drift_signal_asset(use_case: str) -> str:
    """Return the asset that the gateway updates when monitoring requests a retraining."""
    return f"drift_signal_{use_case}"
