"""Makes a broken use case visible in Airflow: its DAGs are missing, all others are there, and the reason stands
among the import errors on Airflow's first page."""

from __future__ import annotations

from services.core import use_case_registry
from services.core.errors import VigieError

skipped = use_case_registry.skipped()
if skipped:
    raise VigieError(
        "Use cases without DAGs: "
        + "; ".join(f"{left_out.name} ({left_out.origin}): {left_out.reason.problem}" for left_out in skipped),
        action="Mend or uninstall them; ./vigie doctor says more. All other use cases have their DAGs.",
    )
