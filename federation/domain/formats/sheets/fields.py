"""The fields that columns of a sheet may have, by type of record, with the names that heads give them.

Names are in French and English, as :func:`words_of` cuts them: lower case, without accents and hyphens.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

RecordType = Literal["solutions", "deployments", "offers", "participations"]
RECORD_TYPES: tuple[RecordType, ...] = get_args(RecordType)


class Field(msgspec.Struct, frozen=True):
    """A value that a column gives."""

    name: str
    heads: tuple[str, ...]
    """Names of such a column."""
    needed: bool = False
    """True where a line without it makes no record."""


def _field(name: str, heads: str, *, needed: bool = False) -> Field:
    own = name.replace("_", " ")
    return Field(name, tuple(dict.fromkeys((own, *(head.strip() for head in heads.split("|"))))), needed)


_KEY = _field("key", "cle|key|identifiant|id|reference|ref|identifiant unique|code interne")
_SOLUTION = _field(
    "solution",
    "solution|logiciel|application|produit|software|product|outil|progiciel|nom du logiciel"
    "|solution utilisee",
    needed=True,
)
_BODIES = (
    _field("siren", "siren|numero siren|no siren|n siren|siren collectivite|siren beneficiaire"),
    _field("siret", "siret|numero siret|no siret|n siret"),
    _field(
        "insee", "insee|code insee|insee code|cog|code commune|code officiel geographique|code geographique"
    ),
    _field(
        "body", "siren ou insee|insee ou siren|identifiant collectivite|siren insee|insee siren|beneficiary"
    ),
    _field(
        "body_name",
        "commune|collectivite|beneficiaire|nom de la commune|nom commune|nom de la collectivite"
        "|nom collectivite"
        "|organisme|body|municipality|town|client|adherent|membre|entite|structure|libelle commune",
    ),
    _field("postcode", "code postal|cp|postcode|postal code|zip"),
)
_COVERED = (
    _field("territory", "territoire|territoires|couverture|territoire couvert|territory|coverage|perimetre"),
    _field(
        "count",
        "nombre de beneficiaires|nb beneficiaires|nombre de communes|nb communes|nombre de collectivites"
        "|nb collectivites|number of bodies|count",
    ),
)

_DEPLOYMENTS = (
    _KEY,
    _SOLUTION,
    _field("version", "version installee|version deployee|installed version|version en production|release"),
    _field("version_as_of", "date de la version|version relevee le|releve le|date inventaire|version as of"),
    _field("status", "statut|etat|status|state|phase|avancement"),
    _field("tenancy", "mutualise|mutualisee|mutualisation|partage|partagee|tenancy|shared|instance partagee"),
    _field("hosting", "hebergement|mode d hebergement|hosting|type d hebergement|hosting model"),
    _field("hosting_provider", "hebergeur|hosting provider|provider|prestataire d hebergement|fournisseur"),
    _field("hosting_country", "pays|pays d hebergement|country|hosting country"),
    _field("environment", "environnement|environment|env"),
    _field(
        "since",
        "depuis|date de mise en service|mise en service|mise en production|date de mise en production"
        "|date debut"
        "|date de debut|since|go live|date d installation|installe le",
    ),
    _field("until", "jusqu au|date de fin|date fin|until|fin|date d arret|decommissionne le"),
    _field("url", "url|adresse|adresse web|lien|site|address|url d acces"),
    _field("support", "support|assistance|contact support|helpdesk"),
    *_BODIES,
    *_COVERED,
)
_SOLUTIONS = (
    _KEY,
    _field(
        "name",
        "nom|solution|logiciel|name|intitule|software|application|produit|nom du logiciel",
        needed=True,
    ),
    _field("summary", "resume|description courte|summary|objet|fonction|usage|short description|description"),
    _field("description", "description longue|description detaillee|long description|details|presentation"),
    _field("kind", "type|nature|kind|type de solution"),
    _field("status", "statut|etat|maturite|status|development status|stade"),
    _field("licence", "licence|license|licence logicielle"),
    _field(
        "themes", "theme|themes|categorie|categories|category|domaine|domaines|thematique|domaine fonctionnel"
    ),
    _field("repository", "depot|code source|repository|repo|source code|url du depot|depot de code|sources"),
    _field("homepage", "site|site web|page d accueil|homepage|website|url|site officiel|adresse"),
    _field("documentation", "documentation|doc|docs|url documentation"),
    _field("steward", "editeur|porteur|steward|publisher|mainteneur|vendor|fournisseur|maintenu par"),
    _field("version", "derniere version|version|latest version|version actuelle"),
    _field("purl", "purl|package url"),
    _field("cpe", "cpe|cpe 2 3"),
    _field("same_as", "wikidata|meme que|same as|identifiants externes|sill|comptoir du libre"),
)
_OFFERS = (
    _KEY,
    _field("title", "titre|offre|intitule|title|offer|nom de l offre|nom|service", needed=True),
    _SOLUTION,
    _field(
        "contact", "contact|courriel|email|e mail|mail|adresse electronique|boite fonctionnelle", needed=True
    ),
    _field("summary", "resume|description|summary|objet"),
    _field(
        "price", "prix|tarif|montant|price|cout|cotisation|prix annuel|tarif annuel|montant annuel|amount"
    ),
    _field("price_basis", "unite|base|par|basis|unite de prix|unite tarifaire|per"),
    _field("price_when", "periodicite|periode|frequence|billing period|when"),
    _field("vat", "tva|vat|ht ou ttc|ht ttc"),
    _field(
        "kinds", "publics|public|beneficiaires|types de collectivites|eligibilite|eligible|kinds|pour qui"
    ),
    _field("territory", "territoire|territoires|territory|perimetre|zone"),
    _field(
        "population_from", "population minimale|population min|habitants min|population from|population de"
    ),
    _field("population_to", "population maximale|population max|habitants max|population to|population a"),
    _field("valid_from", "valable du|valable a partir du|date de debut|valid from|debut|ouverture"),
    _field("valid_until", "valable jusqu au|date de fin|valid until|fin|cloture|date limite"),
    _field("trial_months", "essai|duree d essai|mois d essai|trial|trial months|essai mois"),
    _field("deployment", "deploiement|instance|plateforme|deployment|platform"),
)
_PARTICIPATIONS = (
    _KEY,
    _field("consultation", "marche|procedure|appel d offres|consultation|groupement|tender", needed=True),
    _field("state", "statut|etat|avancement|state|status"),
    _field("decided_on", "date de deliberation|delibere le|decided on|deliberation|date deliberation"),
    _field("unit", "unite|unite d oeuvre|unit|article|poste|besoin"),
    _field("quantity", "quantite|quantity|nombre|qte|volume|quantites"),
    _field("estimated", "montant estime|estimation|estimated amount|budget|montant"),
    *_BODIES,
    *_COVERED,
)
FIELDS: dict[RecordType, tuple[Field, ...]] = {
    "solutions": _SOLUTIONS,
    "deployments": _DEPLOYMENTS,
    "offers": _OFFERS,
    "participations": _PARTICIPATIONS,
}
