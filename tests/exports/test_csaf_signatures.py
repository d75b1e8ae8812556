"""OpenPGP signatures of the CSAF documents, and the keys for them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pysequoia
import pytest
from pysequoia.packet import PacketPile, Tag

from federation.domain.errors import CommandFailed, Conflict, NotFound
from federation.node import csaf_signatures, openpgp
from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.audit.audit_trail import entries
from tests.domain.builders import a_solution, a_statement
from tests.exports.test_csaf import CVE, FEED, GLPI, check, entries_of, needs_schemas, publish_flaw
from tests.exposure.commands import invoke
from tests.nodes import publish

METADATA = "/.well-known/csaf/provider-metadata.json"


def verify(body: bytes, signature: bytes, certificate: bytes) -> str:
    """The fingerprint of the certificate by which a signature is good. Raises RuntimeError."""
    known = pysequoia.Cert.from_bytes(certificate)
    parsed = pysequoia.Sig.from_bytes(signature)
    result = pysequoia.verify(bytes=body, store=lambda ids: [known], signature=parsed)
    fingerprint: str = result.valid_sigs[0].certificate
    return fingerprint.upper()


async def two_documents(node: Node) -> None:
    await publish(node, "solution", "glpi", a_solution(packages=GLPI), tlp="CLEAR")
    await publish_flaw(node)
    await publish(node, "statement", "s1", a_statement(incident=f"arnia/{CVE}"), tlp="CLEAR")


async def listed_keys(client: httpx2.AsyncClient) -> dict[str, bytes]:
    """The public keys that the metadata names, by fingerprint, in its order."""
    keys = fine(await client.get(METADATA)).get("public_openpgp_keys", [])
    found = {}
    for key in keys:
        answer = await client.get(key["url"].removeprefix("https://arnia.test"))
        assert answer.headers["content-type"] == "application/pgp-keys"
        found[key["fingerprint"]] = answer.content
    return found


def links_of(entry: dict[str, Any]) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in entry["link"] if link["rel"] != "hash"}


async def test_without_a_key_nothing_is_signed(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    arnia.url = "https://arnia.test"
    await two_documents(arnia)
    metadata = fine(await anyone.get(METADATA))
    assert (metadata["role"], "public_openpgp_keys" in metadata) == ("csaf_provider", False)
    for entry in await entries_of(anyone):
        assert set(links_of(entry)) == {"self"}
        refused(await anyone.get(f"{entry['content']['src']}.asc"), 404, "not-found")


@needs_schemas
async def test_every_document_has_a_signature_by_the_key_that_the_metadata_names(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    arnia.url = "https://arnia.test"
    await two_documents(arnia)
    before = await entries_of(anyone)
    key = await csaf_signatures.add_key(arnia)
    metadata = fine(await anyone.get(METADATA))
    check(metadata, "provider_json_schema.json")
    assert metadata["role"] == "csaf_trusted_provider"
    certificate = (await listed_keys(anyone))[key.fingerprint]
    listed = await entries_of(anyone)
    assert [entry["id"] for entry in listed] == [entry["id"] for entry in before]
    assert len(listed) == 2
    for entry in listed:
        url = entry["content"]["src"]
        assert links_of(entry) == {"self": url, "signature": f"{url}.asc"}
        body = (await anyone.get(url)).content
        answer = await anyone.get(f"{url}.asc")
        assert answer.headers["content-type"] == "application/pgp-signature"
        assert answer.content.startswith(b"-----BEGIN PGP SIGNATURE-----")
        assert verify(body, answer.content, certificate) == key.fingerprint
        with pytest.raises(RuntimeError, match="no valid signatures"):
            verify(body.replace(b"final", b"draft"), answer.content, certificate)
        again = await anyone.get(f"{url}.asc", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304  # (another signature would have another hash)
    refused(await anyone.get(f"/.well-known/csaf/openpgp/{'0' * 40}.asc"), 404, "not-found")


async def test_gnupg_verifies_a_signature_and_refuses_an_altered_document(
    anyone: httpx2.AsyncClient, arnia: Node, tmp_path: Path
) -> None:
    gpg = shutil.which("gpg")
    if gpg is None:
        pytest.skip("GnuPG is not installed here: apt-get install gpg")
    await two_documents(arnia)
    key = await csaf_signatures.add_key(arnia)
    url = (await entries_of(anyone))[0]["content"]["src"]
    document, signature, public = (
        tmp_path / name for name in ("document.json", "document.json.asc", "key.asc")
    )
    document.write_bytes((await anyone.get(url)).content)
    signature.write_bytes((await anyone.get(f"{url}.asc")).content)
    public.write_bytes(key.certificate)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        line = [gpg, "--homedir", home, "--batch", "--no-autostart", "--status-fd", "1", *words]
        return subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)

    assert run("--import", public).returncode == 0
    good = run("--verify", signature, document)
    (line,) = (line for line in good.stdout.splitlines() if " VALIDSIG " in line)
    assert (good.returncode, line.split()[-1]) == (0, key.fingerprint)  # of the primary key
    document.write_bytes(document.read_bytes() + b" ")
    bad = run("--verify", signature, document)
    assert (bad.returncode, "BADSIG" in bad.stdout) == (1, True)


async def test_a_key_signs_only_and_carries_the_name_and_the_security_mailbox(arnia: Node) -> None:
    arnia.security_contact = "mailto:security@arnia.example.org"
    arnia.name = "Arnia <the \n operator>"
    key = await csaf_signatures.add_key(arnia)
    certificate = pysequoia.Cert.from_bytes(key.certificate)
    assert list(map(str, certificate.user_ids)) == ["Arnia the operator <security@arnia.example.org>"]
    assert certificate.expiration is None
    flags = [
        repr(packet.key_flags)
        for packet in PacketPile.from_bytes(bytes(certificate))
        if packet.tag == Tag.Signature
    ]
    assert all("encryption" not in text for text in flags)
    assert b"PRIVATE" not in key.certificate
    assert any("signing" in text for text in flags)
    arnia.security_contact = None
    other = pysequoia.Cert.from_bytes((await csaf_signatures.add_key(arnia)).certificate)
    assert list(map(str, other.user_ids)) == [f"Arnia the operator ({arnia.url})"]


async def test_a_new_key_signs_and_the_former_one_stays_listed_for_what_was_mirrored(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    arnia.url = "https://arnia.test"
    await two_documents(arnia)
    former = await csaf_signatures.add_key(arnia)
    url = (await entries_of(anyone))[0]["content"]["src"]
    body, mirrored = (await anyone.get(url)).content, (await anyone.get(f"{url}.asc")).content
    start = arnia.clock
    arnia.clock = lambda: start().replace(year=start().year + 1)
    key = await csaf_signatures.add_key(arnia)
    certificates = await listed_keys(anyone)
    assert list(certificates) == [key.fingerprint, former.fingerprint]
    signature = (await anyone.get(f"{url}.asc")).content
    assert verify(body, signature, certificates[key.fingerprint]) == key.fingerprint
    assert verify(body, mirrored, certificates[former.fingerprint]) == former.fingerprint
    with pytest.raises(RuntimeError):
        verify(body, signature, certificates[former.fingerprint])
    assert [stored.state for stored in await csaf_signatures.keys(arnia)] == ["signs", "replaced"]


async def test_a_revoked_key_is_published_as_revoked_and_signs_no_more(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    arnia.url = "https://arnia.test"
    await two_documents(arnia)
    key = await csaf_signatures.add_key(arnia)
    url = (await entries_of(anyone))[0]["content"]["src"]
    body, signature = (await anyone.get(url)).content, (await anyone.get(f"{url}.asc")).content
    with pytest.raises(NotFound):
        await csaf_signatures.revoke_key(arnia, "0" * 40)
    await csaf_signatures.revoke_key(arnia, key.fingerprint)
    with pytest.raises(Conflict):
        await csaf_signatures.revoke_key(arnia, key.fingerprint)
    (certificate,) = (await listed_keys(anyone)).values()
    assert pysequoia.Cert.from_bytes(certificate).is_revoked
    with pytest.raises(RuntimeError):
        verify(body, signature, certificate)
    assert fine(await anyone.get(METADATA))["role"] == "csaf_provider"
    assert "signature" not in links_of((await entries_of(anyone))[0])
    refused(await anyone.get(f"{url}.asc"), 404, "not-found")


async def test_nobody_gets_the_signature_of_a_document_that_they_may_not_see(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    key = await csaf_signatures.add_key(arnia)
    for tlp in ("CLEAR", "GREEN", "RED"):
        await publish_flaw(arnia, f"on-{tlp.lower()}", tlp=tlp)
    readers = {"clear": (anyone, peer, own), "green": (peer, own), "red": ()}
    for name, label in (("clear", "white"), ("green", "green"), ("red", "amber")):
        url = f"/csaf/{label}/incidents/on-{name}/arnia-incident-on-{name}.json"
        for client in (anyone, peer, own):
            answer = await client.get(f"{url}.asc")
            if client in readers[name]:
                assert verify((await client.get(url)).content, answer.content, key.certificate)
            else:
                refused(answer, 404, "not-found")


async def test_without_the_library_no_key_is_made_and_documents_are_not_signed(
    anyone: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    arnia.url = "https://arnia.test"
    await two_documents(arnia)
    key = await csaf_signatures.add_key(arnia)
    assert "signature" in links_of((await entries_of(anyone))[0])
    monkeypatch.setattr(openpgp, "find_spec", lambda name: None)
    for act in (csaf_signatures.add_key(arnia), csaf_signatures.revoke_key(arnia, key.fingerprint)):
        with pytest.raises(CommandFailed, match=r"install federation\[openpgp\]"):
            await act
    assert fine(await anyone.get(METADATA))["role"] == "csaf_provider"
    assert list(await listed_keys(anyone)) == [key.fingerprint]
    url = (await entries_of(anyone))[0]["content"]["src"]
    assert "signature" not in (await anyone.get(FEED)).text
    refused(await anyone.get(f"{url}.asc"), 404, "not-found")


async def test_signatures_are_remembered_up_to_a_bound(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csaf_signatures, "MAX_SIGNATURES", 2)
    await csaf_signatures.add_key(arnia)
    first = await csaf_signatures.signature(arnia, b"1")
    assert await csaf_signatures.signature(arnia, b"1") == first
    await csaf_signatures.signature(arnia, b"2")
    assert await csaf_signatures.signature(arnia, b"1") == first
    await csaf_signatures.signature(arnia, b"3")
    assert await csaf_signatures.signature(arnia, b"1") == first
    assert len(csaf_signatures._signatures[arnia]) == 2


async def test_the_commands_make_show_and_revoke_a_key(
    arnia: Node, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ran(*words: str) -> tuple[int, str]:
        result = await invoke(dsn, *words)
        return result.exit_code, result.stdout + result.stderr

    assert "CSAF documents are not signed: there is no OpenPGP key" in (await ran("status"))[1]
    status, text = await ran("key", "openpgp", "new")
    (key,) = await csaf_signatures.keys(arnia)
    assert (status, text) == (0, f"{key.fingerprint} signs from now on\n")
    signed = f"CSAF documents are signed by the OpenPGP key {key.fingerprint}"
    assert signed in (await ran("status"))[1]
    assert json.loads((await ran("status", "--json"))[1])["csaf_signed"] is True
    assert (await ran("key", "openpgp"))[1].splitlines()[0] == signed
    with monkeypatch.context() as patch:
        patch.setattr(openpgp, "find_spec", lambda name: None)
        refused_line = "federation: OpenPGP needs the package pysequoia: install federation[openpgp]\n"
        assert await ran("key", "openpgp", "new") == (1, refused_line)
        assert "federation[openpgp] is not installed" in (await ran("status"))[1]
    status, text = await ran("key", "openpgp", "revoke", key.fingerprint.lower(), "--yes")
    assert (status, "CSAF documents are not signed" in text) == (0, True)
    shown = json.loads((await ran("key", "openpgp", "--json"))[1])
    assert (shown["signed"], [stored["state"] for stored in shown["keys"]]) == (False, ["revoked"])
    assert "PRIVATE" not in (await ran("key", "openpgp", "--json"))[1]
    assert [entry.event for entry in await entries(arnia)] == ["openpgp-key.added", "openpgp-key.revoked"]
