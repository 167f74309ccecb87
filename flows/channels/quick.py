"""The statement for payloads with which nothing is wrong: their records and nothing else, a third of the work.

It gives no record that the whole statement would not give. What it cannot vouch for is left to that one, which
says what is wrong: payloads in envelopes, values that cannot be made, codes that stand for nothing, no record
at all, and what the decoder of a log would refuse, so that its records need not be decoded.
"""

import re
from collections.abc import Iterable

from msgspec import inspect

from flows.channels.expressions import WITHIN, Converted, Made
from flows.channels.mapping import Mapping, Value
from flows.channels.sound import sound_line, sound_record
from flows.channels.spread import is_heavy
from flows.channels.statement import TYPES, Compiler
from flows.channels.values import Said, Scope


def is_quick(mapping: Mapping) -> bool:
    """Whether there is one: foreign ids pass another decoder, and JSON in texts is opened first."""
    return not mapping.texts and not any(record.xref for record in mapping.record)


_LEAVES_ROOM = "length(r.id) < 112"
"""For ``~`` and 16 characters, of the 128 that an id may have."""

_OURS = {"seq", "n", "raw_bytes", "p", "i", "e", "k", "o", "h", "place", "units", *WITHIN.values()}
"""Columns of the statement, of which a member of the payload is one too."""


def has_our_names(paths: Iterable[str]) -> bool:
    """Whether a member that is read would be taken for a column of ours; to SQL, N and n are one name."""
    return any(re.split(r"[.\[]", path, maxsplit=1)[0].lower() in _OURS for path in paths)


class QuickCompiler(Compiler):
    """Makes it: (seq, kind, record, is_doubtful) of each record of payloads that are one object each.

    In place of a problem it has a condition under which there may be one. Members of the payload are columns
    of a table p here, which conditions read much faster than they do fields of a column p.
    """

    _kept = "p.*"
    _alias = "p"

    def _whole(self, selects: str) -> str:
        top = Scope("", self.root, "")
        left = [f"{self._path(top, path)} IS NULL" for path in self.mapping.unwrap]
        if heavy := is_heavy(self.root, self.lists):
            left.append(f"NOT {heavy}")
        # by OFFSET no condition on p comes before it, to be answered by a decoder of its own
        read = (
            f"SELECT seq, strlen(raw) AS raw_bytes, TRY(from_json(raw, {self._asked()})) AS p "
            "FROM batch OFFSET 0"
        )
        return (
            "WITH pieces AS MATERIALIZED ("
            f"SELECT * FROM (SELECT seq, 1 AS n, raw_bytes, unnest(p) FROM ({read}) WHERE p IS NOT NULL) AS p"
            f"{' WHERE ' * bool(left)}{' AND '.join(left)})\n"
            f"{selects}"
        )

    def _selected(self, whole: Made, rows: str, condition: str, is_none: str) -> str:
        event = inspect.type_info(TYPES[self.mapping.record[self.number].type])
        assert isinstance(event, inspect.StructType)
        sources = {use.field: use.source for use in self.made.uses if use.record == self.number}
        sources |= dict.fromkeys(self.numbers, "")
        odd = _any_of(filter(None, (whole.problem, is_none))) or "false"
        said, is_short = ("stated(r)", _LEAVES_ROOM) if self._is_state() else ("r", "true")
        return (
            f"SELECT seq, {self.number} AS kind, encode(line) AS record, "
            f"is_odd OR NOT is_sound OR NOT is_short OR NOT ({sound_line('line')}) AS is_doubtful FROM ("
            f"SELECT seq, to_json({said})::VARCHAR AS line, is_odd, "
            f"{sound_record(event, sources, 'r')} AS is_sound, {is_short} AS is_short FROM ("
            f"SELECT seq, {whole.value} AS r, coalesce({odd}, false) AS is_odd\n"
            f"FROM {rows} WHERE {condition}))"
        )

    def _judged(self, said: Said, converted: Converted, spec: Value) -> Made:
        value = converted.value
        if said.default:
            # what is said and cannot be made stays null
            return Made(f"CASE WHEN {said.raw} IS NULL THEN {said.default} ELSE {value} END")
        if said.is_required or value == said.raw or not converted.valid:
            return Made(value)
        return Made(value, f"{said.raw} IS NOT NULL AND {value} IS NULL")

    def _number(self, raw: str) -> str:
        return f"quick_whole({raw})"

    def _money(self, raw: str) -> str:
        return f"quick_minor({raw}, units)"

    def _joined(self, problems: list[str]) -> str:
        return _any_of(problems)

    def _none_of(self, array: str, name: str, kind: inspect.ListType) -> list[str]:
        return [] if kind.min_length else [f"len({array}) = 0"]

    def _problem_if(self, condition: str, problem: str) -> str:
        return problem and f"({condition}) AND ({problem})"

    def _problem_in(self, array: str, each: str, problem: str) -> str:
        return f"len(list_filter({array}, lambda {each}: {problem})) > 0"


def _any_of(conditions: Iterable[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions)
