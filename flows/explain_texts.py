"""Codes and labels in plain words, in English and Chinese. A test sees that none is missing."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Language(StrEnum):
    """Languages that there are texts in."""

    EN = "en"
    ZH = "zh"


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts of a language, by section (the enumeration's name) and code."""

    sections: dict[str, dict[str, str]]

    def code(self, enumeration: str, name: str | None) -> str:
        """A code in words; a code of a newer release stays as it is."""
        return self.sections[enumeration].get(name or "", name or "")

    def label(self, name: str) -> str:
        """A heading or a sentence."""
        return self.sections["label"][name]

    def sentence(self, section: str, name: str) -> str:
        """A heading or a sentence of a section of its own."""
        return self.sections[section][name]

    def component(self, name: str) -> str:
        """A term of the cost."""
        return self.sections["component"][name]


@cache
def texts_in(language: Language) -> Texts:
    """The texts of a language."""
    content = (files("flows") / "texts" / f"{language}.toml").read_text(encoding="utf-8")
    return Texts(tomllib.loads(content))
