"""Values and texts that break a rule, or nearly do."""

# fmt: off
from __future__ import annotations

from typing import Any

YEARS = (0, 1969, 1970, 2026, 2200, 2201, 9999)
FRACTIONS = ("", "", "", ".", ".1", ".123456", ".1234567", ".000000", ".0000000", ",5")
OFFSETS = ("Z", "Z", "Z", "z", "", "+00:00", "-00:00", "+02:00", "-23:59", "+24:00", "+0200", "+02", " Z")

STRANGE_TEXTS = (
    *("", " ", "\n", "a\n", "\t", "a\nb", "\x00", "\x1f", "\x7f", "\x85", "a\x0bb", "a\rb", "\b\f"),
    *("\u200b", "\ufeff", "\u202ex", "\u2066x\u2069", "\u00ad"),
    *("\u2060", "\u061c", "\U000e0041", "\ufffe", "\ufffd"),
    *("\u00e9", "e\u0301", "\u212b", "\u1100\u1161"),
    *("\uac01", "\uf900", "a\u0334\u0316", "\ufb01", "\u212a"),
    *("\ue000", "\U0010ffff", "\ufdd0", "\U0001fae9"),
    *("\u0378", "\u2fe0", "\U000e0fff", "\U0001f9ff", "\u2028"),
    *("\ud800", "\udfff\ud800", "😀", "x" * 201, "x" * 20_001, "é" * 200, "😀" * 200, '"\\/<>&\''),
    *("2026-02-29", "2024-02-29", "1969-12-31", "2201-01-01", "2026-13-01", "2026-03-01T24:00:00Z"),
    *("2026-03-01T08:30:60Z", "2026-03-01T08:30:00.1234567Z"),
    *("2026-03-01T08:30:00+00:00", "2026-04-31T00:00:00Z"),
    *("2026-03-01t08:30:00z", "2200-12-31T23:59:59.999999Z"),
    *("2026-03-01T08:30:00.Z", "2026-03-01 08:30:00Z"),
    *("https://[", "https://user:secret@example.org", "http://a b"),
    *("https://exa\u200bmple.org", "ftp://x", "https://x"),
    *("https://[::1]:8080/x", "https://x:99999999/", "https://x/%zz"),
    *("javascript:alert(1)", "urn:x:y", "https://é.fr"),
    *("arnia/glpi", "arnia/", "/x", "arnia/glpi/x", "Arnia/glpi"),
    *("pkg:npm/x", "vers:generic/>=1|<2", "vers:x/", "xx"),
    *("GPL-3.0-or-later", "gpl-3.0-OR-later", "NONSENSE"),
    *("MIT AND (", "fr", "fr-FR", "FR", "217100767", "0002", "cog"),
)
STRANGE_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**53 - 1, 2**53),
    *(-(2**53) + 1, -(2**53), 10**30, 1.5, 1.0, -0.0, 1e300, 1e-7),
    *([], {}, [None], {"a": None}, [[]], {"": 1}, {"\u00e9": 1}),
    *({"e\u0301": 1}, {"\u200b": 1}, {"__proto__": {"x": 1}}),
    *({"constructor": 1, "toString": 2, "hasOwnProperty": 3}, {"10": 1, "9": 2, "a": 3, "A": 4}),
)
