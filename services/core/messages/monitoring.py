"""Reasons and actions of drift monitoring. The codes are stored with monitoring runs and label quarantines."""

from __future__ import annotations

from services.core.contract.use_case import Text

MONITORING: dict[str, Text] = {
    # --- fragments of the sentences below
    "all_calls": Text("All calls", "Tous les appels"),
    "segment": Text("{title} {value}", "{title} {value}"),
    "answer": Text("the answer '{title}'", "la réponse « {title} »"),
    "since_moment": Text("since {since:moment} UTC", "depuis le {since:moment} UTC"),
    "whole_window": Text("during the whole window", "sur toute la fenêtre"),
    "not_lasting": Text("{when}; not for long enough yet", "{when} ; pas encore assez longtemps"),
    "since_day": Text(" since {since:day}", " depuis le {since:day}"),
    "no_day": Text("", ""),
    "quantity": Text("{value:significant.3} {unit}", "{value:significant.3}\u202f{unit}"),
    "score": Text("{value:number.3}", "{value:number.3}"),
    "loss_mae": Text("mean error", "erreur moyenne"),
    "loss_brier": Text("Brier score", "score de Brier"),
    "loss_log_loss": Text("log loss", "perte logarithmique"),
    "longer": Text("longer", "plus long"),
    "shorter": Text("shorter", "plus court"),
    "effect_unknown": Text(
        "Too few outcomes are known to say what it does to the error.",
        "Trop peu de retours sont connus pour en dire l'effet sur l'erreur.",
    ),
    "effect_error_grew": Text("The error has grown at the same time.", "L'erreur a augmenté en même temps."),
    "effect_within_limits": Text("The error is within its limits.", "L'erreur reste dans ses limites."),
    # --- reasons of a verdict
    "no_model": Text("No model serves yet.", "Aucun modèle n'est encore en service."),
    "too_few_calls": Text(
        "{calls:number} calls in the window are too few; {needed:number} are needed.",
        "{calls:number} appels dans la fenêtre ne suffisent pas ; il en faut {needed:number}.",
    ),
    "error": Text(
        "{where}: the {loss} of '{target}' is {value} instead of {reference} ({rise:signed_percent}) on {count:number} "
        "calls, {when}.",
        "{where} : {loss} de « {target} » : {value} au lieu de {reference} ({rise:signed_percent}) sur {count:number} "
        "appels, {when}.",
    ),
    "bias": Text(
        "{where}: the model says {predicted:percent} for '{target}' and it was {observed:percent}, on {count:number} "
        "calls, {when}.",
        "{where} : le modèle dit {predicted:percent} pour « {target} », c'était {observed:percent}, sur {count:number} "
        "appels, {when}.",
    ),
    "missing": Text(
        "{column} is missing in {current:percent} of the calls{since}, usually in {usual:percent}. {effect}",
        "{column} manque dans {current:percent} des appels{since}, d'ordinaire dans {usual:percent}. {effect}",
    ),
    "unseen": Text(
        "{column}: {current:percent} of the calls{since} have a value that the model never saw. {effect}",
        "{column} : {current:percent} des appels{since} portent une valeur que le modèle n'a jamais vue. {effect}",
    ),
    "distribution": Text(
        "{column} is distributed otherwise than in training{since} (distance {distance:number.2}, "
        "{threshold:number.2} is usual at most). {effect}",
        "{column} n'est plus réparti comme à l'apprentissage{since} (distance {distance:number.2}, au plus "
        "{threshold:number.2} d'ordinaire). {effect}",
    ),
    "volume": Text(
        "{recent:number} calls came in the last 24 hours, usually {usual:number} a day.",
        "{recent:number} appels ces dernières 24 heures, d'ordinaire {usual:number} par jour.",
    ),
    "error_estimated": Text(
        "'{target}': the answers are less sure than on the test rows; an error {rise:signed_percent} is estimated, its "
        "truth not yet known.",
        "« {target} » : les réponses sont moins sûres que sur les données de test ; une erreur de "
        "{rise:signed_percent} est estimée, la vérité n'est pas encore connue.",
    ),
    "worse_than_before": Text(
        "On the same {count:number} calls its {loss} of '{target}' is {new:significant.4}, that of version {version} "
        "before it {old:significant.4}.",
        "Sur les mêmes {count:number} appels, {loss} de « {target} » : {new:significant.4}, contre "
        "{old:significant.4} pour la version {version} précédente.",
    ),
    # --- centres with quarantined outcomes
    "labels_unconnected": Text(
        "Outcomes of {centre} no longer go with the calls: the rank correlation of {target} with what was answered is "
        "{now:number.2}, usually {usual:number.2}. They look mixed up, and are not learned from.",
        "Les retours de {centre} ne correspondent plus aux appels : la corrélation de rang de {target} avec les "
        "réponses est de {now:number.2}, d'ordinaire {usual:number.2}. Ils semblent mélangés et ne servent plus à "
        "l'apprentissage.",
    ),
    "labels_shifted": Text(
        "All outcomes of {centre} are off by the same amount: {target} is {shift:number} {unit} {direction} than what "
        "was answered, on short and long calls alike, and other centres' are not. It looks like a clock or a "
        "definition, and they are not learned from.",
        "Tous les retours de {centre} sont décalés d'autant : {target} est {direction} de {shift:number}\u202f{unit} "
        "que la réponse, sur les appels courts comme sur les longs, et pas dans les autres centres. Cela ressemble à "
        "une horloge ou à une définition ; ils ne servent plus à l'apprentissage.",
    ),
    "outcomes_unmatched": Text(
        "{count:number} of {reports:number} outcomes that {centre} reported belong to no call that was answered "
        "before: its ids are written otherwise there, or its calls do not come here.",
        "{count:number} retours sur {reports:number} de {centre} ne correspondent à aucun appel traité auparavant : "
        "les identifiants y sont écrits autrement, ou ses appels n'arrivent pas ici.",
    ),
    # --- actions
    "no_action": Text("Nothing was done.", "Rien n'a été fait."),
    "retraining": Text(
        "A retraining was started, with {outcomes:number} outcomes since the change among its rows; the gate decides.",
        "Un réentraînement a été lancé, avec {outcomes:number} retours depuis le changement ; le contrôle décide.",
    ),
    "retraining_refused": Text("No retraining: {problem}", "Pas de réentraînement : {problem}"),
    "retraining_failed": Text(
        "A retraining is called for and could not be started: {problem}",
        "Un réentraînement s'impose et n'a pas pu être lancé : {problem}",
    ),
    "retraining_frozen": Text(
        "No retraining: promotions are frozen by {by} ({reason}).",
        "Pas de réentraînement : les promotions sont gelées par {by} ({reason}).",
    ),
    "retraining_under_way": Text(
        "No retraining: a retraining of {use_case} that began at {begun} UTC has not ended.",
        "Pas de réentraînement : celui de {use_case}, lancé le {begun} UTC, n'est pas terminé.",
    ),
    "retraining_lacks_outcomes": Text(
        "No retraining yet: {outcomes:number} outcomes since the change are too few to learn from; {needed:number} are "
        "needed.",
        "Pas encore de réentraînement : {outcomes:number} retours depuis le changement ne suffisent pas ; il en faut "
        "{needed:number}.",
    ),
    "retraining_cooldown": Text(
        "No retraining: the last one was started {hours:number} h ago, {needed:significant.3} h have to pass.",
        "Pas de réentraînement : le dernier a été lancé il y a {hours:number} h, il faut attendre "
        "{needed:significant.3} h.",
    ),
    "retraining_daily_limit": Text(
        "No retraining: {limit:number} were started within 24 hours, which is the limit.",
        "Pas de réentraînement : {limit:number} ont été lancés en 24 heures, c'est la limite.",
    ),
    "rollback": Text(
        "Version {version} was rolled back to version {old}. {reason}",
        "Retour de la version {version} à la version {old}. {reason}",
    ),
    "rollback_failed": Text(
        "Version {version} should be rolled back, and that failed: {problem}",
        "La version {version} devrait être retirée, et cela a échoué : {problem}",
    ),
}
