"""What the page says: portal."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {
    "loading": Text("Asking every part…", "Interrogation de chaque partie…"),
    "all_well": Text("Every part answers", "Toutes les parties répondent"),
    "not_well": Text("Not everything is well: {parts}", "Tout ne va pas bien : {parts}"),
    "calls_first": Text(
        "Calls are answered as long as prediction is up; the other parts may be away for a while.",
        "Les appels reçoivent une réponse tant que la prédiction fonctionne ; les autres parties peuvent s'absenter.",
    ),
    "pages": Text("Pages", "Pages"),
    "services": Text("Services", "Services"),
    "open": Text("Open: {name}", "Ouvrir : {name}"),
    "state_up": Text("up", "en marche"),
    "state_degraded": Text("degraded", "dégradé"),
    "state_down": Text("down", "arrêté"),
    "state_absent": Text("not installed", "non installé"),
    "in_ms": Text("answered in {ms} ms", "a répondu en {ms} ms"),
    "reason_degraded": Text("not well: {reason}", "en difficulté : {reason}"),
    "reason_down": Text("no good answer ({reason})", "pas de bonne réponse ({reason})"),
    "looked": Text("Asked at {at} UTC, again every {seconds} s.", "Interrogé à {at} UTC, puis toutes les {seconds} s."),
    "part_prediction": Text("Prediction: answers calls", "Prédiction : répond aux appels"),
    "part_prediction_page": Text("API for calls", "API des appels"),
    "part_gateway": Text("Gateway: who may do what", "Passerelle : qui peut faire quoi"),
    "part_gateway_page": Text("API for administration", "API d'administration"),
    "part_mlflow": Text("MLflow: models and their runs", "MLflow : modèles et entraînements"),
    "part_airflow": Text("Airflow: pipelines and their schedules", "Airflow : chaînes et horaires"),
    "part_grafana": Text("Grafana: dashboards of figures", "Grafana : tableaux de mesures"),
    "part_prometheus": Text("Prometheus: figures and rules", "Prometheus : mesures et règles"),
    "part_alertmanager": Text("Alertmanager: alerts", "Alertmanager : alertes"),
    "part_ingestion": Text("Ingestion: files into tables", "Ingestion : des fichiers aux tables"),
    "part_preprocessing": Text("Preprocessing: tables into examples", "Prétraitement : des tables aux exemples"),
    "part_training": Text("Training: examples into models", "Entraînement : des exemples aux modèles"),
    "part_drift": Text("Monitoring of drift and quality", "Surveillance de la dérive et de la qualité"),
    "part_simulator": Text("Simulator: plays control rooms", "Simulateur : joue des centres d'appels"),
    # simulator
    "simulator": Text("Simulator", "Simulateur"),
    "no_simulator": Text(
        "There is no simulator here, or it does not answer.", "Pas de simulateur ici, ou sans réponse."
    ),
    "simulator_text": Text(
        "Plays control rooms against this platform. All that it sends is marked as simulated and never mixes into real "
        "quality or training.",
        "Joue des centres d'appels sur cette plateforme. Tout ce qu'il envoie est marqué comme simulé et ne se mêle "
        "jamais à la qualité ni à l'apprentissage réels.",
    ),
    "scenario": Text("Scenario", "Scénario"),
    "scenario_quiet-night": Text("A quiet night", "Une nuit calme"),
    "scenario_storm": Text("A storm: a burst of calls", "Une tempête : un afflux d'appels"),
    "scenario_new-roads": Text("New roads: gradual drift", "Nouvelles routes : dérive lente"),
    "scenario_station-closed": Text("A closed station: sudden drift", "Une caserne fermée : dérive soudaine"),
    "scenario_bad-client": Text("A bad client: broken requests", "Un mauvais client : requêtes cassées"),
    "scenario_rush": Text("A rush: the highest steady rate", "Une ruée : le débit maximal constant"),
    "rate": Text("Calls per second (0: as the scenario says)", "Appels par seconde (0 : selon le scénario)"),
    "seconds": Text("Seconds (0: as the scenario says)", "Secondes (0 : selon le scénario)"),
    "only": Text("Only these use cases (none: all)", "Seulement ces cas d'usage (aucun : tous)"),
    "start": Text("Start the simulation", "Lancer la simulation"),
    "start_title": Text("Start “{scenario}”?", "Lancer « {scenario} » ?"),
    "start_text": Text(
        "Simulated calls come to this very platform, beside real ones, until it ends or you stop it. They are marked "
        "from end to end.",
        "Des appels simulés arrivent sur cette plateforme même, à côté des vrais, jusqu'à la fin ou votre arrêt. Ils "
        "sont marqués de bout en bout.",
    ),
    "start_heavy": Text(
        "It sends many calls: real ones may be answered more slowly meanwhile.",
        "Il envoie beaucoup d'appels : les vrais peuvent attendre un peu plus pendant ce temps.",
    ),
    "started": Text("The simulation has started.", "La simulation a commencé."),
    "stop": Text("Stop this simulation", "Arrêter cette simulation"),
    "stop_title": Text("Stop “{scenario}”?", "Arrêter « {scenario} » ?"),
    "stop_text": Text(
        "No more calls are sent. What was sent stays, marked as simulated.",
        "Plus aucun appel n'est envoyé. Ce qui a été envoyé reste, marqué comme simulé.",
    ),
    "stopped": Text("The simulation is being stopped.", "La simulation s'arrête."),
    "played": Text("Played so far", "Déjà joué"),
    "none_played": Text("Nothing was played yet.", "Rien n'a encore été joué."),
    "run_state": Text("State", "État"),
    "run_preparing": Text("preparing", "préparation"),
    "run_running": Text("running", "en cours"),
    "run_ending": Text("ending", "se termine"),
    "run_finished": Text("finished", "terminée"),
    "run_stopped": Text("stopped", "arrêtée"),
    "run_failed": Text("failed", "échouée"),
    "by": Text("By", "Par"),
    "calls": Text("Calls answered / sent", "Appels répondus / envoyés"),
    "rate_now": Text("Per second now", "Par seconde"),
    "p50": Text("Median latency", "Latence médiane"),
    "p99": Text("99th percentile", "99e centile"),
    "failures": Text("Failed", "Échecs"),
    "begun": Text("Begun (UTC)", "Début (UTC)"),
}
