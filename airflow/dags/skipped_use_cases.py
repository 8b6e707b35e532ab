"""Shows broken use cases as import errors on Airflow's home page; their DAGs are missing, all others are loaded."""

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
