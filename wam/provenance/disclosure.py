"""What is stated of generated pictures in their metadata: sets of fields that laws ask for, by name, and the values
that only their provider knows. docs/labels.md says of each field where it comes from.

| preset  | made for                                                                              |
|---------|---------------------------------------------------------------------------------------|
| ``cn``  | GB 45438-2025, the implicit label                                                      |
| ``eu``  | Regulation (EU) 2024/1689, article 50(2), and its code of practice                     |
| ``us-ca`` | California, Business and Professions Code 22757.3(b), the latent disclosure          |
| ``in``  | India, IT Rules 2021 as amended by G.S.R. 120(E) of 10 February 2026, rule 3(3)        |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from wam.errors import OptionsError, show_name
from wam.provenance.source_types import GENERATED_KINDS, kinds, source_type_of

Preset = Literal["cn", "eu", "us-ca", "in"]
Part = Literal["aigc", "provider", "created", "identifier"]

PLAIN: Preset = "cn"  # what a label without a name was before there were others
LONGEST, LONGEST_PROMPT = 200, 10_000  # characters


@dataclass(frozen=True)
class Rule:
    """One preset: the values that have to be given (``needs``) and what is ``written`` beside the kind of source and
    the values that are given."""

    needs: tuple[str, ...]
    written: frozenset[Part]


PRESETS: Mapping[Preset, Rule] = {
    "cn": Rule((), frozenset({"aigc"})),
    "eu": Rule((), frozenset({"identifier"})),
    "us-ca": Rule(("ai_system", "ai_version"), frozenset({"provider", "created", "identifier"})),
    "in": Rule(("ai_system",), frozenset({"provider", "identifier"})),
}


@dataclass(frozen=True)
class Disclosure:
    """The ``presets`` that are written, and values for them: the ``provider`` of the system, None for the record's
    owner; the AI system's name and version, the prompt and who wrote it, as IPTC 2025.1 has them; ``source_type``, a
    name or URI of those that say generated, None for what the picture says or else ``trainedAlgorithmicMedia``.

    Raises ``OptionsError`` for a preset that is none, a value that is missing or cannot be written.
    """

    presets: tuple[Preset, ...] = (PLAIN,)
    provider: str | None = None
    ai_system: str | None = None
    ai_version: str | None = None
    ai_prompt: str | None = None
    ai_prompt_writer: str | None = None
    source_type: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "presets", _presets(self.presets))
        for name in VALUES:
            if (value := getattr(self, name)) is not None:
                _check_text(name, value)
        if self.source_type is not None:
            uri = source_type_of(self.source_type)
            if not kinds([uri]) & GENERATED_KINDS:
                raise OptionsError(
                    f"source-type: expected {', '.join(sorted(GENERATED_KINDS))} with label, found "
                    f"{show_name(self.source_type)}; a label is for generated pictures"
                )
            object.__setattr__(self, "source_type", uri)
        if self.ai_version is not None and self.ai_system is None:
            raise OptionsError("ai-version: expected ai-system with it, found none; give both")
        for preset in self.presets:
            missing = [option(name) for name in PRESETS[preset].needs if getattr(self, name) is None]
            if missing:
                raise OptionsError(
                    f"label: expected {' and '.join(missing)} with {preset}, found none; the law asks for it, give it"
                )

    @classmethod
    def of(cls, given: object) -> Disclosure | None:
        """What is meant by a switch, presets apart by commas or in a list, or the object that ``to_json`` makes."""
        if isinstance(given, Disclosure):
            return given
        if given is None or given is False:
            return None
        if given is True:
            return cls()
        if isinstance(given, Mapping):
            unknown = set(given) - {"presets", *VALUES, "source_type"}
            if unknown:
                raise OptionsError(f"label: expected values of a disclosure, found {show_name(str(min(unknown)))}")
            return cls(**given)
        if isinstance(given, str):
            return cls(tuple(given.split(",")))  # type: ignore[arg-type]  # looked at there
        if isinstance(given, Iterable):
            return cls(tuple(given))
        raise OptionsError(f"label: expected presets ({', '.join(PRESETS)}), found {type(given).__name__}")

    @property
    def written(self) -> frozenset[Part]:
        """What all presets together write."""
        return frozenset().union(*(PRESETS[one].written for one in self.presets))

    def to_json(self) -> bool | dict[str, Any]:
        """For the line of a manifest and for processes; True for the label as it was before there were others."""
        if self == Disclosure():
            return True
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: list(value) if name == "presets" else value for name, value in said.items() if value is not None}


def form_fields(said: Disclosure | None) -> dict[str, str | None]:
    """A disclosure as the fields of a service's form; an older service knows ``true`` and ``false`` alone."""
    if said is None or said == Disclosure():
        return {"label": "false" if said is None else "true"}
    return {"label": ",".join(said.presets), **{name: getattr(said, name) for name in (*VALUES, "source_type")}}


def from_form(fields: Mapping[str, str]) -> Disclosure | None:
    """The same back; raises ``OptionsError``."""
    label = (fields.get("label") or "").lower()
    values: dict[str, Any] = {name: fields[name] for name in (*VALUES, "source_type") if fields.get(name)}
    if label in ("", "false", "0", "no", "off"):
        if values:
            raise OptionsError(f"{min(values)}: expected label with it, found none; add it")
        return None
    presets = (PLAIN,) if label in ("true", "1", "yes", "on") else tuple(label.split(","))
    return Disclosure(presets, **values)  # type: ignore[arg-type]  # looked at there


VALUES = ("provider", "ai_system", "ai_version", "ai_prompt", "ai_prompt_writer")


def option(name: str) -> str:
    """How a value is called in options.

    >>> option("ai_system")
    'ai-system'
    """
    return name.replace("_", "-")


def _presets(given: Iterable[str]) -> tuple[Preset, ...]:
    """The presets in their order, each once."""
    wanted = {str(one).strip().lower() for one in given}
    for one in sorted(wanted):
        if one not in PRESETS:
            raise OptionsError(f"label: expected one of {', '.join(PRESETS)}, found {show_name(one) or 'none'}; choose")
    if not wanted:
        raise OptionsError(f"label: expected one of {', '.join(PRESETS)}, found none; choose")
    return tuple(one for one in PRESETS if one in wanted)


def _check_text(name: str, value: object) -> None:
    longest = LONGEST_PROMPT if name == "ai_prompt" else LONGEST
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        found = f"{len(value)}" if isinstance(value, str) else type(value).__name__
        raise OptionsError(f"{option(name)}: expected 1 to {longest} characters, found {found}; change it")
    if any(not _in_xml(one) for one in value):
        raise OptionsError(f"{option(name)}: expected text that XML can hold, found a control character; take it out")


def _in_xml(character: str) -> bool:
    code = ord(character)
    return character in "\t\n\r" or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF
