"""Table of the pages: address, required role and rendering module of each."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.auth.principal import Role


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page. ``module`` below ``services.dashboard.pages`` has ``render(session)`` and is imported when the page is
    opened. ``path`` is its address, which must not collide with the platform's other ones."""

    module: str
    path: str
    title: str
    icon: str
    role: Role
    section: str


PAGES: tuple[PageEntry, ...] = (
    PageEntry("call", "call", "shell.page_call", ":material/call:", Role.DISPATCHER, "shell.section_calls"),
    PageEntry("board", "board", "shell.page_board", ":material/view_list:", Role.VIEWER, "shell.section_calls"),
    PageEntry(
        "models", "models", "shell.page_models", ":material/model_training:", Role.OPERATOR, "shell.section_models"
    ),
    PageEntry("data", "data", "shell.page_data", ":material/database:", Role.OPERATOR, "shell.section_models"),
    PageEntry("quality", "quality", "shell.page_quality", ":material/monitoring:", Role.VIEWER, "shell.section_models"),
    PageEntry(
        "explore", "explore", "shell.page_explore", ":material/query_stats:", Role.VIEWER, "shell.section_models"
    ),
    PageEntry(
        "administration",
        "administration",
        "shell.page_administration",
        ":material/group:",
        Role.ADMIN,
        "shell.section_platform",
    ),
    PageEntry("portal", "portal", "shell.page_portal", ":material/hub:", Role.VIEWER, "shell.section_platform"),
)

RESERVED = frozenset(
    {"admin", "auth", "v1", "docs", "airflow", "mlflow", "grafana", "prometheus", "alertmanager", "internal", "metrics",
     "baseline", ".well-known", "_stcore", "openapi.json", "health", "static"}
)  # fmt: skip
"""First path segments that the edge routes to other services."""


def for_role(role: Role) -> list[PageEntry]:
    return [page for page in PAGES if role.covers(page.role)]
