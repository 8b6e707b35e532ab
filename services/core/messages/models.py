"""Texts of the page Models and of the printed fallback pages."""

from __future__ import annotations

from services.core.contract.use_case import Text

MODELS: dict[str, Text] = {
    "title": Text("Models", "Modèles"),
    "loading": Text("Fetching the versions…", "Chargement des versions…"),
    "none": Text("There is no model yet.", "Il n'y a pas encore de modèle."),
    "none_text": Text(
        "Until the first training has passed the gate, calls are answered by the declared baseline. An operator starts "
        "a training on the page Data and retraining.",
        "Tant que le premier entraînement n'a pas passé le contrôle, les appels reçoivent la référence déclarée. Un "
        "exploitant lance un entraînement sur la page Données et réentraînement.",
    ),
    "serving": Text("Version {number} answers calls", "La version {number} répond aux appels"),
    "serving_since": Text("since {at}", "depuis le {at}"),
    "no_champion": Text(
        "No version answers calls: the baseline does.", "Aucune version ne répond aux appels : la référence répond."
    ),
    "made": Text("Made", "Créée"),
    "version": Text("Version", "Version"),
    "version_n": Text("Version {number}", "Version {number}"),
    "the_version": Text("version {number}", "la version {number}"),
    "the_baseline": Text("the baseline", "la référence"),
    "role": Text("Role", "Rôle"),
    "data": Text("Data", "Données"),
    "gate": Text("Gate", "Contrôle"),
    "champion": Text("champion", "championne"),
    "challenger": Text("challenger", "candidate"),
    "previous": Text("previous champion", "championne précédente"),
    "rolled_back": Text("rolled back", "retirée"),
    "real": Text("real", "réelles"),
    "simulated": Text("simulated", "simulées"),
    "simulated_long": Text("Made from simulated data", "Faite de données simulées"),
    "gate_passed": Text("passed", "accepté"),
    "gate_refused": Text("refused", "refusé"),
    "gate_unchanged": Text("unchanged", "inchangé"),
    "gate_none": Text("not judged", "non jugé"),
    "versions": Text("Versions, newest first", "Versions, la plus récente d'abord"),
    "choose": Text("Look at version", "Examiner la version"),
    "section": Text("What to look at", "À examiner"),
    "decision": Text("Decision", "Décision"),
    "metrics": Text("Metrics", "Mesures"),
    "plots": Text("Plots", "Graphiques"),
    "card": Text("Model card", "Fiche du modèle"),
    "changes": Text("What changed", "Ce qui a changé"),
    "decided_passed": Text("The gate let this version pass.", "Le contrôle a accepté cette version."),
    "decided_refused": Text("The gate refused this version.", "Le contrôle a refusé cette version."),
    "decided_unchanged": Text("This version was the champion already.", "Cette version était déjà la championne."),
    "decided_none": Text("The gate has not judged this version.", "Le contrôle n'a pas encore jugé cette version."),
    "decided_on": Text(
        "{what}: {new} against {old} of {other}, on {rows} test rows.",
        "{what} : {new} contre {old} pour {other}, sur {rows} lignes de test.",
    ),
    "gained": Text(
        "Better by {gain}; at 95 % certainty by at least {bound}.",
        "Mieux de {gain} ; avec 95 % de certitude, d'au moins {bound}.",
    ),
    "lost": Text(
        "Worse by {gain}; at 95 % certainty the gain is no less than {bound}.",
        "Moins bien de {gain} ; avec 95 % de certitude, le gain n'est pas inférieur à {bound}.",
    ),
    "own_words": Text("In the gate's own words", "Le contrôle, dans ses propres termes (anglais)"),
    "guards": Text("What must not get worse", "Ce qui ne doit pas se dégrader"),
    "guard": Text("Measured on", "Mesuré sur"),
    "metric": Text("Metric", "Mesure"),
    "new": Text("New", "Nouveau"),
    "old": Text("Before", "Avant"),
    "allowed": Text("May lose", "Perte admise"),
    "kept": Text("kept", "respecté"),
    "exceeded": Text("worse than allowed", "au-delà de l'admis"),
    "by_chance": Text("may be chance", "peut être le hasard"),
    "all_kept": Text(
        "Nothing got worse by more than is allowed, beyond chance.",
        "Rien ne s'est dégradé au-delà de l'admis, hasard mis à part.",
    ),
    "every_check": Text("All {count} checks", "Les {count} vérifications"),
    "outcome": Text("Result", "Résultat"),
    "weight": Text(
        "It takes {latency} for one call and {size} on disk.", "Il prend {latency} par appel et {size} sur disque."
    ),
    "on_rows": Text("Measured on {rows} test rows.", "Mesuré sur {rows} lignes de test."),
    "model": Text("Model", "Modèle"),
    "baseline": Text("Baseline", "Référence"),
    "target": Text("Target", "Cible"),
    "known_less": Text("{title}, told less", "{title}, en sachant moins"),
    "no_metrics": Text("This version has no metrics.", "Cette version n'a pas de mesures."),
    "omitted": Text("Not measured: {what}", "Non mesuré : {what}"),
    "groups": Text("By group", "Par groupe"),
    "groups_by": Text("Groups by", "Groupes par"),
    "group": Text("Group", "Groupe"),
    "rows": Text("Rows", "Lignes"),
    "no_plots": Text("This version has no plots.", "Cette version n'a pas de graphiques."),
    "plots_english": Text("", "Les graphiques sont conservés avec la version, en anglais."),
    "plot_residuals": Text(
        "How far off, and in which direction: actual minus predicted",
        "De combien et dans quel sens : réel moins prévu",
    ),
    "plot_coverage": Text("Whether the interval keeps its promise", "Si l'intervalle tient sa promesse"),
    "plot_calibration": Text(
        "Calibration: how often what is said comes true", "Calibration : la fréquence réelle de ce qui est annoncé"
    ),
    "plot_precision-recall": Text("Precision and recall", "Précision et rappel"),
    "plot_classes": Text("Which class is taken for which", "Quelle classe est prise pour quelle autre"),
    "plot_importance": Text("What the answers rest on", "Ce sur quoi reposent les réponses"),
    "no_card": Text("This version has no model card.", "Cette version n'a pas de fiche."),
    "card_english": Text("", "La fiche est conservée avec la version, en anglais."),
    "compare_with": Text("Compare with", "Comparer avec"),
    "alone": Text("There is no other version to compare with.", "Il n'y a pas d'autre version à comparer."),
    "nothing_changed": Text("Nothing", "Rien"),
    "change": Text("Change", "Écart"),
    "better_by": Text("better by {by}", "mieux de {by}"),
    "worse_by": Text("worse by {by}", "moins bien de {by}"),
    "same": Text("the same", "identique"),
    "changed_metrics": Text("Metrics, each on its own test rows", "Mesures, chacune sur ses propres lignes de test"),
    "changed_data": Text("Data", "Données"),
    "changed_parameters": Text("Parameters", "Paramètres"),
    "changed_versions": Text("Software", "Logiciels"),
    "what": Text("What", "Quoi"),
    "unchanged": Text("No difference.", "Aucune différence."),
    "slice": Text("{target}, {slice}", "{target}, {slice}"),
    "slice_rows": Text("{rows} rows", "{rows} lignes"),
    "slice_span": Text("{rows} rows, {first} to {last}", "{rows} lignes, du {first} au {last}"),
    "slice_train": Text("training", "apprentissage"),
    "slice_calibrate": Text("calibration", "calibration"),
    "slice_test": Text("test", "test"),
    # actions
    "actions": Text("What you can do", "Ce que vous pouvez faire"),
    "promote": Text("Promote version {number}", "Promouvoir la version {number}"),
    "promote_title": Text("Let version {number} answer calls?", "Faire répondre la version {number} aux appels ?"),
    "promote_text": Text(
        "Within seconds every call of “{title}” is answered by version {number} instead of {old}.",
        "En quelques secondes, chaque appel de « {title} » reçoit la réponse de la version {number} au lieu de {old}.",
    ),
    "promote_refused": Text(
        "The gate refused this version; you promote it past the gate.",
        "Le contrôle a refusé cette version ; vous passez outre.",
    ),
    "promote_unjudged": Text(
        "The gate has not judged this version; you promote it past the gate.",
        "Le contrôle n'a pas jugé cette version ; vous passez outre.",
    ),
    "promote_simulated": Text(
        "It was made from simulated data: its answers say nothing about real calls.",
        "Elle est faite de données simulées : ses réponses ne disent rien des vrais appels.",
    ),
    "promote_back": Text("You can roll back to {old} at any time.", "Vous pourrez revenir à {old} à tout moment."),
    "promoted": Text("Version {number} answers calls now.", "La version {number} répond maintenant aux appels."),
    "roll_back": Text("Roll back to version {number}", "Revenir à la version {number}"),
    "roll_back_title": Text("Go back to version {number}?", "Revenir à la version {number} ?"),
    "roll_back_text": Text(
        "Within seconds every call of “{title}” is answered by version {number} again. Version {old} is marked as "
        "rolled back, and the gate will not promote it again.",
        "En quelques secondes, chaque appel de « {title} » reçoit de nouveau la réponse de la version {number}. La "
        "version {old} est marquée comme retirée et le contrôle ne la promouvra plus.",
    ),
    "rolled": Text("Version {number} answers calls again.", "La version {number} répond de nouveau aux appels."),
    "goes_on": Text(
        "It was started and is not finished yet; the page Data and retraining shows how it goes on.",
        "C'est lancé et pas encore terminé ; la page Données et réentraînement en montre la suite.",
    ),
    "did_not": Text("It did not work: {problem}", "Cela n'a pas fonctionné : {problem}"),
    "frozen": Text("Promotions are frozen", "Les promotions sont gelées"),
    "frozen_text": Text(
        "By {by} since {since}: {reason}. No model is promoted until this is lifted; rolling back stays possible.",
        "Par {by} depuis le {since} : {reason}. Aucun modèle n'est promu d'ici la levée ; revenir en arrière reste "
        "possible.",
    ),
    "stop": Text("Emergency stop: withdraw advice", "Arrêt d'urgence : retirer les conseils"),
    "stop_what": Text("What to withdraw in an emergency", "Ce qu'il faut retirer en cas d'urgence"),
    "stop_all": Text("the whole use case", "tout le cas d'usage"),
    "stop_title": Text("Withdraw the advice at once?", "Retirer les conseils immédiatement ?"),
    "stop_text": Text(
        "{title}, {what}: within two seconds every answer says that it is withdrawn and holds no figure of the model, "
        "in all centres, until it is lifted.",
        "{title}, {what} : en deux secondes, chaque réponse indique le retrait et ne contient aucun chiffre du modèle, "
        "dans tous les centres, jusqu'à la levée.",
    ),
    "stopped": Text("The advice is withdrawn.", "Les conseils sont retirés."),
    "restore": Text("Restore the advice: {what}", "Rétablir les conseils : {what}"),
    "restore_title": Text("Restore the advice?", "Rétablir les conseils ?"),
    "restore_text": Text(
        "Within two seconds the model answers again, in all centres.",
        "En deux secondes, le modèle répond de nouveau, dans tous les centres.",
    ),
    "restored": Text("The advice is restored.", "Les conseils sont rétablis."),
    "freeze": Text("Freeze promotions", "Geler les promotions"),
    "freeze_title": Text("Freeze promotions of all use cases?", "Geler les promotions de tous les cas d'usage ?"),
    "freeze_text": Text(
        "Until an administrator lifts it, no model is promoted, by nobody and no run. Calls are answered as before, "
        "and rolling back stays possible.",
        "Tant qu'un administrateur ne lève pas le gel, aucun modèle n'est promu, ni par une personne ni par un "
        "traitement. Les appels reçoivent les mêmes réponses, et revenir en arrière reste possible.",
    ),
    "froze": Text("Promotions are frozen.", "Les promotions sont gelées."),
    "thaw": Text("Lift the freeze", "Lever le gel"),
    "thaw_title": Text("Let promotions go on?", "Reprendre les promotions ?"),
    "thaw_text": Text(
        "From now on a model that passes the gate is promoted again, of every use case.",
        "Dès maintenant, un modèle accepté par le contrôle est de nouveau promu, pour tous les cas d'usage.",
    ),
    "thawed": Text("Promotions go on.", "Les promotions reprennent."),
    "waits": Text("A retraining waits for your word", "Un réentraînement attend votre accord"),
    "waits_text": Text(
        "Started by {by} on {at}. The gate passed its model; it is promoted when you approve.",
        "Lancé par {by} le {at}. Le contrôle a accepté son modèle ; il est promu si vous approuvez.",
    ),
    "approve": Text("Approve", "Approuver"),
    "approve_title": Text("Approve this retraining?", "Approuver ce réentraînement ?"),
    "approve_text": Text(
        "{version} is promoted as soon as the run goes on: within seconds it answers every call of “{title}”.",
        "{version} est promue dès que le traitement reprend : en quelques secondes elle répond à chaque appel de "
        "« {title} ».",
    ),
    "its_model": Text("The model that waits", "Le modèle en attente"),
    "approved": Text("Approved. The promotion is under way.", "Approuvé. La promotion est en cours."),
    "reject": Text("Reject", "Rejeter"),
    "reject_title": Text("Reject this retraining?", "Rejeter ce réentraînement ?"),
    "reject_text": Text(
        "The run ends without a promotion. Its version stays in the list and can be promoted by hand later.",
        "Le traitement se termine sans promotion. Sa version reste dans la liste et pourra être promue à la main.",
    ),
    "rejected": Text("Rejected. Nothing was promoted.", "Rejeté. Rien n'a été promu."),
    "admin_only": Text(
        "Promoting by hand and rolling back are for administrators.",
        "Promouvoir à la main et revenir en arrière sont réservés aux administrateurs.",
    ),
    # metrics
    "metric_mae": Text("mean error", "erreur moyenne"),
    "metric_rmse": Text("root mean square error", "erreur quadratique moyenne"),
    "metric_r2": Text("explained variance (R²)", "variance expliquée (R²)"),
    "metric_mean_width": Text("mean width of the interval", "largeur moyenne de l'intervalle"),
    "metric_coverage": Text("outcomes inside the interval", "résultats dans l'intervalle"),
    "metric_roc_auc": Text("ranking (ROC AUC)", "classement (ROC AUC)"),
    "metric_pr_auc": Text("average precision (PR AUC)", "précision moyenne (PR AUC)"),
    "metric_brier": Text("Brier score", "score de Brier"),
    "metric_log_loss": Text("log loss", "perte logarithmique"),
    "metric_ece": Text("calibration error", "erreur de calibration"),
    "metric_f1": Text("F1", "F1"),
    "metric_f1_weighted": Text("F1, weighted", "F1 pondéré"),
    "metric_f1_macro": Text("F1, mean of classes", "F1, moyenne des classes"),
    "metric_precision": Text("precision", "précision"),
    "metric_recall": Text("recall", "rappel"),
    "metric_accuracy": Text("right answers", "réponses justes"),
    "metric_cost": Text("mean cost of decisions", "coût moyen des décisions"),
}

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
