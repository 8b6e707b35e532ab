"""What pages share that ask before they change something."""

from __future__ import annotations

from services.core.usecases.contract import Text

WORDS: dict[str, Text] = {
    "yes": Text("Yes: {action}", "Oui : {action}"),
    "cancel": Text("Cancel", "Annuler"),
    "working": Text("Working on it…", "En cours…"),
    "reason_needed": Text("Please say why, in a few words.", "Dites pourquoi, en quelques mots."),
    "reason": Text("Why (it is kept in the audit log)", "Pourquoi (conservé dans le journal d'audit)"),
    "behind": Text("A part of the platform does not answer", "Une partie de la plateforme ne répond pas"),
    "use_case": Text("Use case", "Cas d'usage"),
    "no_use_case": Text("There is no use case that you may see.", "Il n'y a aucun cas d'usage que vous puissiez voir."),
    "no_use_case_text": Text(
        "An administrator can give your account more of them.", "Un administrateur peut vous en ouvrir d'autres."
    ),
}
