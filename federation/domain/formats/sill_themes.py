"""Themes for the categories of the SILL, which are words in French or English."""

from __future__ import annotations

_THEMES = (
    ("code source", "it-development"),
    ("authentification", "identity-management"),
    ("gestion des accès", "identity-management"),
    ("chiffrement", "it-security"),
    ("antivirus", "it-security"),
    ("pare-feu", "it-security"),
    ("sécurité", "it-security"),
    ("security", "it-security"),
    ("consultation et édition de documents", "office"),
    ("office", "office"),
    ("bureautique", "office"),
    ("messagerie", "email-management"),
    ("mail", "email-management"),
    ("smtp", "email-management"),
    ("visiophonie", "video-conferencing"),
    ("visioconférence", "video-conferencing"),
    ("video conferencing", "video-conferencing"),
    ("outil collaboratif", "collaboration"),
    ("collaborat", "collaboration"),
    ("partage de fichiers", "collaboration"),
    ("gestion de contenu web", "content-management"),
    ("content management", "content-management"),
    ("gestion d'actif", "it-asset-management"),
    ("supervision", "it-management"),
    ("gestion des logs", "it-management"),
    ("outils système", "it-management"),
    ("service level", "it-service-management"),
    ("gestion des anomalies", "service-desk"),
    ("sauvegarde", "backup"),
    ("backup", "backup"),
    ("virtualisation", "cloud-management"),
    ("kubernetes", "cloud-management"),
    ("cloud", "cloud-management"),
    ("test", "test-management"),
    ("développement", "it-development"),
    ("development", "it-development"),
    ("compilation", "it-development"),
    ("cycle applicatif", "it-development"),
    ("packaging", "it-development"),
    ("serveur", "infrastructure"),
    ("server", "infrastructure"),
    ("load balancer", "infrastructure"),
    ("système d'exploitation", "infrastructure"),
    ("operating system", "infrastructure"),
    ("haute disponibilité", "infrastructure"),
    ("bases de données", "infrastructure"),
    ("données non relationnelles", "infrastructure"),
    ("database", "infrastructure"),
    ("environnement d'exécution", "infrastructure"),
    ("moteur sig", "geographic-information-systems"),
    ("gis", "geographic-information-systems"),
    ("outil de productivité", "productivity-suite"),
    ("modél", "design"),
    ("design", "design"),
    ("graphic", "graphic-design"),
    ("data analy", "data-analytics"),
    ("data vis", "data-visualization"),
    ("learning", "learning-management-system"),
    ("project management", "project-management"),
)
"""Parts of a category in small letters, and their themes; a category has the first one that fits."""
MAX_CATEGORY = 200


def theme_words(category: str) -> tuple[str, ...]:
    """The theme of a category, if one is known."""
    words = category[:MAX_CATEGORY].lower().replace("’", "'")
    return tuple(theme for part, theme in _THEMES if part in words)[:1]
