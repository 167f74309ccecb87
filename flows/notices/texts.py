"""The words of notifications, by language, template and way; a person of the business may replace them.

Texts are Jinja templates in TOML files. Ours are in ``texts/`` beside this module; a folder named in the
settings replaces single entries or brings new languages. All are tried with examples at the start, so that a
name that is not known, a text that is missing or one that is too long is told then, not at night.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, meta
from jinja2 import Template as Compiled
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flows.notices import values
from flows.notices.sms import parts
from schemas.codes import Template
from schemas.errors import InputError

FAULTS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError)
"""What a template, or what a row gives it, may do wrong."""
_PLAIN = ("subject", "text", "sms")
_MINI = "mini_program"
_FORMAT = ("day", "moment", "open_page")
_LAYOUT = "email.html"
_ROOM = {"thing": 20, "character_string": 32, "letter": 32, "symbol": 5, "number": 32} | {
    "phrase": 5,
    "name": 20,
    "time": 32,
    "date": 32,
    "amount": 32,
    "phone_number": 17,
    "car_number": 8,
}
"""Letters that a mini-program shows of a field, by the beginning of its name."""
_FIELD = re.compile(rf"({'|'.join(_ROOM)})\d+")
_TRIED_PARTS_MAX = 2
"""Short messages that a text with examples may take, without the address of a page."""

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Words:
    """All texts of one language, compiled.

    Attributes:
        language: its name.
        plain: by template and name: subject, text, sms.
        fields: of the mini-program, by template.
        layout: of the e-mail as HTML.
        open_page: what a link says.
    """

    language: str
    plain: Mapping[tuple[Template, str], Compiled]
    fields: Mapping[Template, Mapping[str, Compiled]]
    layout: Compiled
    open_page: str

    def say(self, template: Template, name: str, known: Mapping[str, Any]) -> str:
        """A text without blanks around it."""
        return self.plain[template, name].render(known).strip()

    def mini_program(self, template: Template, known: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the mini-program's message, no longer than it shows."""
        return {
            name: {"value": _clipped(name, " ".join(text.render(known).split()))}
            for name, text in self.fields[template].items()
        }

    def html(self, subject: str, text: str, link: str) -> str:
        """A mail as HTML; every value is escaped."""
        return self.layout.render(
            language=self.language,
            subject=subject,
            paragraphs=[" ".join(part.split()) for part in re.split(r"\n\s*\n", text)],
            link=link,
            open_page=self.open_page,
        )


class Texts:
    """All languages; the one without which nothing is said is there for certain."""

    def __init__(self, default: str, folder: Path | None = None) -> None:
        """Read, compile and try all texts.

        Raises:
            InputError: a text is missing, too long, or names what is not known; it says which.
        """
        ours = files("flows.notices") / "texts"
        sources: dict[str, tuple[str, Sections]] = {}
        for name in ("en.toml", "zh.toml"):
            content = (ours / name).read_text(encoding="utf-8")
            sources[name.removesuffix(".toml")] = name, tomllib.loads(content)
        layout = (ours / _LAYOUT).read_text(encoding="utf-8")
        if folder is not None:
            if not folder.is_dir():
                raise InputError(f"{folder} is no folder of texts")
            for file in sorted(folder.glob("*.toml")):
                _, ground = sources.get(file.stem, ("", {}))
                sources[file.stem] = str(file), _merged(ground, _read(file))
            if (folder / _LAYOUT).is_file():
                layout = (folder / _LAYOUT).read_text(encoding="utf-8")
        self._words = {name: _compiled(name, *source, layout) for name, source in sources.items()}
        if default not in self._words:
            raise InputError(f"language {default!r}: there are texts in {', '.join(self._words)}")
        self.default = default

    @property
    def languages(self) -> list[str]:
        """Of which there are texts."""
        return sorted(self._words)

    def words(self, *wanted: str | None) -> Words:
        """Those of the first language that there is; zh serves zh-CN."""
        for name in wanted:
            for tried in (name or "", (name or "").replace("_", "-").split("-")[0].lower()):
                if tried in self._words:
                    return self._words[tried]
        return self._words[self.default]


def _compiled(language: str, source: str, sections: Sections, layout: str) -> Words:
    _check_names(source, sections)
    form = sections["format"]
    plain, markup = _environment(form, escapes=False), _environment(form, escapes=True)
    texts: dict[tuple[Template, str], Compiled] = {}
    fields: dict[Template, dict[str, Compiled]] = {}
    for template in Template:
        section = sections[template]
        for name in _PLAIN:
            texts[template, name] = _compile(
                plain, f"{source}: {template}.{name}", section[name], values.KNOWN
            )
        fields[template] = {
            name: _compile(plain, f"{source}: {template}.{_MINI}.{name}", text, values.KNOWN)
            for name, text in section[_MINI].items()
        }
    of_layout = frozenset(("language", "subject", "paragraphs", "link", "open_page"))
    page = _compile(markup, f"{source} with {_LAYOUT}", layout, of_layout)
    words = Words(language, texts, fields, page, form["open_page"])
    _try(source, words)
    return words


def _check_names(source: str, sections: Sections) -> None:
    """Nothing is missing, and nothing is there that no one would read."""
    wanted = {"format": set(_FORMAT)} | {str(t): {*_PLAIN, _MINI} for t in Template}
    for section, names in wanted.items():
        found = sections.get(section)
        if not isinstance(found, Mapping):
            raise InputError(f"{source}: the section [{section}] is missing")
        for name in sorted(names - set(found)):
            raise InputError(f"{source}: {section}.{name} is missing")
        for name, text in found.items():
            if name not in names:
                raise InputError(
                    f"{source}: {section}.{name} is none of {', '.join(sorted(names))}"
                )
            _check_value(f"{source}: {section}.{name}", name, text)
    for section in set(sections) - set(wanted):
        raise InputError(f"{source}: [{section}] is no template; see crossdock notify texts")


def _check_value(where: str, name: str, text: Any) -> None:
    if name != _MINI:
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where} is no text")
        return
    if not isinstance(text, Mapping) or not text:
        raise InputError(f"{where} is no table of fields")
    for field, value in text.items():
        if not _FIELD.fullmatch(field) or not isinstance(value, str):
            raise InputError(
                f"{where}.{field} is no field with a text: a name is one of {', '.join(_ROOM)} "
                "and a number"
            )


def _compile(
    environment: Environment, where: str, text: str, known: frozenset[str] | set[str]
) -> Compiled:
    try:
        parsed = environment.parse(text)
        unknown = meta.find_undeclared_variables(parsed) - known
        if unknown:
            names = ", ".join(sorted(known))
            raise InputError(f"{where} names {sorted(unknown)[0]!r}; there are {names}")
        code = environment.compile(parsed)
        return Compiled.from_code(environment, code, environment.make_globals(None))
    except TemplateSyntaxError as error:
        raise InputError(f"{where}, line {error.lineno}: {error.message}") from error
    except FAULTS as error:
        raise InputError(f"{where}: {error}") from error


def _try(source: str, words: Words) -> None:
    """Render everything, once with an example of every value and once with none that may be absent."""
    zone = ZoneInfo("UTC")
    for template in Template:
        for is_bare in (False, True):
            known = values.values_of(values.example_of(template, is_bare=is_bare), zone, None)
            for name in _PLAIN:
                where = f"{source}: {template}.{name}"
                try:
                    said = words.say(template, name, known)
                except FAULTS as error:
                    raise InputError(f"{where}: {error}") from error
                _check_said(where, name, said)
            try:
                words.mini_program(template, known)
                words.html("subject", "text", "link")
            except FAULTS as error:
                raise InputError(f"{source}: {template}.{_MINI} or {_LAYOUT}: {error}") from error


def _check_said(where: str, name: str, said: str) -> None:
    if not said:
        raise InputError(f"{where} says nothing where some values are absent")
    if name == "subject" and "\n" in said:
        raise InputError(f"{where} has more than one line")
    if name == "sms" and parts(said) > _TRIED_PARTS_MAX:
        raise InputError(
            f"{where} takes {parts(said)} short messages with examples, {len(said)} letters; "
            f"at most {_TRIED_PARTS_MAX} are good"
        )


def _environment(form: Mapping[str, str], *, escapes: bool) -> Environment:
    """Templates may not reach beyond the values that they are given."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=escapes,
        trim_blocks=escapes,
        finalize=lambda value: "" if value is None else value,
    )
    environment.filters["day"] = lambda value: _written(value, form["day"])
    environment.filters["moment"] = lambda value: _written(value, form["moment"])
    return environment


def _written(value: Any, pattern: str) -> str:
    """An instant in the manner of the language; what is none, as it is."""
    return value.strftime(pattern) if isinstance(value, datetime) else str(value or "")


def _clipped(name: str, text: str) -> str:
    room = _ROOM[name.rstrip("0123456789")]
    return text if len(text) <= room else text[: room - 1] + "…"


def _merged(ground: Sections, over: Sections) -> Sections:
    """Entry by entry; the fields of a mini-program's message are one entry."""
    return {**ground, **{name: {**ground.get(name, {}), **part} for name, part in over.items()}}


def _read(file: Path) -> Sections:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: {error}") from error
    for name, part in found.items():
        if not isinstance(part, Mapping):
            raise InputError(f"{file}: {name} stands outside any section")
    return found
