"""Values of closed lists, and the words by which French and English sheets name them.

Words are as :func:`words_of` cuts them: lower case, without accents and hyphens.
"""

from __future__ import annotations

from federation.domain.content.solution import THEMES


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split("|"))


DEPLOYMENT_STATUSES = {
    "planned": _names("prevu|prevue|planifie|planifiee|projet|en projet|a venir|en cours d installation"),
    "pilot": _names("pilote|experimentation|en test|test|en experimentation|phase pilote"),
    "production": _names(
        "en production|prod|en prod|en service|actif|active|deploye|deployee|operationnel|operationnelle|ok"
        "|live|oui"
    ),
    "suspended": _names("suspendu|suspendue|en pause|arret temporaire"),
    "retired": _names(
        "retire|retiree|arrete|arretee|abandonne|abandonnee|decommissionne|hors service|supprime|termine"
    ),
}
TENANCIES = {
    "shared": _names(
        "partage|partagee|mutualise|mutualisee|multi tenant|commun|commune|oui|yes|vrai|x|1|true"
    ),
    "dedicated": _names("dedie|dediee|propre|individuel|individuelle|mono tenant|non|no|faux|0|false"),
}
HOSTING_MODELS = {
    "operator": _names(
        "operateur|interne|nous|chez nous|chez l operateur|syndicat|notre centre|datacenter interne"
    ),
    "on-premises": _names(
        "sur site|local|locale|on premise|on prem|chez la collectivite|en commune|serveur local"
    ),
    "public-sector-cloud": _names(
        "cloud public souverain|cloud du secteur public|cloud de l etat|cloud etat|cloud secteur public"
    ),
    "private-cloud": _names("cloud prive|prive"),
    "public-cloud": _names("cloud public|cloud"),
    "vendor-saas": _names("saas|editeur|chez l editeur|saas editeur|mode saas|hebergement editeur"),
}
ENVIRONMENTS = {
    "production": _names("prod|en production"),
    "acceptance": _names("recette|preproduction|pre production|preprod|qualification|staging"),
    "test": _names("tests|developpement|dev"),
    "demonstration": _names("demo|formation"),
}
SOLUTION_KINDS = {
    "software": _names("logiciel|application|progiciel|logiciel libre"),
    "service": _names("service en ligne|prestation|plateforme"),
    "ai-model": _names("modele d ia|modele ia|ia|ai|modele"),
    "configuration": _names("parametrage|modele de configuration"),
    "dataset": _names("jeu de donnees|donnees|data set|data"),
}
DEVELOPMENT_STATUSES = {
    "concept": _names("idee|projet"),
    "development": _names("en developpement|developpement|alpha"),
    "beta": _names("beta test|en test|rc"),
    "stable": _names("production|en production|mature|actif|maintenu|en service"),
    "obsolete": _names("abandonne|abandonnee|fin de vie|archive|deprecated|retire"),
}
BODY_KINDS = {
    "commune": _names("communes|ville|villes|mairie|mairies|municipality|municipalities"),
    "epci": _names(
        "intercommunalite|intercommunalites|communaute de communes|agglomeration|agglomerations|metropole"
        "|interco|cc|ca"
    ),
    "departement": _names("departements|conseil departemental"),
    "region": _names("regions|conseil regional"),
    "ccas": _names("cias"),
    "school": _names("ecole|ecoles|college|lycee|etablissement scolaire|schools"),
    "syndicat": _names("syndicats|syndicat mixte|syndicat intercommunal"),
    "other": _names("autre|autres|etablissement public|etablissements publics"),
}
BASES = {
    "body": _names("collectivite|commune|organisme|forfait|entite|structure|adherent"),
    "inhabitant": _names("habitant|habitants|hab"),
    "agent": _names("agents|etp"),
    "user": _names("utilisateur|utilisateurs|users|compte|comptes|licence|poste"),
    "member-commune": _names("commune membre|communes membres"),
    "gigabyte": _names("go|gb|gigaoctet|gigaoctets"),
}
PERIODS = {
    "yearly": _names("an|annuel|annuelle|annee|par an|year|annual|per year"),
    "monthly": _names("mois|mensuel|mensuelle|par mois|month|per month"),
    "once": _names("une fois|unique|ponctuel|a l adhesion|one off|installation|mise en service"),
    "first-year": _names("premiere annee|1ere annee|1re annee"),
    "after-first": _names("annees suivantes|ensuite"),
}
VAT = {
    "excluded": _names("ht|hors taxes|hors taxe|hors tva|sans tva"),
    "included": _names("ttc|toutes taxes comprises|avec tva"),
    "exempt": _names("exonere|exoneree|non assujetti|non soumis|neant de tva"),
}
FREE = frozenset(("gratuit", "gratuite", "free", "sans frais", "inclus", "compris dans la cotisation"))
ON_REQUEST = frozenset(("sur devis", "sur demande", "devis", "on request", "nous consulter", "a definir"))
PARTICIPATION_STATES = {
    "interested": _names("interesse|interessee|interet|a confirmer|intention"),
    "need-given": _names("besoin exprime|besoin recense|besoins recenses|besoin donne|recense|exprime"),
    "deliberated": _names("delibere|deliberee|deliberation prise|vote|votee"),
    "signed": _names("signe|signee|convention signee|adherent|adherente|adhesion signee"),
    "withdrawn": _names("retire|retiree|abandon|abandonne|desiste|non"),
}
LICENCES = {
    "LicenseRef-proprietary": _names(
        "proprietaire|privative|privatif|commercial|commerciale|proprietary|non libre|closed"
    ),
    "LicenseRef-unknown": _names("inconnue|inconnu|unknown|libre|open source|logiciel libre|a preciser"),
}
SHORT_LICENCES = {
    "gpl2": "GPL-2.0-only", "gplv2": "GPL-2.0-only", "gpl20": "GPL-2.0-only", "gpl3": "GPL-3.0-only",
    "gplv3": "GPL-3.0-only", "gpl30": "GPL-3.0-only", "agpl3": "AGPL-3.0-only", "agplv3": "AGPL-3.0-only",
    "lgpl21": "LGPL-2.1-only", "lgplv21": "LGPL-2.1-only", "lgpl3": "LGPL-3.0-only",
    "lgplv3": "LGPL-3.0-only", "apache2": "Apache-2.0", "apache20": "Apache-2.0", "apachev2": "Apache-2.0",
    "mpl2": "MPL-2.0", "mpl20": "MPL-2.0", "cecill2": "CECILL-2.0", "eupl12": "EUPL-1.2",
}  # fmt: skip
"""Licences without hyphens, as people write them. (GPL alone has no version, and is unknown.)"""
_THEME_WORDS = {
    "ai": "ia|intelligence artificielle",
    "cybersecurity": "cybersecurite|securite|ssi",
    "education": "enseignement|ecoles",
    "e-administration": "administration electronique|demarches|demarches en ligne|etat civil",
    "geodata": "donnees geographiques|cartographie",
    "geographic-information-systems": "sig|gis",
    "archiving": "archivage|archives|sae",
    "signature": "signature electronique|parapheur|parapheur electronique",
    "citizen-relation": "relation citoyen|relation usagers|grc|gru",
    "sovereign-workplace": "poste de travail|bureautique",
    "collaboration": "travail collaboratif|collaboratif",
    "communications": "messagerie|communication",
    "video-conferencing": "visioconference|visio",
    "it-asset-management": "gestion de parc|parc informatique|inventaire",
    "hr": "ressources humaines|rh",
    "payroll": "paie",
    "accounting": "comptabilite|finances|gestion financiere",
    "procurement": "marches publics|achats|commande publique",
    "document-management": "ged|gestion documentaire",
    "website-builder": "site internet|sites internet|site web",
    "backup": "sauvegarde",
    "identity-management": "identite|sso",
    "integrated-library-system": "bibliotheque|mediatheque|sigb",
    "appointment-scheduling": "rendez vous|prise de rendez vous",
    "help-desk": "assistance|support|tickets",
    "budgeting": "budget",
    "survey": "sondage|sondages|enquete",
    "data-visualization": "tableaux de bord|visualisation",
    "business-intelligence": "decisionnel|bi",
}
THEME_NAMES = {theme: _names(_THEME_WORDS.get(theme, "")) for theme in sorted(THEMES)}
