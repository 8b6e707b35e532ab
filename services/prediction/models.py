"""A bundle that is loaded and warmed: what a request is answered from."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from services.core.bundle.manifest import VerifiedBundle
from services.core.bundle.predictor import Predictor, row
from services.core.errors import VigieError
from services.core.usecases.columns import from_rows, images
from services.core.usecases.contract import Columns, UseCase, Value, example_request
from services.core.usecases.pictures import unpack
from services.prediction.explaining import Explained, Explainer
from services.prediction.input_checks import InputChecks
from services.prediction.schemas import finite
from services.prediction.store import Registered

WARM_ROWS = 64

Row = tuple[dict[str, Value], dict[str, Any]]
"""One row's values by target and its facts, as Python scalars."""


class Model:
    """Immutable once made but for its explainer, which is loaded later and once; threads share it.
    ``registered`` is what the registry said about the bundle.

    Raises:
        VigieError: the bundle was trained on other features than this code makes.
    """

    def __init__(self, use_case: UseCase, bundle: VerifiedBundle, registered: Registered) -> None:
        self.use_case = use_case
        self.folder = bundle.folder
        self.version = registered.version
        self.metrics = registered.metrics
        self.request = finite(use_case.request)
        self.predictor = Predictor(use_case, bundle)
        self.hash = self.predictor.hash
        self.created = self.predictor.manifest.created
        self.simulated = self.predictor.manifest.simulated
        self.checks = InputChecks(use_case, self.predictor.inputs)
        self._explainer: Explainer | None = None
        self._explainer_lock = threading.Lock()

    def warm(self) -> None:
        """Answer the example request, alone and among others, before any caller does.

        Raises:
            VigieError: the answer is not one that the use case declares.
        """
        fields = self.request.model_validate(example_request(self.request)).__dict__
        unpack(images(self.request), fields)
        one, many = from_rows(self.request, [fields]), from_rows(self.request, [fields] * WARM_ROWS)
        alone = self.use_case.compose(*self.predict_each(one, {})[0], fields)
        among = self.use_case.compose(*self.predict_each(many, {})[-1], fields)
        try:
            finite(self.use_case.answer).model_validate(alone)
        except ValueError as error:
            raise VigieError(f"The bundle {self.hash[:12]} gives an answer out of form: {error}") from error
        if alone != among:
            raise VigieError(f"The bundle {self.hash[:12]} answers one row and a batch differently.")

    def predict_each(self, columns: Columns, context: Mapping[str, Any]) -> list[Row]:
        """Values and facts of each validated request: one prediction for all rows of ``columns``."""
        prediction = self.predictor.predict(columns, context)
        return [row(prediction, index) for index in range(len(next(iter(columns.values()))))]

    def explain_row(self, columns: Columns, context: Mapping[str, Any]) -> dict[str, tuple[str, list[Explained]]]:
        """Target -> unit and what each request field adds to its outputs, for the one row of ``columns``."""
        return self.explainer().explain(columns, context)

    @property
    def importance(self) -> dict[str, dict[str, float]] | None:
        """Target -> request field -> share of the gain; None until the native boosters are loaded."""
        return None if self._explainer is None else self._explainer.importance

    def explainer(self) -> Explainer:
        """The native boosters, loaded on first use. Takes seconds then: never on the event loop."""
        with self._explainer_lock:
            if self._explainer is None:
                self._explainer = Explainer(self.predictor)
            return self._explainer
