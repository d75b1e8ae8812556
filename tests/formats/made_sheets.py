"""Spreadsheets as operators have them. Communes are real ones of the register; who runs what is invented."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import odfdo
import xlsxwriter

from federation.domain.territories.bodies import Body, bodies

Table = Sequence[Sequence[Any]]

DEPLOYMENT_HEAD = (
    "Commune", "Code INSEE", "SIREN", "Logiciel", "Version", "Statut", "Mise en service", "Hébergement",
    "Mutualisé", "Population",
)  # fmt: skip
SOFTWARE = (("GLPI", "10.0.6"), ("XWiki", "15.10.2"), ("Nextcloud", "28.0.1"), ("Publik", "en continu"))
SOLUTIONS: Table = (
    ("Clé", "Nom", "Résumé", "Type", "Maturité", "Licence", "Thèmes", "Code source", "Wikidata"),
    ("glpi", "GLPI", "Gestion de parc informatique", "Logiciel", "stable", "gpl-3.0-or-later",
     "Gestion de parc", "https://github.com/glpi-project/glpi", "Q1485580"),
    ("xwiki", "XWiki", "Wiki d'organisation", "Logiciel", "En production", "LGPL-2.1-or-later",
     "collaboration; GED", "github.com/xwiki/xwiki-platform", ""),
    ("", "Nextcloud", "", "", "", "", "", "", ""),
    ("", "Publik", "Démarches en ligne", "Service", "", "libre", "Démarches en ligne, signature", "", ""),
)  # fmt: skip
OFFERS: Table = (
    ("Offre", "Solution", "Contact", "Tarif", "Publics", "Population minimale",
     "Population maximale", "Valable jusqu'au"),
    ("GLPI pour les petites communes", "GLPI", "contact@arnia.example.org", "0,166 € par habitant et par an",
     "Communes", 0, "3 500", "31/12/2030"),
    ("XWiki mutualisé", "XWiki", "contact@arnia.example.org", "sur devis", "Communes; EPCI; Syndicats",
     "", "", ""),
    ("Nextcloud", "Nextcloud", "contact@arnia.example.org", "gratuit", "", "", "", "15 mars 2031"),
)  # fmt: skip
PARTICIPATIONS: Table = (
    ("Consultation", "Commune", "INSEE", "Besoin : postes", "Besoin : licences", "Statut"),
    ("postes-2026", "Mâcon", "71270", 120, 80, "Besoin recensé"),
    ("postes-2026", "Chalon-sur-Saône", "71076", "1 040", "", "Besoin recensé"),
    ("postes-2026", "Lormes", "58145", 12, 12, "Besoin recensé"),
)  # fmt: skip
GLPI: Table = (
    ("Nom", "Entité", "Éditeur", "Versions - Nom", "Nombre d'installations", "Dernière modification"),
    ("GLPI", "Entité racine", "Teclib'", "10.0.6", "1", "2024-03-15 10:30"),
    ("XWiki", "Entité racine", "XWiki SAS", "15.10.2\n15.9", "2", "2024-03-16 09:00"),
    ("LibreOffice", "Entité racine", "TDF", "7.6\n24.2", "812", "2024-03-16 09:00"),
    ("Sans version", "Entité racine", "", "", "0", ""),
)  # fmt: skip


def communes(count: int) -> list[Body]:
    """So many communes with a SIREN, from all over the register."""
    found = [body for body in bodies() if body.kind == "commune" and body.siren]
    return found[:: len(found) // count][:count]


def deployments(count: int, *, faults: bool = False) -> Table:
    """A sheet of deployments, in various forms of writing; ``faults``: wrong lines, too."""
    rows: list[tuple[Any, ...]] = [DEPLOYMENT_HEAD]
    for number, body in enumerate(communes(count)):
        software, version = SOFTWARE[number % len(SOFTWARE)]
        since = date(2019 + number % 6, 1 + number % 12, 1 + number % 28)
        rows.append(
            (
                body.name,
                body.cog if number % 3 else "",
                f"{body.siren[:3]} {body.siren[3:6]} {body.siren[6:]}"
                if body.siren and number % 3 != 1
                else "",
                software,
                version,
                ("En production", "en service", "Pilote", "prévu", "PRODUCTION")[number % 5],
                (since.strftime("%d/%m/%Y"), since.isoformat(), f"{since.day} mars {since.year}")[number % 3],
                ("Interne", "SaaS éditeur", "Cloud privé", "")[number % 4],
                ("oui", "non", "x", "")[number % 4],
                f"{body.population:,}".replace(",", " "),
            )
        )
    if faults:
        rows += [tuple(row) for row in FAULTY]
    return rows


FAULTY: Table = (
    ("Chalon-sur-Saône", "", "", "GLPI", "10", "", "", "", "", ""),
    ("Mâcon", "71000", "217102706", "Inconnu", "=A1", "peut-être", "31/02/2024", "ailleurs", "?!", ""),
    ("Dijon", "21231", "217102704", "GLPI", "#REF!", "", "", "", "", ""),
)


def csv_of(table: Table, *, encoding: str, separator: str) -> bytes:
    """CSV as a spreadsheet program saves it."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\r\n").writerows(table)
    return out.getvalue().encode(encoding)


def deployments_csv(count: int, *, faults: bool = False) -> bytes:
    """The sheet of deployments as Excel in France saves it: Windows-1252 and semicolons."""
    return csv_of(deployments(count, faults=faults), encoding="cp1252", separator=";")


def xlsx_of(table: Table, *, name: str = "Feuil1") -> bytes:
    """A workbook; dates are dates, and numbers are numbers."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet(name)
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            if isinstance(value, date):
                sheet.write_datetime(row, column, value, day)
            else:
                sheet.write(row, column, value)
    book.close()
    return out.getvalue()


def ods_of(table: Table, *, name: str = "Feuille1") -> bytes:
    """An OpenDocument spreadsheet."""
    document = odfdo.Document("spreadsheet")
    document.body.clear()
    sheet = odfdo.Table(name)
    for values in table:
        row = odfdo.Row()
        row.set_values(list(values))
        sheet.append_row(row)
    document.body.append(sheet)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def decp(**members: Any) -> bytes:
    """A file of DECP 2.0.3 with two contracts; the second one was modified."""
    market: dict[str, Any] = {
        "id": "2024-0042",
        "acheteur": {"id": "21750001630066"},
        "objet": "Postes de travail et maintenance",
        "codeCPV": "30213000-5",
        "dureeMois": 48,
        "montant": 575000.5,
        "dateNotification": "2024-05-15",
        "datePublicationDonnees": "2024-05-25",
        "titulaires": [{"titulaire": {"id": "55204599900869", "typeIdentifiant": "SIRET"}}],
        **members,
    }
    change = {
        "id": 1,
        "montant": 600000,
        "dureeMois": 60,
        "dateNotificationModification": "2025-01-10",
        "datePublicationDonneesModification": "2025-01-20",
        "titulaires": [{"titulaire": {"id": "868768687576575", "typeIdentifiant": "SIRET"}}],
    }
    modified = {**market, "id": "2024-0043", "modifications": [{"modification": change}]}
    return json.dumps({"marches": {"marche": [market, modified]}}).encode()
