"""The one list of steps from raw data to a serving model. The command line's ``run``, Airflow's
DAGs and the gateway's buttons follow it."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.usecases.contract import Text


@dataclass(frozen=True, slots=True)
class Step:
    """``stage`` steps are DVC stages: pure, from files to files. The others act on the registry and
    are idempotent by the bundle's hash."""

    name: str
    title: Text
    stage: bool


STEPS: tuple[Step, ...] = (
    Step("ingest", Text("Read and validate raw files", "Lire et valider les fichiers bruts"), True),
    Step("preprocess", Text("Make examples", "Construire les exemples"), True),
    Step("train", Text("Train the models", "Entraîner les modèles"), True),
    Step("evaluate", Text("Measure on later data", "Mesurer sur des données ultérieures"), True),
    Step("gate", Text("Register and compare with the champion", "Enregistrer et comparer au champion"), False),
    Step("promote", Text("Promote if the gate allows it", "Promouvoir si le contrôle l'autorise"), False),
)

STAGES: tuple[str, ...] = tuple(step.name for step in STEPS if step.stage)


def stages_through(last: str) -> tuple[str, ...]:
    """The DVC stages up to and including ``last``."""
    return STAGES[: STAGES.index(last) + 1]
