"""The one list of steps from raw data to a serving model, and the names of the DAGs and assets that follow it. The
command line's ``run``, Airflow's DAGs and the gateway's buttons follow it."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.contract.use_case import Text

REGISTRY_GROUP = "registry"


@dataclass(frozen=True, slots=True)
class Step:
    """``stage`` steps are DVC stages: pure, from files to files. The others act on the registry and
    are idempotent by the bundle's hash. ``service`` is the stage service whose jobs do it."""

    name: str
    title: Text
    stage: bool
    service: str

    @property
    def lane(self) -> str:
        """Jobs of one use case and one lane take turns. What acts on the registry does not wait for a
        training that takes hours: a rollback is needed now. What only looks waits for neither."""
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
"""Jobs that stand outside the order. ``housekeeping`` is for ``ALL_USE_CASES``."""

JOBS: dict[str, Step] = {step.name: step for step in (*STEPS, *OTHER_JOBS)}
"""Everything that a stage service can be asked to do."""

ALL_USE_CASES = "all"
"""The use case of a job that is for all of them."""
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
    "preprocess": ("services/preprocessing/stage", "services/core/contract", "services/core/weather"),
    "train": _TRAINING_CODE,
    "evaluate": (*_TRAINING_CODE, "services/training/evaluation"),
}
"""Folders that decide what a stage writes, beside the use case's own package: the dependencies in ``dvc.yaml``."""


def stages_through(last: str) -> tuple[str, ...]:
    """The DVC stages up to and including ``last``."""
    return STAGES[: STAGES.index(last) + 1]


def jobs_of_service(service: str) -> tuple[str, ...]:
    """What the stage service can be asked to do."""
    return tuple(name for name, step in JOBS.items() if step.service == service)


NO_SOURCE = "none"
"""The source of a retraining that fetches no files and starts with what is published."""


def dag_id(kind: str, use_case: str) -> str:
    """The DAG of a use case; ``kind`` is ``ingest``, ``retrain``, ``monitor`` or ``rollback``."""
    return f"{dag_prefix(kind)}{use_case}"


def dag_prefix(kind: str) -> str:
    """How the ids of all DAGs of a kind begin."""
    return f"{kind}_"


def raw_data_asset(use_case: str) -> str:
    """The asset that ingestion updates when the data has really changed."""
    return f"raw_data_{use_case}"


def drift_signal_asset(use_case: str) -> str:
    """The asset that the gateway updates when monitoring calls for a retraining."""
    return f"drift_signal_{use_case}"
