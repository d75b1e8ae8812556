"""Templates: compiled once for both languages, with the filters that pages share.

A template is given the structs that its page has made; a name that it does not have is an error. All that it
shows is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined, nodes
from jinja2.bccache import Bucket
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape

from federation.domain.messages import LANGUAGES, Language, Message
from federation.web import formatting, labels
from federation.web.language import LANGUAGE_NAMES, translate, translate_number
from federation.web.static_files import static_path

SCHEMES = frozenset({"https", "http", "mailto", "tel"})
"""Schemes of addresses that a page links to."""


class CompiledTemplates(BytecodeCache):
    """The code of templates that one language has compiled, for the other: it is the same."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._code.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = CompiledTemplates()


class _PlainTexts(dict[str, Markup]):
    """The texts of screens without values, in a language, by the English text."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def __missing__(self, english: str) -> Markup:
        text = self[english] = Markup(translate(self._language, english)) % {}  # noqa: S704 - of this program
        return text


class _Environment(Environment):
    """Looks a text without values up, ``_("…")``, where the extension calls three functions for each."""

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        return super()._generate(_LookUps().visit(source), name, filename, defer_init)


class _LookUps(NodeTransformer):
    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        called, args = node.node, node.args
        if isinstance(called, nodes.Name) and called.name == "_" and not node.kwargs and len(args) == 1:
            (text,) = args
            if isinstance(text, nodes.Const):
                texts = nodes.Name("plain_texts", "load", lineno=node.lineno)
                return nodes.Getitem(texts, text, "load", lineno=node.lineno)
        return self.generic_visit(node)


@cache
def environment(language: Language) -> Environment:
    """The templates of a language."""
    made = _Environment(
        loader=PackageLoader("federation.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_COMPILED,
        extensions=["jinja2.ext.i18n", "jinja2.ext.loopcontrols"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined] # of the extension for translations
        partial(translate, language), partial(translate_number, language), newstyle=True
    )
    made.filters |= {
        "number": partial(formatting.number_text, language),
        "money": partial(formatting.money_text, language),
        "micros": partial(formatting.micros_text, language),
        "day": partial(_day, language),
        "duration": partial(formatting.length_text, language),
        "words": partial(_words, language),
        "label": partial(_label, language),
        "url": safe_url,
        "query": urlencode,
        "message": partial(_message, language),
    }
    made.globals["plain_texts"] = _PlainTexts(language)
    made.globals |= {"static": static_path, "languages": LANGUAGE_NAMES, "language": language}
    return made


def compile_templates() -> None:
    """Compile every template, so that no visitor waits for it: a second of work, beside the event loop."""
    for language in LANGUAGES:
        made = environment(language)
        for name in made.list_templates(extensions=["html"]):
            made.get_template(name)


def render(language: Language, template: str, view: Mapping[str, Any], *, zone: tzinfo, now: datetime) -> str:
    """A page. ``zone``: the time zone in which moments are shown."""
    return (
        environment(language)
        .get_template(template)
        .render(
            view,
            moment=partial(moment_element, language, zone),
            age=partial(_age, language, zone, now),
        )
    )


def macro(language: Language, template: str, name: str) -> Callable[..., Markup]:
    """A macro of a template: it has the texts and filters of the language, and nothing of a visit."""
    made: Callable[..., Markup] = getattr(environment(language).get_template(template).module, name)
    return made


def safe_url(address: str) -> str:
    """An address that a page may link to; the empty text for every other scheme."""
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        return ""
    return address if scheme.lower() in SCHEMES else ""


def in_language(language: Language, texts: Mapping[str, str] | None) -> tuple[str, str]:
    """The text of a language map that suits a reader, and its tag: theirs, else English, else any."""
    if not texts:
        return "", language
    for tag in (language, *sorted(tag for tag in texts if tag.partition("-")[0] == language), "en", "fr"):
        if tag in texts:
            return texts[tag], tag
    tag = min(texts)
    return texts[tag], tag


def _words(language: Language, texts: Mapping[str, str] | None) -> Markup:
    """A language map as a page shows it: a text of another language says so, for screen readers too."""
    text, tag = in_language(language, texts)
    if not text or tag.partition("-")[0] == language:
        return escape(text)
    return Markup('<span lang="{}">{}</span>').format(tag, text)


def _label(language: Language, value: str, kind: str = "") -> str:
    """A value of an enumeration in words (``web/labels.py``); the value itself where there are none."""
    english = labels.LABELS.get(kind, {}).get(value)
    return value if english is None else translate(language, english)


def _message(language: Language, message: Message | str) -> str:
    return message.to_text(language) if isinstance(message, Message) else message


def _day(language: Language, value: str | date) -> Markup:
    day = date.fromisoformat(value) if isinstance(value, str) else value
    return Markup('<time datetime="{}">{}</time>').format(
        day.isoformat(), formatting.date_text(language, day)
    )


def as_moment(value: str | datetime) -> datetime:
    """A moment of a record, or of this program."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def moment_element(language: Language, zone: tzinfo, value: str | datetime, text: str = "") -> Markup:
    """A moment in the node's time zone; with another text in place of it, it is there for pointers."""
    moment = as_moment(value)
    words = formatting.moment_text(language, moment, zone)
    if not text:
        return Markup('<time datetime="{}">{}</time>').format(_utc(moment), words)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(_utc(moment), words, text)


def _age(language: Language, zone: tzinfo, now: datetime, value: str | datetime) -> Markup:
    """The time since a moment, with the moment itself for pointers and screen readers."""
    moment = as_moment(value)
    return moment_element(language, zone, moment, formatting.age_text(language, moment, now))


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
