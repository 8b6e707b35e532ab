"""What the page says: explore."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {
    "loading": Text("Fetching the picture of the data…", "Chargement de l'aperçu des données…"),
    "none": Text("There are no training examples yet.", "Il n'y a pas encore d'exemples d'apprentissage."),
    "none_text": Text(
        "The picture is made with the examples, by the first retraining.",
        "L'aperçu est fait avec les exemples, lors du premier réentraînement.",
    ),
    "rows": Text("{rows} training examples", "{rows} exemples d'apprentissage"),
    "rows_text": Text(
        "Counts and means of groups; no single call is shown, and no word that few examples share.",
        "Effectifs et moyennes de groupes ; aucun appel isolé n'est montré, ni aucun mot que peu d'exemples partagent.",
    ),
    "section": Text("What to look at", "À examiner"),
    "targets": Text("What is predicted", "Ce qui est prévu"),
    "fields": Text("What callers say", "Ce que disent les appels"),
    "missing": Text("What is missing", "Ce qui manque"),
    "map": Text("Where", "Où"),
    "times": Text("When", "Quand"),
    "pipeline": Text("From file to answer", "Du fichier à la réponse"),
    "target": Text("Target", "Cible"),
    "field": Text("Field", "Champ"),
    "by": Text("By", "Par"),
    "by_hour": Text("hour of day", "heure de la journée"),
    "by_weekday": Text("day of the week", "jour de la semaine"),
    "month": Text("month", "mois"),
    "examples": Text("Examples", "Exemples"),
    "share": Text("Share", "Part"),
    "mean": Text("Mean", "Moyenne"),
    "interval": Text("95 % interval", "intervalle à 95 %"),
    "class": Text("Class", "Classe"),
    "overall_share": Text("{share} of {rows} examples", "{share} des {rows} exemples"),
    "overall_mean": Text(
        "Mean {mean}, median {median}; half of them between {low} and {high}. {rows} examples.",
        "Moyenne {mean}, médiane {median} ; la moitié entre {low} et {high}. {rows} exemples.",
    ),
    "distribution": Text("Distribution", "Distribution"),
    "beyond": Text(
        "What lies beyond the outermost hundredths is counted in the first and last bar.",
        "Ce qui dépasse les centièmes extrêmes est compté dans la première et la dernière barre.",
    ),
    "too_few": Text("There are too few examples for this.", "Il y a trop peu d'exemples pour cela."),
    "always_missing": Text("No example has it.", "Aucun exemple ne l'a."),
    "distinct": Text("{count} different words", "{count} mots différents"),
    "others": Text("others", "autres"),
    "yes": Text("yes", "oui"),
    "no": Text("no", "non"),
    "time_field": Text("A moment: see “When”.", "Un moment : voir « Quand »."),
    "picture_field": Text("A picture; only whether it is there is counted.", "Une image ; seule sa présence compte."),
    "nothing_missing": Text("Every example has every field.", "Chaque exemple a tous les champs."),
    "no_times": Text("These data have no time.", "Ces données n'ont pas de date."),
    "no_map": Text("These data say no places.", "Ces données n'indiquent pas de lieux."),
    "map_text": Text(
        "{rows} examples that say where, counted in {cells} cells. The darker, the more.",
        "{rows} exemples qui disent où, comptés dans {cells} cellules. Plus c'est foncé, plus il y en a.",
    ),
    "longitude": Text("Longitude", "Longitude"),
    "latitude": Text("Latitude", "Latitude"),
    "easting": Text("Easting (m)", "Abscisse (m)"),
    "northing": Text("Northing (m)", "Ordonnée (m)"),
    "pipeline_text": Text(
        "The same steps for every use case, in this order; the second line says what each leaves.",
        "Les mêmes étapes pour chaque cas d'usage, dans cet ordre ; la seconde ligne dit ce que chacune laisse.",
    ),
    "raw_files": Text("Raw files", "Fichiers bruts"),
    "answer": Text("Answer calls", "Répondre aux appels"),
    "leaves_files": Text("{tables}", "{tables}"),
    "leaves_ingest": Text("validated tables, and a quarantine", "des tables validées et une quarantaine"),
    "leaves_preprocess": Text("examples: one row per call", "des exemples : une ligne par appel"),
    "leaves_train": Text("a model for each: {targets}", "un modèle pour chacune : {targets}"),
    "leaves_evaluate": Text("metrics, plots, the model card", "mesures, graphiques, fiche du modèle"),
    "leaves_gate": Text("a version, and a decision with its reasons", "une version et une décision motivée"),
    "leaves_promote": Text("the champion that answers calls", "la championne qui répond aux appels"),
    "leaves_answer": Text("answers, and later their outcomes", "des réponses, puis leurs résultats"),
    "done_by": Text("by {service}", "par {service}"),
    "back": Text(
        "Outcomes come back as examples: the circle closes.",
        "Les résultats reviennent en exemples : la boucle est bouclée.",
    ),
}
WEEKDAYS: dict[str, tuple[str, ...]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "fr": ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."),
}
