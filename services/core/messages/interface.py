"""Texts of the layout, of confirmations, and terms that several pages use."""

from __future__ import annotations

from services.core.contract.use_case import Text

SHELL: dict[str, Text] = {
    "product": Text("Vigie", "Vigie"),
    "tagline": Text("The control room's second opinion", "Le deuxième avis de la salle de contrôle"),
    # --- sign-in
    "sign_in": Text("Sign in", "Connexion"),
    "user": Text("User name", "Nom d'utilisateur"),
    "password": Text("Password", "Mot de passe"),
    "sign_in_button": Text("Sign in", "Se connecter"),
    "signing_in": Text("Signing in …", "Connexion en cours …"),
    "go_on": Text("Go on", "Continuer"),
    "wrong_password": Text(
        "The user name or the password is not right.", "Le nom d'utilisateur ou le mot de passe est incorrect."
    ),
    "too_many": Text(
        "Too many attempts. Wait a moment, then try again.",
        "Trop de tentatives. Attendez un instant, puis réessayez.",
    ),
    "both_needed": Text("Give a user name and a password.", "Indiquez un nom d'utilisateur et un mot de passe."),
    "sign_out": Text("Sign out", "Se déconnecter"),
    "signed_in_as": Text("{name} · {role} · {centre}", "{name} · {role} · {centre}"),
    "language": Text("Language", "Langue"),
    "change_password": Text("Change the password", "Changer le mot de passe"),
    "must_change": Text(
        "This password was made for the first sign-in. Choose one of your own.",
        "Ce mot de passe a été créé pour la première connexion. Choisissez le vôtre.",
    ),
    "second_factor": Text("Second factor", "Second facteur"),
    "code": Text("Code of your authenticator app", "Code de votre application d'authentification"),
    "provider": Text("Sign in with your organisation", "Se connecter avec votre organisation"),
    "enrol": Text("Add an authenticator app", "Ajouter une application d'authentification"),
    "enrol_text": Text(
        "With an authenticator app on your phone, your password alone opens nothing. Type the key into the app, then "
        "its code here.",
        "Avec une application d'authentification sur votre téléphone, votre mot de passe seul n'ouvre rien. Saisissez "
        "la clé dans l'application, puis son code ici.",
    ),
    "enrol_confirm": Text("Confirm the code", "Confirmer le code"),
    "current_password": Text("Current password", "Mot de passe actuel"),
    "new_password": Text("New password, at least 12 characters", "Nouveau mot de passe, 12 caractères au moins"),
    "repeat_password": Text("New password again", "Nouveau mot de passe, à nouveau"),
    "not_the_same": Text("The two new passwords differ.", "Les deux nouveaux mots de passe diffèrent."),
    # --- navigation
    "section_calls": Text("Calls", "Appels"),
    "section_models": Text("Models and data", "Modèles et données"),
    "section_platform": Text("Platform", "Plateforme"),
    "page_call": Text("Call", "Appel"),
    "page_board": Text("Board", "Tableau de bord"),
    "page_models": Text("Models", "Modèles"),
    "page_data": Text("Data and retraining", "Données et réentraînement"),
    "page_quality": Text("Drift and quality", "Dérive et qualité"),
    "page_explore": Text("Explore", "Explorer"),
    "page_administration": Text("Administration", "Administration"),
    "page_portal": Text("Portal", "Portail"),
    # --- states
    "loading": Text("Loading …", "Chargement …"),
    "try_again": Text("Try again", "Réessayer"),
    "session_over": Text("Your session has expired", "Votre session a expiré"),
    "session_over_text": Text(
        "Nothing was lost on the platform. Sign in again to go on.",
        "Rien n'est perdu sur la plateforme. Reconnectez-vous pour continuer.",
    ),
    "sign_in_again": Text("Sign in again", "Se reconnecter"),
    "away": Text("{service} does not answer", "{service} ne répond pas"),
    "away_text": Text(
        "What it shows is not available at the moment. Wait a little and try again; if it lasts, tell the operators.",
        "Ses informations ne sont pas disponibles pour le moment. Attendez un peu et réessayez ; si cela dure, "
        "prévenez les opérateurs.",
    ),
    "service_gateway": Text("The gateway (users and administration)", "La passerelle (utilisateurs et administration)"),
    "service_prediction": Text("The prediction service", "Le service de prédiction"),
    "gateway_away": Text("The gateway does not answer", "La passerelle ne répond pas"),
    "gateway_away_text": Text(
        "Calls are still answered. Signing in and administration wait until it is back.",
        "Les appels reçoivent toujours une réponse. La connexion et l'administration attendent son retour.",
    ),
    "forbidden": Text("Your role does not allow this", "Votre rôle ne le permet pas"),
    "forbidden_text": Text("Ask an administrator if you need it.", "Demandez à un administrateur si nécessaire."),
    "not_there": Text("This is not there", "Cet élément n'existe pas"),
    "not_there_text": Text(
        "It was removed, or this platform does not have that part.",
        "Il a été supprimé, ou cette plateforme n'a pas cette partie.",
    ),
    "refused": Text("This was refused", "La demande a été refusée"),
    "failed": Text("Something went wrong", "Une erreur s'est produite"),
    "failed_text": Text("The operators see it in the log.", "Les opérateurs le voient dans le journal."),
    "no_use_case": Text("No use case is open to you", "Aucun cas d'usage ne vous est ouvert"),
    "no_use_case_text": Text(
        "Ask an administrator which use cases your account may call.",
        "Demandez à un administrateur quels cas d'usage votre compte peut appeler.",
    ),
    "in_preparation": Text("This page is being prepared", "Cette page est en préparation"),
    # --- alerts
    "alert_bad": Text("Urgent", "Urgent"),
    "alert_warn": Text("Attention", "Attention"),
    "alert_info": Text("For information", "Pour information"),
    "alert_good": Text("In order", "En ordre"),
    "since": Text("Since {at} UTC", "Depuis le {at} UTC"),
    "more_alerts": Text("and {count} more alerts", "et {count} autres alertes"),
    # --- exercise
    "exercise": Text("Exercise mode", "Mode exercice"),
    "exercise_help": Text(
        "For training people: what you send is marked as an exercise from end to end and counts nowhere.",
        "Pour la formation : ce que vous envoyez est marqué comme exercice de bout en bout et ne compte nulle part.",
    ),
    "exercise_on": Text("EXERCISE", "EXERCICE"),
    "exercise_on_text": Text(
        "This is not a real call. Everything that you send is marked as an exercise.",
        "Ceci n'est pas un appel réel. Tout ce que vous envoyez est marqué comme exercice.",
    ),
}


TERMS: dict[str, Text] = {
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
    "withdrawn": Text("WITHDRAWN", "RETIRÉ"),
    "withdrawn_text": Text(
        "an operator stopped the model's advice: none of it is used",
        "un exploitant a arrêté les conseils du modèle : rien n'en est utilisé",
    ),
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


CONFIRMATION: dict[str, Text] = {
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
