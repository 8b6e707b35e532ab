"""What the page Call says."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {
    "one": Text("One call", "Un appel"),
    "many": Text("Many calls from a file", "Plusieurs appels depuis un fichier"),
    "what": Text("What the caller says", "Ce que dit l'appelant"),
    "where": Text("Where", "Où"),
    "map_help": Text(
        "Click on the map, choose a known place, or give coordinates.",
        "Cliquez sur la carte, choisissez un lieu connu, ou donnez des coordonnées.",
    ),
    "map_help_named": Text(
        "Click on a place of the map, or choose it.", "Cliquez sur un lieu de la carte, ou choisissez-le."
    ),
    "known_place": Text("Known place", "Lieu connu"),
    "no_place": Text("Go to a known place", "Aller à un lieu connu"),
    "degrees": Text("Or latitude and longitude", "Ou latitude et longitude"),
    "clock": Text("Time", "Heure"),
    "choose": Text("Choose, or leave empty", "Choisir, ou laisser vide"),
    "choose_or_type": Text("Choose or type", "Choisir ou saisir"),
    "more": Text("More, if known ({count})", "Plus de détails, si connus ({count})"),
    "incident": Text("Incident number", "Numéro d'intervention"),
    "incident_help": Text(
        "The centre's own number: the same number again is the same call.",
        "Le numéro propre au centre : le même numéro désigne le même appel.",
    ),
    "ask": Text("Answer", "Répondre"),
    "asking": Text("Asking the model …", "Interrogation du modèle …"),
    "fix_first": Text("To be completed first", "À compléter d'abord"),
    "changed": Text(
        "The form has changed since this answer. Press “Answer” again.",
        "Le formulaire a changé depuis cette réponse. Appuyez de nouveau sur « Répondre ».",
    ),
    "nothing_yet": Text("No answer yet", "Pas encore de réponse"),
    "nothing_yet_text": Text(
        "Fill in what the caller said and press “Answer”. Empty fields are fine.",
        "Saisissez ce que dit l'appelant et appuyez sur « Répondre ». Les champs vides sont permis.",
    ),
    "fault_missing": Text("Needed.", "Nécessaire."),
    "fault_bounds": Text("Allowed: {bounds}.", "Autorisé : {bounds}."),
    "fault_long": Text("At most {longest} characters.", "{longest} caractères au plus."),
    "fault_word": Text("Not one of the allowed words.", "Ce mot n'est pas autorisé."),
    "fault_type": Text("This is not of the expected kind.", "Ce n'est pas du type attendu."),
    "fault_unknown": Text("This field is not known.", "Ce champ n'est pas connu."),
    "image_large": Text("This picture is too large.", "Cette image est trop volumineuse."),
    "image_preview": Text("What will be sent", "Ce qui sera envoyé"),
    # --- the answer
    "not_to_rely_on": Text("Do not rely on this answer", "Ne vous fiez pas à cette réponse"),
    "you_decide": Text("You decide. Why:", "C'est vous qui décidez. Pourquoi :"),
    "why_baseline": Text(
        "No model is in service: these are published averages.",
        "Aucun modèle n'est en service : ce sont des moyennes publiées.",
    ),
    "why_simulated": Text("The model learned from simulated data.", "Le modèle a appris sur des données simulées."),
    "why_failed": Text(
        "The model failed on this call; published averages were given instead.",
        "Le modèle a échoué sur cet appel ; des moyennes publiées sont données à la place.",
    ),
    "why_outside": Text(
        "“{field}” lies outside of what the model has learned from.",
        "« {field} » sort de ce que le modèle a appris.",
    ),
    "why_unseen": Text(
        "“{field}” has a value that the model has never met.",
        "« {field} » a une valeur que le modèle n'a jamais rencontrée.",
    ),
    "why_wide": Text(
        "The interval of “{target}” is as wide as that of published averages.",
        "L'intervalle de « {target} » est aussi large que celui de moyennes publiées.",
    ),
    "why_context": Text(
        "Outside conditions (such as the weather) are not known at the moment.",
        "Les conditions extérieures (comme la météo) ne sont pas connues actuellement.",
    ),
    "surer_with": Text("It would be surer with: {fields}", "Elle serait plus sûre avec : {fields}"),
    "assured": Text("Between {low} and {high}, nine times in ten", "Entre {low} et {high}, neuf fois sur dix"),
    "objective_kept": Text("within the objective of {objective}", "dans l'objectif de {objective}"),
    "objective_missed": Text("beyond the objective of {objective}", "au-delà de l'objectif de {objective}"),
    "objective_mark": Text("objective {objective}", "objectif {objective}"),
    "p_never": Text("almost certainly not", "presque certainement pas"),
    "p_very_unlikely": Text("very unlikely", "très improbable"),
    "p_unlikely": Text("unlikely", "improbable"),
    "p_even": Text("about as likely as not", "une chance sur deux environ"),
    "p_likely": Text("likely", "probable"),
    "p_very_likely": Text("very likely", "très probable"),
    "p_certain": Text("almost certain", "presque certain"),
    "decision_yes": Text("The answer: expect it", "La réponse : à prévoir"),
    "decision_no": Text("The answer: do not expect it", "La réponse : pas à prévoir"),
    "from_threshold": Text("(announced from {threshold} on)", "(annoncé à partir de {threshold})"),
    "also": Text("Also", "Aussi"),
    "drivers": Text("What drove the answer", "Ce qui a pesé sur la réponse"),
    "drivers_text": Text(
        "Beginning from {base}, which is usual, each piece of information moved the answer:",
        "À partir de {base}, la valeur habituelle, chaque information a déplacé la réponse :",
    ),
    "drivers_none": Text(
        "Nothing: without a model the answer follows from a table.",
        "Rien : sans modèle, la réponse vient d'un tableau.",
    ),
    "of_target": Text("Explain", "Expliquer"),
    "others": Text("Everything else", "Tout le reste"),
    "explain_away": Text(
        "The explanation is not available at the moment.", "L'explication n'est pas disponible pour le moment."
    ),
    "source": Text("Where the answer comes from", "D'où vient la réponse"),
    "technical": Text("Details for the log", "Détails pour le journal"),
    "request_id": Text("Request {id}, model {model}", "Requête {id}, modèle {model}"),
    # --- two variants
    "compare": Text("Compare two variants of this call", "Comparer deux variantes de cet appel"),
    "compare_field": Text("What differs", "Ce qui diffère"),
    "compare_other": Text("Variant B: {field}", "Variante B : {field}"),
    "variant": Text("{letter}: {value}", "{letter} : {value}"),
    "faster": Text(
        "{better} is better by {difference} ({target})", "{better} est meilleure de {difference} ({target})"
    ),
    "equal": Text("No difference in “{target}”", "Aucune différence pour « {target} »"),
    # --- batch
    "file": Text("CSV or Excel file, one call a line", "Fichier CSV ou Excel, un appel par ligne"),
    "file_help": Text(
        "The first line names the fields; up to {rows} lines. An empty template is below.",
        "La première ligne nomme les champs ; {rows} lignes au plus. Un modèle vide est proposé ci-dessous.",
    ),
    "template": Text("Empty template (CSV)", "Modèle vide (CSV)"),
    "file_bad": Text("This file cannot be read", "Ce fichier est illisible"),
    "file_empty": Text("The file has no calls", "Le fichier ne contient aucun appel"),
    "file_long": Text("The file has more than {rows} calls", "Le fichier contient plus de {rows} appels"),
    "columns_left": Text("Columns that are not used: {columns}", "Colonnes non utilisées : {columns}"),
    "columns_none": Text(
        "No column of the file is a field of this use case",
        "Aucune colonne du fichier n'est un champ de ce cas d'usage",
    ),
    "rows_good": Text("{count} calls can be answered", "{count} appels peuvent recevoir une réponse"),
    "rows_bad": Text("Lines with faults, left out: {count}", "Lignes avec des fautes, écartées : {count}"),
    "line": Text("Line", "Ligne"),
    "fault": Text("What is wrong", "Ce qui ne va pas"),
    "field": Text("Field", "Champ"),
    "run": Text("Answer {count} calls", "Répondre à {count} appels"),
    "progress": Text("{done} of {count} answered", "{done} sur {count} traités"),
    "done": Text("{count} calls were answered", "{count} appels ont reçu une réponse"),
    "refused_rows": Text("{count} were refused by the service", "{count} ont été refusés par le service"),
    "download": Text("Download the answers (CSV)", "Télécharger les réponses (CSV)"),
    "download_excel": Text("Download the answers (Excel)", "Télécharger les réponses (Excel)"),
    "preview": Text("The first answers", "Les premières réponses"),
}
