"""Advisories read from directories, ZIP archives and standard input, whatever is in them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import zipfile
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from federation.cli import advisory_files, advisory_paths
from federation.cli.advisory_files import read_advisories
from federation.cli.advisory_paths import find_paths
from federation.domain.errors import CommandFailed


def advisory(number: int, size: int = 0) -> bytes:
    return json.dumps({"id": f"GHSA-{number}", "details": "x" * size}).encode()


def an_archive(path: Path, *members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def found(*files: Path) -> dict[str, bytes | str]:
    """What is read of each source: its bytes, or the reason that it is not read."""
    return {Path(file.source).name: file.refusal or file.raw for file in read_advisories(find_paths(files))}


def test_the_members_of_an_archive_are_read_one_by_one(tmp_path: Path) -> None:
    path = an_archive(
        tmp_path / "all.zip",
        ("GHSA-1.json", advisory(1)),
        ("deep/GHSA-2.json", advisory(2)),
        ("../../etc/GHSA-3.json", advisory(3)),
        ("many.jsonl", advisory(4) + b"\n" + advisory(5) + b"\n"),
        ("README.md", b"no advisory"),
        (".hidden/GHSA-6.json", advisory(6)),
        ("__MACOSX/GHSA-7.json", advisory(7)),
        ("._GHSA-8.json", advisory(8)),
    )
    assert found(path) == {
        "all.zip:GHSA-1.json": advisory(1),
        "GHSA-2.json": advisory(2),
        "GHSA-3.json": advisory(3),
        "all.zip:many.jsonl:1": advisory(4),
        "all.zip:many.jsonl:2": advisory(5),
    }
    assert [*tmp_path.rglob("*.json")] == [], "nothing is unpacked"
    path = path.rename(tmp_path / "export")
    assert found(path)["GHSA-2.json"] == advisory(2), "an archive by what it begins with"


def test_a_member_that_is_not_read_has_a_reason_and_the_next_one_follows(tmp_path: Path) -> None:
    inner = an_archive(tmp_path / "inner.zip", ("GHSA-9.json", advisory(9))).read_bytes()
    path = an_archive(
        tmp_path / "all.zip",
        ("bomb.json", b" " * 1_000_000),
        ("inner.zip", inner),
        ("broken.json", advisory(1, 300)),
        ("secret.json", advisory(2)),
        ("fine.json", advisory(3)),
    )
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        broken, secret = archive.getinfo("broken.json"), archive.getinfo("secret.json")
    raw[broken.header_offset + 30 + len("broken.json") + 5] ^= 0xFF
    entry = raw.index(b"secret.json", secret.header_offset + 60) - 46
    for offset in (secret.header_offset + 6, entry + 8):
        raw[offset] |= 1
    path.write_bytes(raw)
    read = {name.rpartition(":")[2]: content for name, content in found(path).items()}
    assert read["bomb.json"] == "it unpacks to more than 200 times its size"
    assert read["inner.zip"] == "it is an archive in an archive: unpack the outer one"
    assert str(read["broken.json"]).startswith("it cannot be unpacked: ")
    assert read["secret.json"] == "it is encrypted"
    assert read["fine.json"] == advisory(3)
    path = an_archive(tmp_path / "other.zip", ("a.json", advisory(1)), compression=zipfile.ZIP_LZMA)
    assert found(path) == {"other.zip:a.json": "it is compressed by method 14: only deflate is read"}


def test_an_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = an_archive(tmp_path / "all.zip", *((f"{n}.json", advisory(n)) for n in range(5)))
    assert len(found(path)) == 5
    monkeypatch.setattr(advisory_files, "MAX_ZIP_BYTES", 3 * len(advisory(1)))
    assert [str(content)[:32] for content in found(path).values()][3:] == [
        "the archive unpacks to more than",
    ], "the rest is not read, and that is said once"
    monkeypatch.setattr(advisory_files, "MAX_ZIP_FILES", 4)
    assert found(path) == {
        "all.zip": "it is no ZIP archive that can be read: it has more than 4 files: unpack it first"
    }
    monkeypatch.setattr(advisory_files, "MAX_READ_BYTES", 100)
    assert "its directory is longer than 100 bytes" in str(found(path)["all.zip"])
    monkeypatch.undo()
    whole = path.read_bytes()
    for cut in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert "ZIP archive" in str(found(path)["all.zip"])


def test_an_archive_that_claims_much_is_not_believed(tmp_path: Path) -> None:
    path = an_archive(tmp_path / "all.zip", ("a.json", advisory(1)))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<L", raw, raw.rindex(b"PK\x05\x06") + 12, 0xFFFFFFF0)
    path.write_bytes(raw)
    assert "ZIP archive" in str(found(path)["all.zip"])


def test_directories_are_walked_and_hidden_files_are_not_read(tmp_path: Path) -> None:
    for name in ("b.json", "a/c.json", "a/.d.json", ".git/e.json", "f.txt", "g.json.sha512"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(advisory(1))
    an_archive(tmp_path / "h.zip", ("i.json", advisory(2)))
    (tmp_path / "j.json").mkdir()
    assert found(tmp_path) == {
        "b.json": advisory(1), "c.json": advisory(1), "h.zip:i.json": advisory(2)
    }  # fmt: skip
    assert [Path(path).name for path in find_paths([tmp_path])] == ["b.json", "h.zip", "c.json"]


def test_there_are_not_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (tmp_path / f"{number}.json").write_bytes(b"{}")
    assert len(find_paths([tmp_path])) == 3
    monkeypatch.setattr(advisory_paths, "MAX_FILES", 2)
    with pytest.raises(CommandFailed):
        find_paths([tmp_path])


def test_standard_input_is_an_advisory_lines_or_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = an_archive(tmp_path / "all.zip", ("a.json", advisory(1)), ("b.json", advisory(2))).read_bytes()

    def given(content: bytes) -> list[str | bytes]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        files = [*read_advisories(find_paths([Path("-")]))]
        assert not sys.stdin.buffer.closed
        return [file.refusal or file.raw for file in files]

    assert given(advisory(1)) == [advisory(1)]
    assert given(advisory(1) + b"\n" + advisory(2)) == [advisory(1), advisory(2)]
    assert given(archive) == [advisory(1), advisory(2)]
    assert given(b"") == ["it is empty"]
    monkeypatch.setattr(advisory_files, "MAX_SPOOLED_BYTES", 10)
    assert given(archive) == ["it is longer than 10 bytes: name the file instead"]


FORM = "it is compressed, or an archive of another form than ZIP: unpack it first"


def test_no_advisory_is_missed_without_a_word_for_the_name_of_its_file(tmp_path: Path) -> None:
    lines = advisory(2) + b"\r\n\r\n" + advisory(3) + b"\r\n"
    members = (
        ("A.JSON", advisory(1)),
        ("b.ndjson", lines),
        ("c.json.gz", gzip.compress(advisory(4))),
        ("d.tar", b"x" * 512),
        ("README.md", b"no advisory"),
    )
    an_archive(tmp_path / "ALL.ZIP", *members)
    for name, content in members:
        (tmp_path / name).write_bytes(content)
    expected = {
        "A.JSON": advisory(1),
        "b.ndjson:1": advisory(2),
        "b.ndjson:3": advisory(3),
        "c.json.gz": FORM,
        "d.tar": FORM,
    }
    assert found(tmp_path) == expected | {f"ALL.ZIP:{name}": read for name, read in expected.items()}


def test_what_has_no_advisory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_bytes(b"x")
    for name, content in {"a.json": b"\n\n", "b.jsonl": b"", "c.jsonl": b"\r\n"}.items():
        (tmp_path / name).write_bytes(content)
    nothing = "no .json, .jsonl or .zip file is in it"
    archive = an_archive(tmp_path / "d.zip", ("README.md", b"x"))
    assert found(tmp_path / "empty", archive) == {"empty": nothing, "d.zip": nothing}
    assert found(*(tmp_path / name for name in ("a.json", "b.jsonl", "c.jsonl"))) == dict.fromkeys(
        ("a.json", "b.jsonl", "c.jsonl"), "it is empty"
    )


def test_other_encodings_of_text_are_refused_in_words_and_a_byte_order_mark_is_passed_over(
    tmp_path: Path,
) -> None:
    text = advisory(1).decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        (tmp_path / encoding).with_suffix(".json").write_bytes(text.encode(encoding))
    assert {*found(tmp_path).values()} == {"it is not in UTF-8, as JSON is (RFC 8259, 8.1)"}
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.json").write_bytes(BOM_UTF8 + advisory(1) + b"\n" + advisory(2))
    assert found(tmp_path / "b") == {"two.json:1": BOM_UTF8 + advisory(1), "two.json:2": advisory(2)}


def test_a_broken_line_after_the_first_advisory_is_refused_alone(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_bytes(advisory(1) + b"\n{broken\n" + advisory(2))
    assert found(path) == {"all.json:1": advisory(1), "all.json:2": b"{broken", "all.json:3": advisory(2)}
    one = b'{"a": {}\n, "b": {}}'
    path.write_bytes(one)
    assert found(path) == {"all.json": one}
