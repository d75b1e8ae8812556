"""Records of the demonstration: four operators, real solutions, four incidents.

Real: the solutions (names, licences, repositories, links between them) and the two vulnerabilities, from
public sources and in words of our own. What could not be checked is left out, and a licence that could not be
is `LicenseRef-unknown`. Invented: who publishes which solution, the mailboxes, the telephone numbers (of
those that are kept for films), the outage, the maintenance.
None of it says what a real operator runs, recommends or suffers; the outage and the maintenance say so in
their own texts.

OPERATORS, SOLUTIONS and INCIDENTS are tuples of `Entry`, sorted by id. The content has the members of the
type's struct in `federation.domain`, as JSON values; it is shared, so copy it before changing it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Languages = Mapping[str, str]


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One record to publish, and its origin."""

    origin: str
    key: str
    content: dict[str, Any]
    same_as: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


def _say(fr: str, en: str) -> Languages:
    return {"fr": fr, "en": en}


def _operator(origin: str, name: str, territory: str, homepage: str, telephone: str) -> CatalogueEntry:
    content = {
        "name": name,
        "country": "FR",
        "territory": [territory],
        "contact": f"contact@{origin}.example.org",
        "security_contact": f"security@{origin}.example.org",
        "security_telephone": telephone,
        "homepage": homepage,
    }
    return CatalogueEntry(origin=origin, key=origin, content=content)


def _solution(
    id: str,
    name: str,
    summary: Languages,
    *,
    licence: str,
    themes: str,
    kind: str = "software",
    status: str = "stable",
    wikidata: str | None = None,
    comptoir: int | None = None,
    **more: object,
) -> CatalogueEntry:
    origin, key = id.split("/")
    content = {
        "name": name,
        "summary": summary,
        "kind": kind,
        "status": status,
        "licence": licence,
        "themes": themes.split(),
        **more,
    }
    # The numbers of Wikidata and Comptoir du Libre are those that the State's list (SILL) gives.
    same_as = []
    if wikidata:
        same_as.append(f"https://www.wikidata.org/entity/{wikidata}")
    if comptoir:
        same_as.append(f"https://comptoir-du-libre.org/fr/softwares/{comptoir}")
    return CatalogueEntry(origin=origin, key=key, content=content, same_as=tuple(same_as))


def _incident(id: str, title: Languages, summary: Languages, **more: object) -> CatalogueEntry:
    origin, key = id.split("/")
    return CatalogueEntry(origin=origin, key=key, content={"title": title, "summary": summary, **more})


def _by_id(*entries: CatalogueEntry) -> tuple[CatalogueEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.id))


OPERATORS = _by_id(
    _operator("arnia", "ARNia", "FR-BFC", "https://www.ternum-bfc.fr", "+33 1 99 00 10 01"),
    _operator(
        "megalis", "Mégalis Bretagne", "FR-BRE", "https://www.megalis.bretagne.bzh", "+33 1 99 00 10 02"
    ),
    _operator("recia", "GIP RECIA", "FR-CVL", "https://www.recia.fr", "+33 1 99 00 10 03"),
    _operator("maximilien", "GIP Maximilien", "FR-IDF", "https://www.maximilien.fr", "+33 1 99 00 10 04"),
)

_ARNIA = (
    _solution(
        "arnia/cmonia",
        "CmonIA",
        _say(
            "Assistant d’IA générative mis au point par l’ARNia à partir de Mistral.",
            "Generative AI assistant that ARNia has built on Mistral.",
        ),
        kind="service",
        # ARNia was trying it out when the four operators signed their agreement (press, 19 November 2025).
        status="beta",
        licence="LicenseRef-unknown",
        themes="ai e-administration sovereign-workplace",
        steward="ARNia",
        # The model's name and version, the country, the risk class and the data it is given are not public.
        ai={"base_models": ["Mistral"]},
    ),
    _solution(
        "arnia/mistral-small",
        "Mistral Small 3.2 24B Instruct",
        _say(
            "Modèle de langue européen à poids ouverts, que l’on peut héberger sur ses serveurs.",
            "European open-weight language model that can be hosted on one's own servers.",
        ),
        kind="ai-model",
        licence="Apache-2.0",
        themes="ai",
        steward="Mistral AI",
        ai={"base_models": ["Mistral Small 3.1 24B"]},
        releases=[{"version": "2506", "released_at": "2025-06-20"}],
    ),
    _solution(
        "arnia/glpi",
        "GLPI",
        _say(
            "Inventaire du parc informatique, centre de services, contrats et licences.",
            "Inventory of IT assets, service desk, contracts and licences.",
        ),
        licence="GPL-3.0-or-later",
        themes="it-asset-management service-desk help-desk infrastructure",
        description=_say(
            "L’inventaire peut être alimenté par un agent installé sur les postes ; les demandes des "
            "utilisateurs y sont suivies jusqu’à leur résolution.",
            "The inventory can be fed by an agent on each machine; what users ask for is followed until it "
            "is solved.",
        ),
        repository="https://github.com/glpi-project/glpi",
        homepage="https://glpi-project.org",
        documentation="https://glpi-install.readthedocs.io",
        steward="Teclib'",
        packages=[
            {
                "purl": "pkg:github/glpi-project/glpi",
                "cpe": "cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*",
            }
        ],
        version_scheme="generic",
        wikidata="Q3104570",
        comptoir=35,
    ),
    _solution(
        "arnia/nextcloud",
        "Nextcloud",
        _say(
            "Partage et synchronisation de fichiers, agendas et contacts, sur un serveur que l’on maîtrise.",
            "File sharing and synchronisation, calendars and contacts, on a server of one's own.",
        ),
        licence="AGPL-3.0-or-later",
        themes="collaboration document-management sovereign-workplace",
        repository="https://github.com/nextcloud/server",
        homepage="https://nextcloud.com",
        packages=[{"cpe": "cpe:2.3:a:nextcloud:nextcloud_server:*:*:*:*:*:*:*:*"}],
        version_scheme="generic",
        wikidata="Q25874683",
        comptoir=117,
    ),
    _solution(
        "arnia/collabora-online",
        "Collabora Online",
        _say(
            "Édition à plusieurs de textes, tableaux et présentations dans le navigateur.",
            "Texts, spreadsheets and presentations edited together in the browser.",
        ),
        licence="MPL-2.0",
        themes="office collaboration sovereign-workplace",
        repository="https://github.com/CollaboraOnline/online",
        homepage="https://collaboraonline.github.io",
        based_on=["recia/libreoffice"],
        alternatives=["recia/onlyoffice-docs"],
    ),
    _solution(
        "arnia/grist",
        "Grist",
        _say(
            "Tableur en ligne doublé d’une base de données, avec des droits par ligne et par colonne.",
            "Online spreadsheet that is also a database, with access rules for rows and columns.",
        ),
        licence="Apache-2.0",
        themes="data-collection collaboration sovereign-workplace",
        repository="https://github.com/gristlabs/grist-core",
        steward="Grist Labs",
    ),
    _solution(
        "arnia/crowdsec",
        "CrowdSec",
        _say(
            "Détection d’attaques dans les journaux et blocage, avec des signalements mis en commun.",
            "Finds attacks in logs and blocks them; what one user sees helps to protect the others.",
        ),
        licence="MIT",
        themes="cybersecurity it-security",
        repository="https://github.com/crowdsecurity/crowdsec",
        documentation="https://doc.crowdsec.net",
        steward="CrowdSec",
    ),
    _solution(
        "arnia/wazuh",
        "Wazuh",
        _say(
            "Sécurité des postes et des serveurs : journaux, intégrité, vulnérabilités, alertes.",
            "Security of workstations and servers: logs, integrity, vulnerabilities, alerts.",
        ),
        licence="GPL-2.0-only",
        themes="cybersecurity it-security infrastructure",
        repository="https://github.com/wazuh/wazuh",
        homepage="https://wazuh.com",
        documentation="https://documentation.wazuh.com",
        steward="Wazuh Inc.",
        version_scheme="generic",
    ),
    _solution(
        "arnia/publik",
        "Publik",
        _say(
            "Démarches en ligne et relation avec les usagers : formulaires, suivi, compte unique.",
            "Online procedures and citizen relations: forms, follow-up, one account.",
        ),
        # Of w.c.s., the engine of its forms, as the repository; other parts have licences of their own.
        licence="GPL-2.0-or-later",
        themes="citizen-relation e-administration workflow-management",
        repository="https://git.entrouvert.org/entrouvert/wcs",
        homepage="https://publik.entrouvert.com",
        documentation="https://doc-publik.entrouvert.com",
        steward="Entr'ouvert",
        alternatives=["maximilien/demarches-simplifiees", "maximilien/lutece"],
        comptoir=26,
    ),
    _solution(
        "arnia/decidim",
        "Decidim",
        _say(
            "Participation citoyenne : consultations, budgets participatifs, assemblées, pétitions.",
            "Citizen participation: consultations, participatory budgets, assemblies, petitions.",
        ),
        licence="AGPL-3.0-only",
        themes="digital-citizenship citizen-relation",
        repository="https://github.com/decidim/decidim",
        homepage="https://decidim.org",
        depends_on=["maximilien/postgresql"],
        packages=[{"purl": "pkg:gem/decidim"}],
        comptoir=268,
    ),
    _solution(
        "arnia/opencimetiere",
        "openCimetière",
        _say(
            "Gestion des cimetières : emplacements, concessions, défunts, plans.",
            "Management of cemeteries: plots, concessions, the deceased, maps.",
        ),
        licence="LicenseRef-unknown",
        themes="e-administration facility-management",
        based_on=["megalis/openmairie"],
    ),
    _solution(
        "arnia/decoupage-administratif",
        "Découpage administratif",
        _say(
            "Communes, EPCI, départements et régions de France, avec codes INSEE, SIREN et populations.",
            "Communes, intercommunal bodies, départements and regions of France, with codes and populations.",
        ),
        kind="dataset",
        licence="etalab-2.0",
        themes="geodata data-collection",
        repository="https://github.com/datagouv/decoupage-administratif",
        steward="data.gouv.fr",
        packages=[{"purl": "pkg:npm/%40etalab/decoupage-administratif"}],
    ),
)

_MEGALIS = (
    _solution(
        "megalis/openads",
        "openADS",
        _say(
            "Instruction des autorisations d’urbanisme : permis, délais légaux, consultations, courriers.",
            "Handling of planning permissions: applications, legal deadlines, consultations, letters.",
        ),
        licence="LicenseRef-unknown",
        themes="e-administration real-estate-management workflow-management",
        repository="https://gitlab.com/openmairie/openads",
        based_on=["megalis/openmairie"],
        depends_on=["maximilien/postgresql"],
    ),
    _solution(
        "megalis/openaria",
        "openARIA",
        _say(
            "Suivi des établissements recevant du public : sécurité incendie, accessibilité, commissions.",
            "Follow-up of buildings open to the public: fire safety, accessibility, commissions.",
        ),
        licence="LicenseRef-unknown",
        themes="e-administration facility-management compliance-management",
        based_on=["megalis/openmairie"],
    ),
    _solution(
        "megalis/openmairie",
        "openMairie",
        _say(
            "Socle commun d’une famille de logiciels libres pour les services des communes.",
            "Common base of a family of free software for the services of communes.",
        ),
        licence="LicenseRef-unknown",
        themes="application-development e-administration",
        homepage="https://www.openmairie.org",
        depends_on=["maximilien/postgresql"],
    ),
    _solution(
        "megalis/asalae",
        "as@lae",
        _say(
            "Archivage électronique à valeur probante des actes, flux comptables et marchés.",
            "Electronic archiving with evidential value of acts, accounting flows and contracts.",
        ),
        licence="LicenseRef-unknown",
        themes="archiving e-administration document-management",
        homepage="https://www.libriciel.fr/asalae",
        steward="Libriciel SCOP",
        alternatives=["megalis/vitam"],
    ),
    _solution(
        "megalis/i-parapheur",
        "i-Parapheur",
        _say(
            "Parapheur électronique : circuits de visa et signature des documents.",
            "Electronic signature book: approval circuits and signature of documents.",
        ),
        licence="AGPL-3.0-or-later",
        themes="signature e-signature workflow-management e-administration",
        homepage="https://www.libriciel.fr/i-parapheur",
        steward="Libriciel SCOP",
    ),
    _solution(
        "megalis/s2low",
        "S²LOW",
        _say(
            "Tiers de télétransmission des actes au contrôle de légalité et des flux comptables au Trésor.",
            "Trusted third party that sends acts to the prefecture and accounting flows to the Treasury.",
        ),
        licence="CECILL-2.0",
        themes="e-administration communications",
        repository="https://gitlab.libriciel.fr/libriciel/pole-plate-formes/s2low/s2low",
        steward="Libriciel SCOP",
    ),
    _solution(
        "megalis/pastell",
        "Pastell",
        _say(
            "Bus d’échange qui mène les documents d’une application à l’autre, jusqu’à l’archivage.",
            "Exchange bus that takes documents from one application to the next, up to the archive.",
        ),
        licence="AGPL-3.0-only",
        themes="e-administration workflow-management document-management",
        repository="https://gitlab.libriciel.fr/pastell/pastell",
        steward="Libriciel SCOP",
    ),
    _solution(
        "megalis/web-delib",
        "web-delib",
        _say(
            "Préparation des séances et suivi des délibérations et des actes d’une assemblée.",
            "Preparation of sittings and follow-up of the decisions and acts of an assembly.",
        ),
        # Of the sources of its earlier versions; those of version 6 could not be read.
        licence="CECILL-2.0",
        themes="e-administration workflow-management",
        repository="https://gitlab.libriciel.fr/libriciel/pole-actes-administratifs/web-delib-6/web-delib",
        steward="Libriciel SCOP",
    ),
    _solution(
        "megalis/vitam",
        "Vitam",
        _say(
            "Socle d’archivage numérique de grands volumes, né d’un programme interministériel.",
            "Digital archiving core for large volumes, born of a programme of several ministries.",
        ),
        licence="CECILL-2.1",
        themes="archiving document-management",
        repository="https://github.com/ProgrammeVitam/vitam",
        homepage="https://www.programmevitam.fr",
        steward="Programme Vitam",
        alternatives=["megalis/asalae"],
        wikidata="Q65130365",
        comptoir=323,
    ),
    _solution(
        "megalis/georchestra",
        "geOrchestra",
        _say(
            "Infrastructure de données géographiques : catalogue, services OGC, visualiseur, droits d’accès.",
            "Spatial data infrastructure: catalogue, OGC services, viewer, access rights.",
        ),
        licence="GPL-3.0-or-later",
        themes="geodata geographic-information-systems",
        repository="https://github.com/georchestra/georchestra",
        homepage="https://www.georchestra.org",
        depends_on=["megalis/geonetwork", "maximilien/postgresql"],
    ),
    _solution(
        "megalis/geonetwork",
        "GeoNetwork",
        _say(
            "Catalogue de métadonnées géographiques : recherche, édition, moissonnage.",
            "Catalogue of geographic metadata: search, editing, harvesting.",
        ),
        licence="GPL-2.0-or-later",
        themes="geodata geographic-information-systems",
        repository="https://github.com/geonetwork/core-geonetwork",
        homepage="https://geonetwork-opensource.org",
    ),
    _solution(
        "megalis/qgis",
        "QGIS",
        _say(
            "Logiciel de bureau pour consulter, produire et analyser des données géographiques.",
            "Desktop software to view, make and analyse geographic data.",
        ),
        licence="GPL-2.0-or-later",
        themes="geodata geographic-information-systems",
        repository="https://github.com/qgis/QGIS",
        homepage="https://qgis.org",
        documentation="https://docs.qgis.org",
        wikidata="Q1329181",
        comptoir=60,
    ),
    _solution(
        "megalis/udata",
        "udata",
        _say(
            "Portail de données ouvertes, celui sur lequel repose data.gouv.fr.",
            "Open data portal, the one that data.gouv.fr rests on.",
        ),
        licence="MIT",
        themes="geodata data-collection data-visualization",
        repository="https://github.com/opendatateam/udata",
        documentation="https://udata.readthedocs.io",
        packages=[{"purl": "pkg:pypi/udata"}],
        alternatives=["maximilien/ckan"],
    ),
)

_RECIA = (
    _solution(
        "recia/esup-pod",
        "Esup-Pod",
        _say(
            "Dépôt, encodage et diffusion de vidéos pour l’enseignement.",
            "Deposit, encoding and publishing of videos for education.",
        ),
        licence="LGPL-3.0-or-later",
        themes="education video-editing communications",
        repository="https://github.com/EsupPortail/Esup-Pod",
        homepage="https://pod.esup-portail.org",
        documentation="https://www.esup-portail.org/wiki/display/ES/Esup-Pod",
        steward="Esup-Portail",
        maintenance="community",
        releases=[{"version": "3.5.2", "released_at": "2024-03-28"}],
        alternatives=["recia/peertube"],
        comptoir=397,
    ),
    _solution(
        "recia/moodle",
        "Moodle",
        _say(
            "Plateforme de cours en ligne : parcours, exercices, évaluations.",
            "Platform for online courses: paths, exercises, assessment.",
        ),
        licence="GPL-3.0-or-later",
        themes="education learning-management-system",
        repository="https://github.com/moodle/moodle",
        homepage="https://moodle.org",
        version_scheme="generic",
        wikidata="Q190434",
        comptoir=250,
    ),
    _solution(
        "recia/peertube",
        "PeerTube",
        _say(
            "Hébergement de vidéos fédéré : chaque serveur est indépendant et relié aux autres.",
            "Federated video hosting: each server is independent and connected to the others.",
        ),
        licence="AGPL-3.0-or-later",
        themes="communications education",
        repository="https://github.com/Chocobozzz/PeerTube",
        homepage="https://joinpeertube.org",
        depends_on=["maximilien/postgresql"],
        alternatives=["recia/esup-pod"],
        wikidata="Q50938515",
        comptoir=140,
    ),
    _solution(
        "recia/bigbluebutton",
        "BigBlueButton",
        _say(
            "Classe virtuelle et visioconférence : tableau blanc, sondages, groupes, enregistrement.",
            "Virtual classroom and web conferencing: whiteboard, polls, breakout rooms, recording.",
        ),
        licence="LGPL-3.0-or-later",
        themes="web-conferencing video-conferencing education",
        repository="https://github.com/bigbluebutton/bigbluebutton",
        homepage="https://bigbluebutton.org",
        documentation="https://docs.bigbluebutton.org",
        alternatives=["recia/jitsi-meet"],
        wikidata="Q4904858",
        comptoir=384,
    ),
    _solution(
        "recia/jitsi-meet",
        "Jitsi Meet",
        _say(
            "Visioconférence dans le navigateur, sans rien installer.",
            "Video conferencing in the browser, with nothing to install.",
        ),
        licence="Apache-2.0",
        themes="web-conferencing video-conferencing sovereign-workplace",
        repository="https://github.com/jitsi/jitsi-meet",
        documentation="https://jitsi.github.io/handbook",
        alternatives=["recia/bigbluebutton"],
        wikidata="Q87849488",
        comptoir=65,
    ),
    _solution(
        "recia/xwiki",
        "XWiki",
        _say(
            "Wiki d’entreprise et base de connaissances, que l’on étend par des applications.",
            "Enterprise wiki and knowledge base that applications can extend.",
        ),
        licence="LGPL-2.1-or-later",
        themes="knowledge-management collaboration sovereign-workplace",
        repository="https://github.com/xwiki/xwiki-platform",
        homepage="https://www.xwiki.org",
        packages=[{"cpe": "cpe:2.3:a:xwiki:xwiki:*:*:*:*:*:*:*:*"}],
        version_scheme="generic",
        wikidata="Q526699",
        comptoir=11,
    ),
    _solution(
        "recia/libreoffice",
        "LibreOffice",
        _say(
            "Suite bureautique complète au format ouvert OpenDocument.",
            "Complete office suite with the open OpenDocument format.",
        ),
        licence="MPL-2.0",
        themes="office productivity-suite sovereign-workplace",
        repository="https://git.libreoffice.org/core",
        homepage="https://www.libreoffice.org",
        wikidata="Q10135",
        comptoir=33,
    ),
    _solution(
        "recia/onlyoffice-docs",
        "ONLYOFFICE Docs",
        _say(
            "Édition à plusieurs de documents bureautiques en ligne, à relier à un espace de fichiers.",
            "Online editing of office documents together, to be connected to a file space.",
        ),
        licence="AGPL-3.0-only",
        themes="office collaboration",
        repository="https://github.com/ONLYOFFICE/DocumentServer",
        steward="Ascensio System SIA",
        alternatives=["arnia/collabora-online"],
    ),
    _solution(
        "recia/lemonldap-ng",
        "LemonLDAP::NG",
        _say(
            "Authentification unique et contrôle d’accès aux applications web.",
            "Single sign-on and access control for web applications.",
        ),
        licence="GPL-2.0-or-later",
        themes="identity-management cybersecurity infrastructure",
        repository="https://gitlab.ow2.org/lemonldap-ng/lemonldap-ng",
        homepage="https://lemonldap-ng.org",
        alternatives=["maximilien/keycloak"],
        wikidata="Q3229380",
        comptoir=101,
    ),
    _solution(
        "recia/zabbix",
        "Zabbix",
        _say(
            "Supervision des réseaux, serveurs et applications, avec alertes et tableaux de bord.",
            "Monitoring of networks, servers and applications, with alerts and dashboards.",
        ),
        # Since 7.0; earlier versions are GPL-2.0.
        licence="AGPL-3.0-only",
        themes="infrastructure network-management it-management",
        repository="https://github.com/zabbix/zabbix",
        homepage="https://www.zabbix.com",
        releases=[{"version": "7.0.0", "released_at": "2024-06-04"}],
        alternatives=["maximilien/centreon"],
        version_scheme="generic",
    ),
    _solution(
        "recia/proxmox-ve",
        "Proxmox VE",
        _say(
            "Virtualisation de serveurs : machines virtuelles, conteneurs, grappes.",
            "Server virtualisation: virtual machines, containers, clusters.",
        ),
        licence="AGPL-3.0-or-later",
        themes="infrastructure cloud-management it-management",
        repository="https://github.com/proxmox/pve-manager",
        homepage="https://www.proxmox.com/en/proxmox-ve",
        steward="Proxmox Server Solutions GmbH",
        wikidata="Q344376",
        comptoir=113,
    ),
)

_MAXIMILIEN = (
    _solution(
        "maximilien/demarches-simplifiees",
        "Démarches simplifiées",
        _say(
            "Mise en ligne de formulaires et instruction des dossiers déposés par les usagers.",
            "Forms put online, and the handling of what citizens submit with them.",
        ),
        kind="service",
        licence="AGPL-3.0-only",
        themes="e-administration citizen-relation digital-citizenship",
        repository="https://github.com/demarche-numerique/demarche.numerique.gouv.fr",
        homepage="https://www.demarches-simplifiees.fr",
        documentation="https://doc.demarches-simplifiees.fr",
        steward="DINUM",
        depends_on=["maximilien/postgresql"],
        alternatives=["arnia/publik", "maximilien/lutece"],
    ),
    _solution(
        "maximilien/lutece",
        "Lutece",
        _say(
            "Moteur de portail et services aux usagers en modules, né à la Ville de Paris.",
            "Portal engine with modules for services to citizens, born at the City of Paris.",
        ),
        licence="BSD-3-Clause",
        themes="citizen-relation content-management website-builder",
        repository="https://github.com/lutece-platform/lutece-core",
        steward="Ville de Paris",
        alternatives=["arnia/publik", "maximilien/demarches-simplifiees"],
    ),
    _solution(
        "maximilien/rdv-service-public",
        "RDV Service Public",
        _say(
            "Prise de rendez-vous des usagers avec les services publics, avec rappels.",
            "Appointments of citizens with public services, with reminders.",
        ),
        kind="service",
        licence="AGPL-3.0-only",
        themes="appointment-scheduling citizen-relation e-administration",
        repository="https://github.com/betagouv/rdv-service-public",
        depends_on=["maximilien/postgresql"],
    ),
    _solution(
        "maximilien/tchap",
        "Tchap",
        _say(
            "Messagerie instantanée de l’État pour les agents publics, sur le protocole ouvert Matrix.",
            "Instant messaging of the French State for public servants, on the open protocol Matrix.",
        ),
        kind="service",
        # Of its web client, as the repository.
        licence="Apache-2.0",
        themes="instant-messaging sovereign-workplace communications",
        repository="https://github.com/tchapgouv/tchap-web-v4",
        homepage="https://www.tchap.gouv.fr",
        steward="DINUM",
        alternatives=["maximilien/synapse"],
    ),
    _solution(
        "maximilien/synapse",
        "Matrix Synapse",
        _say(
            "Serveur de messagerie Matrix : salons chiffrés, fédérés avec ceux d’autres organisations.",
            "Matrix messaging server: encrypted rooms, federated with those of other organisations.",
        ),
        licence="AGPL-3.0-or-later",
        themes="instant-messaging communications sovereign-workplace",
        repository="https://github.com/element-hq/synapse",
        documentation="https://element-hq.github.io/synapse/latest",
        steward="Element",
        depends_on=["maximilien/postgresql"],
        packages=[{"purl": "pkg:pypi/matrix-synapse"}],
        alternatives=["maximilien/tchap"],
        version_scheme="generic",
    ),
    _solution(
        "maximilien/postgresql",
        "PostgreSQL",
        _say(
            "Base de données relationnelle sur laquelle reposent beaucoup d’autres solutions.",
            "Relational database that many other solutions rest on.",
        ),
        licence="PostgreSQL",
        themes="infrastructure it-development",
        repository="https://git.postgresql.org/git/postgresql",
        homepage="https://www.postgresql.org",
        documentation="https://www.postgresql.org/docs",
        maintenance="community",
        packages=[{"cpe": "cpe:2.3:a:postgresql:postgresql:*:*:*:*:*:*:*:*"}],
        version_scheme="generic",
        wikidata="Q192490",
        comptoir=123,
    ),
    _solution(
        "maximilien/opensearch",
        "OpenSearch",
        _say(
            "Moteur de recherche et d’analyse de textes et de journaux.",
            "Search and analytics engine for texts and logs.",
        ),
        licence="Apache-2.0",
        themes="infrastructure data-analytics",
        repository="https://github.com/opensearch-project/OpenSearch",
        homepage="https://opensearch.org",
        packages=[{"purl": "pkg:maven/org.opensearch/opensearch"}],
    ),
    _solution(
        "maximilien/keycloak",
        "Keycloak",
        _say(
            "Gestion des identités et des accès : comptes, fédération, double authentification.",
            "Identity and access management: accounts, federation, second factor.",
        ),
        licence="Apache-2.0",
        themes="identity-management cybersecurity infrastructure",
        repository="https://github.com/keycloak/keycloak",
        homepage="https://www.keycloak.org",
        documentation="https://www.keycloak.org/documentation.html",
        alternatives=["recia/lemonldap-ng"],
        version_scheme="generic",
        wikidata="Q42916195",
        comptoir=301,
    ),
    _solution(
        "maximilien/centreon",
        "Centreon",
        _say(
            "Supervision de l’informatique et des services, d’origine française.",
            "Monitoring of IT and services, of French origin.",
        ),
        licence="Apache-2.0",
        themes="infrastructure network-management it-management",
        repository="https://github.com/centreon/centreon",
        homepage="https://www.centreon.com",
        documentation="https://docs.centreon.com",
        steward="Centreon",
        alternatives=["recia/zabbix"],
        wikidata="Q2946121",
        comptoir=210,
    ),
    _solution(
        "maximilien/ckan",
        "CKAN",
        _say(
            "Portail de données ouvertes : publication, recherche, interface de programmation.",
            "Open data portal: publishing, search, programming interface.",
        ),
        licence="AGPL-3.0-only",
        themes="geodata data-collection data-visualization",
        repository="https://github.com/ckan/ckan",
        homepage="https://ckan.org",
        documentation="https://docs.ckan.org",
        packages=[{"purl": "pkg:pypi/ckan"}],
        alternatives=["megalis/udata"],
    ),
    _solution(
        "maximilien/dsfr",
        "Système de design de l’État (DSFR)",
        _say(
            "Composants d’interface des sites de l’État ; son emploi est réservé par des conditions propres.",
            "Interface components of the State's web sites; conditions of its own reserve who may use it.",
        ),
        # But not the typeface Marianne.
        licence="MIT",
        themes="design-system it-development",
        repository="https://github.com/GouvernementFR/dsfr",
        homepage="https://www.systeme-de-design.gouv.fr",
        steward="Service d'information du Gouvernement",
        packages=[{"purl": "pkg:npm/%40gouvfr/dsfr"}],
    ),
)

SOLUTIONS = _by_id(*_ARNIA, *_MEGALIS, *_RECIA, *_MAXIMILIEN)

INCIDENTS = _by_id(
    _incident(
        "arnia/CVE-2025-24799",
        _say(
            "GLPI : injection SQL sans authentification",
            "GLPI: SQL injection without authentication",
        ),
        _say(
            "Quiconque atteint le point d’entrée de l’inventaire peut interroger la base de données. "
            "Passer en 10.0.18.",
            "Whoever reaches the inventory endpoint can query the database through it. Upgrade to 10.0.18.",
        ),
        kind="vulnerability",
        status="open",
        severity="high",
        detected_at="2025-03-18T18:27:54Z",
        affects=[
            {"solution": "arnia/glpi", "range": "vers:generic/>=10.0.0|<10.0.18", "fixed_in": ["10.0.18"]}
        ],
        aliases=["CVE-2025-24799", "GHSA-jv89-g7f7-jwfg"],
        cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        exploitation="none",
        remediations=[
            {
                "category": "vendor_fix",
                "text": _say("Installer GLPI 10.0.18.", "Install GLPI 10.0.18."),
                "url": "https://github.com/glpi-project/glpi/security/advisories/GHSA-jv89-g7f7-jwfg",
                "version": "10.0.18",
            }
        ],
        source={"url": "https://www.cve.org/CVERecord?id=CVE-2025-24799"},
    ),
    _incident(
        "recia/CVE-2025-24893",
        _say(
            "XWiki : exécution de code par un visiteur, exploitée",
            "XWiki: code execution by a visitor, exploited",
        ),
        _say(
            "Une requête à la recherche Solr suffit à un visiteur sans compte pour exécuter du code sur le "
            "serveur. Des attaques réelles sont connues. Passer en 15.10.11 ou 16.4.1.",
            "One request to the Solr search lets a visitor without an account run code on the server. Real "
            "attacks are known. Upgrade to 15.10.11 or 16.4.1.",
        ),
        kind="vulnerability",
        status="open",
        severity="critical",
        detected_at="2025-02-20T19:19:10Z",
        # One entry for each branch that is looked after: each has a fix of its own.
        affects=[
            {
                "solution": "recia/xwiki",
                "range": "vers:generic/>=5.3-milestone-2|<15.10.11",
                "fixed_in": ["15.10.11"],
            },
            {
                "solution": "recia/xwiki",
                "range": "vers:generic/>=16.0.0-rc-1|<16.4.1",
                "fixed_in": ["16.4.1"],
            },
        ],
        aliases=["CVE-2025-24893", "GHSA-rr6p-3pfg-562j"],
        cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        # CISA has listed it as known to be exploited since 2025-10-30.
        exploitation="active",
        remediations=[
            {
                "category": "vendor_fix",
                "text": _say(f"Installer XWiki {version}.", f"Install XWiki {version}."),
                "url": "https://github.com/xwiki/xwiki-platform/security/advisories/GHSA-rr6p-3pfg-562j",
                "version": version,
            }
            for version in ("15.10.11", "16.4.1")
        ],
        source={"url": "https://www.cve.org/CVERecord?id=CVE-2025-24893"},
    ),
    _incident(
        "megalis/demo-2026-outage",
        _say(
            "Démonstration : parapheur indisponible",
            "Demonstration: signature book unavailable",
        ),
        _say(
            "Panne inventée pour la démonstration : la signature est arrêtée, rien n’est perdu.",
            "Outage invented for the demonstration: signing has stopped, nothing is lost.",
        ),
        kind="outage",
        status="identified",
        severity="medium",
        started_at="2026-03-10T08:05:00Z",
        affects=[{"solution": "megalis/i-parapheur"}],
        updates=[
            {
                "at": "2026-03-10T08:20:00Z",
                "status": "investigating",
                "text": _say(
                    "Démonstration : des agents signalent des erreurs à la signature.",
                    "Demonstration: staff report errors when they sign.",
                ),
            },
            {
                "at": "2026-03-10T08:50:00Z",
                "status": "identified",
                "text": _say(
                    "Démonstration : un disque est plein, il est en cours d’extension.",
                    "Demonstration: a disk is full and is being extended.",
                ),
            },
        ],
    ),
    _incident(
        "maximilien/demo-2027-maintenance",
        _say(
            "Démonstration : maintenance des comptes",
            "Demonstration: maintenance of accounts",
        ),
        _say(
            "Maintenance inventée pour la démonstration : pas de connexion pendant deux heures.",
            "Maintenance invented for the demonstration: nobody can log in for two hours.",
        ),
        kind="maintenance",
        status="scheduled",
        severity="low",
        scheduled_for="2027-01-12T19:00:00Z",
        scheduled_until="2027-01-12T21:00:00Z",
        affects=[{"solution": "maximilien/keycloak"}],
    ),
)
