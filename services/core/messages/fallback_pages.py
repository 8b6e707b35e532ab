"""Texts of the printed fallback pages."""

from __future__ import annotations

from services.core.contract.use_case import Text

FALLBACK_PAGES: dict[str, Text] = {
    "title": Text("Tables for the day when nothing answers", "Tableaux pour le jour où rien ne répond"),
    "use": Text(
        "Rough figures to go by without the platform. They know nothing of the call at hand.",
        "Des ordres de grandeur pour travailler sans la plateforme. Ils ne savent rien de l'appel en cours.",
    ),
    "simulated": Text(
        "MADE FROM SIMULATED DATA: not for real decisions", "DONNÉES SIMULÉES : pas pour de vraies décisions"
    ),
    "written": Text(
        "Written {at:moment} UTC, model version {version}", "Écrit le {at:moment} UTC, version {version} du modèle"
    ),
    "published": Text("Published averages", "Moyennes publiées"),
    "usual": Text("Usual case", "Cas usuel"),
    "areas": Text("By area", "Par secteur"),
    "area": Text("Area", "Secteur"),
    "everywhere": Text("Everywhere", "Partout"),
    "rows": Text("Cases", "Cas"),
    "other": Text("Français", "English"),
}
