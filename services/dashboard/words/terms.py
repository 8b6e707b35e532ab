"""Words that several pages share: roles, sources, kinds of calls, yes and no."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {
    "viewer": Text("viewer", "lecture"),
    "dispatcher": Text("dispatcher", "opérateur d'appels"),
    "operator": Text("operator", "exploitant"),
    "admin": Text("administrator", "administrateur"),
    "all_centres": Text("all centres", "tous les centres"),
    "use_case": Text("Use case", "Cas d'usage"),
    "yes": Text("yes", "oui"),
    "no": Text("no", "non"),
    "unknown": Text("unknown", "inconnu"),
    "not_given": Text("not given", "non précisé"),
    "champion": Text("CHAMPION", "CHAMPION"),
    "champion_text": Text("the model in service, confirmed a moment ago", "le modèle en service, confirmé à l'instant"),
    "cached": Text("CACHED", "EN CACHE"),
    "cached_text": Text(
        "the last good model; the registry is silent", "le dernier bon modèle ; le registre ne répond pas"
    ),
    "baseline": Text("BASELINE", "VALEUR DE RÉFÉRENCE"),
    "baseline_text": Text("no model: published averages only", "aucun modèle : moyennes publiées seulement"),
    "simulated": Text("SIMULATED DATA", "DONNÉES SIMULÉES"),
    "simulated_text": Text(
        "the model learned from simulated data: not for real decisions",
        "le modèle a appris de données simulées : pas pour de vraies décisions",
    ),
    "live": Text("live", "réel"),
    "exercise": Text("exercise", "exercice"),
    "kind_simulated": Text("simulated", "simulé"),
    "version": Text("version {version}", "version {version}"),
    "probability": Text("probability", "probabilité"),
    "context": Text("Outside conditions (such as the weather)", "Conditions extérieures (comme la météo)"),
    "all": Text("all", "tous"),
}
