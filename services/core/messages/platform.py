"""Texts of the pages Administration and Portal."""

from __future__ import annotations

from services.core.contract.use_case import Text

ADMINISTRATION: dict[str, Text] = {
    "section": Text("What to manage", "À gérer"),
    "users": Text("Users", "Utilisateurs"),
    "centres": Text("Centres", "Centres"),
    "keys": Text("API keys", "Clés d'API"),
    "audit": Text("Audit log", "Journal d'audit"),
    "retention": Text("Retention", "Conservation"),
    "loading": Text("Loading…", "Chargement…"),
    # users
    "name": Text("Name", "Nom"),
    "role": Text("Role", "Rôle"),
    "centre": Text("Centre", "Centre"),
    "sees": Text("Also sees", "Voit aussi"),
    "all": Text("all centres", "tous les centres"),
    "none": Text("–", "–"),
    "state": Text("State", "État"),
    "active": Text("active", "actif"),
    "inactive": Text("may not sign in", "connexion bloquée"),
    "must_change": Text("has to change the password", "doit changer le mot de passe"),
    "created": Text("Since", "Depuis"),
    "add_user": Text("Add a user", "Ajouter un utilisateur"),
    "user_name": Text("User name", "Nom d'utilisateur"),
    "user_name_help": Text("Letters, digits, dots and dashes.", "Lettres, chiffres, points et tirets."),
    "add": Text("Add", "Ajouter"),
    "user_added": Text(
        "{name} can sign in with this password once and has to change it.",
        "{name} peut se connecter une fois avec ce mot de passe et devra le changer.",
    ),
    "shown_once": Text("Shown this once", "Affiché cette seule fois"),
    "shown_once_text": Text(
        "Note it now and hand it over safely: it is kept nowhere.",
        "Notez-le maintenant et transmettez-le de façon sûre : il n'est conservé nulle part.",
    ),
    "noted": Text("I have noted it", "Je l'ai noté"),
    "change_user": Text("Change a user", "Modifier un utilisateur"),
    "user": Text("User", "Utilisateur"),
    "change": Text("Change rights", "Modifier les droits"),
    "change_title": Text("Change {name}?", "Modifier {name} ?"),
    "change_text": Text(
        "{name} becomes {role} of {centre}. The current sign-ins stop counting within seconds and are renewed with the "
        "new rights.",
        "{name} devient {role} de {centre}. Les connexions en cours cessent en quelques secondes et reprennent avec "
        "les nouveaux droits.",
    ),
    "change_admin": Text(
        "An administrator manages users, keys and models.",
        "Un administrateur gère les utilisateurs, les clés et les modèles.",
    ),
    "changed": Text("{name} was changed.", "{name} a été modifié."),
    "deactivate": Text("Deactivate {name}", "Désactiver {name}"),
    "deactivate_title": Text("Deactivate {name}?", "Désactiver {name} ?"),
    "deactivate_text": Text(
        "{name} is signed out everywhere within seconds and cannot sign in. Nothing that they did is removed; you can "
        "activate them again.",
        "{name} est déconnecté partout en quelques secondes et ne peut plus se connecter. Rien de ce qui a été fait "
        "n'est effacé ; vous pourrez réactiver ce compte.",
    ),
    "activate": Text("Activate {name}", "Réactiver {name}"),
    "activate_title": Text("Let {name} sign in again?", "Autoriser de nouveau {name} ?"),
    "activate_text": Text(
        "{name} can sign in with the old password.", "{name} peut se connecter avec l'ancien mot de passe."
    ),
    "reset": Text("Reset the password of {name}", "Réinitialiser le mot de passe de {name}"),
    "reset_title": Text("Make a new password for {name}?", "Créer un nouveau mot de passe pour {name} ?"),
    "reset_text": Text(
        "{name} is signed out everywhere. The new password is shown once and has to be changed at the first sign-in.",
        "{name} est déconnecté partout. Le nouveau mot de passe s'affiche une fois et devra être changé à la première "
        "connexion.",
    ),
    "reset_done": Text("The password of {name} is new.", "Le mot de passe de {name} est nouveau."),
    "yourself": Text("This is your own account.", "C'est votre propre compte."),
    # centres
    "title": Text("Title", "Intitulé"),
    "add_centre": Text("Add a centre", "Ajouter un centre"),
    "centre_name": Text("Short name", "Nom court"),
    "centre_name_help": Text("Small letters, digits and dashes.", "Minuscules, chiffres et tirets."),
    "centre_added": Text("The centre {name} was added.", "Le centre {name} a été ajouté."),
    "for_all_centres": Text(
        "Only administrators of all centres add one.", "Seuls les administrateurs de tous les centres en ajoutent."
    ),
    # keys
    "no_keys": Text("There are no API keys yet.", "Il n'y a pas encore de clés d'API."),
    "no_keys_text": Text(
        "A dispatch centre's system calls the platform with a key of its own.",
        "Le système d'un centre d'appels appelle la plateforme avec sa propre clé.",
    ),
    "id": Text("Key", "Clé"),
    "use_cases": Text("Use cases", "Cas d'usage"),
    "every_use_case": Text("all", "tous"),
    "expires": Text("Until (UTC)", "Jusqu'au (UTC)"),
    "last_used": Text("Last used (UTC)", "Dernier usage (UTC)"),
    "uses": Text("Uses", "Usages"),
    "never": Text("never", "jamais"),
    "in_force": Text("in force", "valable"),
    "revoked": Text("revoked", "révoquée"),
    "expired": Text("expired", "expirée"),
    "add_key": Text("Make a key", "Créer une clé"),
    "key_name": Text("What it is for", "À quoi elle sert"),
    "key_days": Text("Days until it ends", "Jours avant son terme"),
    "key_use_cases": Text("For these use cases (none: all)", "Pour ces cas d'usage (aucun : tous)"),
    "key_made": Text("The key {id} works within seconds.", "La clé {id} fonctionne en quelques secondes."),
    "change_key": Text("Replace or revoke a key", "Remplacer ou révoquer une clé"),
    "overlap": Text("Hours that the old key still works", "Heures pendant lesquelles l'ancienne clé fonctionne"),
    "rotate": Text("Replace {name}", "Remplacer {name}"),
    "rotate_title": Text("Make a successor of {name}?", "Créer un successeur de {name} ?"),
    "rotate_text": Text(
        "A new key with the same rights is made and shown once. The old one works for {hours} hours more, so that the "
        "centre changes over without a refused call.",
        "Une nouvelle clé aux mêmes droits est créée et affichée une fois. L'ancienne marche encore {hours} heures, "
        "pour que le centre change sans appel refusé.",
    ),
    "revoke": Text("Revoke {name}", "Révoquer {name}"),
    "revoke_title": Text("Revoke {name}?", "Révoquer {name} ?"),
    "revoke_text": Text(
        "Within seconds every call with this key is refused, for good. {uses} calls were made with it so far.",
        "En quelques secondes, tout appel avec cette clé est refusé, définitivement. Elle a servi {uses} fois.",
    ),
    "revoke_done": Text("{name} was revoked.", "{name} est révoquée."),
    "no_live_keys": Text("No key is in force.", "Aucune clé n'est valable."),
    # audit
    "actor": Text("Who (exact name)", "Qui (nom exact)"),
    "action": Text("What (such as login.*)", "Quoi (par exemple login.*)"),
    "use_case": Text("Use case", "Cas d'usage"),
    "outcome": Text("Outcome", "Résultat"),
    "outcome_any": Text("any", "tous"),
    "outcome_ok": Text("done", "fait"),
    "outcome_refused": Text("refused", "refusé"),
    "outcome_failed": Text("failed", "échoué"),
    "from": Text("From", "Du"),
    "to": Text("To", "Au"),
    "when": Text("When (UTC)", "Quand (UTC)"),
    "who": Text("Who", "Qui"),
    "what": Text("What", "Quoi"),
    "target": Text("On what", "Sur quoi"),
    "details": Text("Details", "Détails"),
    "no_entries": Text("No entry matches.", "Aucune entrée ne correspond."),
    "older": Text("Older", "Plus anciennes"),
    "newest": Text("Newest", "Plus récentes"),
    "verify": Text("Verify the log", "Vérifier le journal"),
    "verify_text": Text(
        "Reads every entry against its hash, its place and the signed end.",
        "Relit chaque entrée avec son empreinte, sa place et la fin signée.",
    ),
    "intact": Text("The log is intact", "Le journal est intact"),
    "intact_text": Text(
        "{entries} entries. Note this elsewhere; it proves later that nothing changed up to here: {mark}",
        "{entries} entrées. Notez ceci ailleurs ; cela prouvera plus tard que rien n'a changé jusqu'ici : {mark}",
    ),
    "broken": Text("The log was tampered with", "Le journal a été altéré"),
    "broken_text": Text(
        "Keep the database as it is and tell who is responsible.",
        "Gardez la base de données en l'état et prévenez les responsables.",
    ),
    # retention
    "days": Text("Calls and outcomes are kept", "Appels et résultats conservés"),
    "days_n": Text("{days} days", "{days} jours"),
    "for_ever": Text("for ever", "sans limite"),
    "places": Text("Places and free text", "Lieux et texte libre"),
    "as_said": Text("as they were said", "tels que donnés"),
    "pseudonyms": Text("pseudonyms", "pseudonymes"),
    "jobs_days": Text("Finished jobs are kept {days} days.", "Les tâches terminées sont conservées {days} jours."),
    "retention_last": Text(
        "It was last done {when}, and is alerted on where it was not for two days.",
        "Effectué pour la dernière fois {when} ; une alerte part sinon au bout de deux jours.",
    ),
    "retention_never": Text("It was not done yet.", "Cela n'a pas encore été fait."),
    "retention_text": Text(
        "What is older is removed every night. These are settings of the machine (VIGIE_CALLS_RETENTION_DAYS, "
        "VIGIE_CALLS_PSEUDONYMISE) and are changed there.",
        "Ce qui est plus ancien est supprimé chaque nuit. Ce sont des réglages de la machine "
        "(VIGIE_CALLS_RETENTION_DAYS, VIGIE_CALLS_PSEUDONYMISE), à changer là.",
    ),
}


PORTAL: dict[str, Text] = {
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
