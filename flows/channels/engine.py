"""A channel at work: batches of payloads in, records out, by the statement of its mapping.

The statement runs in a DuckDB of its own, on one thread, that may open nothing and be told nothing else: a
mapping is read by business people and may come from anywhere. A batch is taken whole, with what is no
JSON in it.
"""

import hashlib
import hmac
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import parse_qs

import duckdb
import msgspec
import pyarrow as pa

from flows.channels.expressions import OVERSIZED, PASSED_OVER, UNRECOGNISED, keep_codes
from flows.channels.mapping import Mapping
from flows.channels.owners import CustomerCompiler
from flows.channels.quick import QuickCompiler, has_our_names, is_quick
from flows.channels.statement import Compiler
from flows.channels.values import FieldError, Statement
from schemas.codec import MAX_LINE_BYTES, Refusal, decode_line
from schemas.codes import DeadLetterReason
from schemas.envelope import Event
from schemas.shipments import ShipmentMilestone

DETAIL_CHARACTERS = 400
"""Of what is said about a payload."""

NOTHING = "its codes stand for nothing"
"""What is said of a payload of which tables of codes leave no record."""

BATCH_BYTES = 16 * 1024 * 1024
"""Of payloads at a time, and one more: a poll of common orders has less."""

MEMORY_LIMIT = "1GiB"
"""For what a statement holds of a batch: ten times what the largest batches of samples take."""

TOKEN_BYTES = 16
"""Of a customer's token: enough that no two customers share one."""


class Binding(NamedTuple):
    """What a mapping does not know: for whom it is used.

    Attributes:
        source: what the records' ``source`` is.
        tenant: of the records.
        network: of the records, unless the mapping says.
        secret: by which customers become tokens; nobody without it can tell whose one is.
    """

    source: str
    tenant: str
    network: str
    secret: bytes


class Trouble(NamedTuple):
    """Why a payload, or a part of it, is no record."""

    payload: int
    reason: DeadLetterReason
    detail: str


class Record(NamedTuple):
    """What a payload became.

    Attributes:
        payload: its number.
        line: a CloudEvent as JSON.
        kind: number of the record mapping that made it.
        is_sound: whether it is known to be a record of a log, without being decoded.
    """

    payload: int
    line: bytes
    kind: int
    is_sound: bool

    def decoded(self) -> Event | Refusal:
        """What it says; or why it is no record of a log, as where its subject is a foreign id."""
        return decode_line(self.line, 0)


@dataclass(slots=True)
class Mapped:
    """What became of a batch.

    Attributes:
        records: in the order of the payloads.
        troubles: at most one of a payload; parts of it may be records all the same.
        passed_over: (number of the payload, why) of what the mapping knows and nobody needs.
        alien: numbers of payloads of which the mapping knows a part not at all, nor what is personal in it.
    """

    records: list[Record] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    passed_over: list[tuple[int, str]] = field(default_factory=list)
    alien: set[int] = field(default_factory=set)


class Channel:
    """A mapping, ready for payloads."""

    def __init__(self, mapping: Mapping, binding: Binding) -> None:
        """Compile it.

        Raises:
            FieldError: see ``Compiler``.
        """
        self.mapping = mapping
        self.binding = binding
        self._connection = _locked(binding)
        self._batch = _Batch()
        self._connection.register("batch", self._batch)
        self.statement: Statement = Compiler(mapping, self._connection).compile()
        self._has_quick = is_quick(mapping) and not has_our_names(self.statement.paths)
        quick = QuickCompiler(mapping, self._connection).compile() if self._has_quick else None
        self._customer_sql = CustomerCompiler(mapping, self._connection).customer_sql()
        self._assigning = {n for n, record in enumerate(mapping.record) if record.assigns}
        try:  # whatever is wrong with its SQL shows here, not with the first payload
            for number, codes in enumerate(mapping.maps.values()):
                for statement in keep_codes(number, codes):
                    self._connection.execute(statement)
            self._prepare("whole", self.statement)
            if quick:
                self._prepare("quick", quick)
            if self._customer_sql:
                self._connection.execute(f"PREPARE customers AS {self._customer_sql}")
        except duckdb.Error as error:
            raise FieldError("record", f"its SQL: {str(error).splitlines()[0][:300]}") from error

    def take(self, payloads: Sequence[bytes]) -> Mapped:
        """Make records of payloads; of what is none it says why."""
        mapped = Mapped()
        for held in _parts(payloads):
            self._take_part(held, mapped)
        mapped.troubles.sort()
        return mapped

    def customers(self, pieces: Sequence[bytes]) -> list[str]:
        """Whose payloads are, by what records have for a customer; empty where they do not say.

        Args:
            pieces: JSON, in no envelopes.
        """
        if not pieces or not self._customer_sql:
            return [""] * len(pieces)
        try:
            self._batch.hold(dict(enumerate(pieces)))
            table = self._connection.execute("EXECUTE customers").to_arrow_table()
        except (duckdb.Error, pa.ArrowInvalid):  # by SQL of the mapping, for one of them
            return [""] if len(pieces) == 1 else [self.customers([one])[0] for one in pieces]
        said = dict(zip(*(table[name].to_pylist() for name in ("seq", "customer")), strict=True))
        return [said[number] or "" for number in range(len(pieces))]

    def assigned(self, kind: int, event: Event | Refusal) -> str:
        """The foreign id that stands for the subject of a record from now on; empty without.

        Args:
            kind: number of the record mapping that made it.
            event: the record.
        """
        if kind not in self._assigning or not isinstance(event, ShipmentMilestone):
            return ""
        return f"{self.mapping.record[kind].assigns}:{event.data.package}"

    def _take_part(self, held: dict[int, bytes], mapped: Mapped) -> None:
        """The same of some of them, by number."""
        if self.mapping.form_field:
            held = {n: held_in(form, self.mapping.form_field) for n, form in held.items()}
        if self._has_quick:
            quick = self._quick_records(held)
            mapped.records += quick
            taken = {record.payload for record in quick}
            held = {number: one for number, one in held.items() if number not in taken}
        texts = {n: one for n, one in held.items() if _is_text(n, one, mapped)}
        if texts:
            self._take_whole(texts, mapped)

    def _quick_records(self, held: dict[int, bytes]) -> list[Record]:
        """Those of payloads with which nothing is wrong."""
        texts = {number: one for number, one in held.items() if len(one) <= MAX_LINE_BYTES}
        try:
            table = self._run("quick", texts)
        except (duckdb.Error, pa.ArrowInvalid):  # by one of them; the whole statement finds it
            return []
        columns = (table[name].to_pylist() for name in ("seq", "record", "kind", "is_doubtful"))
        numbers, lines, kinds, doubts = columns
        records = list(map(Record, numbers, lines, kinds, itertools.repeat(True)))
        if any(doubts):
            doubtful = set(itertools.compress(numbers, doubts))
            records = [record for record in records if record.payload not in doubtful]
        records.sort(key=attrgetter("payload"))
        return records

    def _take_whole(self, texts: dict[int, bytes], mapped: Mapped) -> None:
        """Make records, and say what is wrong."""
        table = pa.concat_tables(self._tables(texts, mapped))
        wrong: dict[int, list[str]] = {}
        alien: dict[int, list[str]] = {}
        large: dict[int, str] = {}
        nothing = set[int]()
        for number, kind, record, problems in zip(
            *(table[name].to_pylist() for name in ("seq", "kind", "record", "problems")),
            strict=True,
        ):
            if kind == OVERSIZED:
                large[number] = problems[0]
            elif kind == PASSED_OVER:
                mapped.passed_over += [(number, why) for why in problems]
            elif problems:
                found = alien if kind == UNRECOGNISED else wrong
                found.setdefault(number, []).extend(problems)
            elif record is None:
                nothing.add(number)
            else:
                mapped.records.append(Record(number, record.encode(), kind, is_sound=False))
        mapped.records.sort(key=attrgetter("payload"))
        mapped.alien.update(alien)
        nothing -= {record.payload for record in mapped.records} | wrong.keys() | large.keys()
        mapped.passed_over += [(number, NOTHING) for number in sorted(nothing)]
        mapped.troubles += [Trouble(n, DeadLetterReason.TOO_LARGE, why) for n, why in large.items()]
        mapped.troubles += [
            Trouble(number, DeadLetterReason.UNMAPPED, _joined(said))
            for number, said in wrong.items()
            if number not in large
        ]
        for number, said in alien.items():
            broken = _broken(texts[number])
            if broken:
                mapped.troubles.append(Trouble(number, DeadLetterReason.SCHEMA_INVALID, broken))
            elif number not in wrong.keys() | large.keys():
                detail = _joined(said)
                mapped.troubles.append(Trouble(number, DeadLetterReason.UNRECOGNISED, detail))

    def _tables(self, texts: dict[int, bytes], mapped: Mapped) -> list[pa.Table]:
        """What the statement says of texts; a batch by which it fails is halved down to whose fault it is."""
        try:
            return [self._run("whole", texts)]
        except duckdb.Error as error:
            if len(texts) > 1:
                numbers, middle = list(texts), len(texts) // 2
                halves = (numbers[:middle], numbers[middle:])
                return [t for h in halves for t in self._tables({n: texts[n] for n in h}, mapped)]
            mapped.troubles += [Trouble(n, *_reason(error)) for n in texts]
            return [self._run("whole", {})]

    def _prepare(self, name: str, statement: Statement) -> None:
        """Plan a statement once: that takes longer than a thousand payloads."""
        self._connection.execute(f"PREPARE {name} AS {statement.sql}")
        self._run(name, {0: b"{}"})

    def _run(self, name: str, texts: dict[int, bytes]) -> pa.Table:
        """What a statement says of texts.

        Raises:
            pa.ArrowInvalid: one of them is no UTF-8.
        """
        self._batch.hold(texts)
        return self._connection.execute(f"EXECUTE {name}").to_arrow_table()


class _Batch:
    """The table that a prepared statement reads, by the Arrow PyCapsule interface: what it was given last.

    A table of DuckDB would do, but in memory it keeps all that was ever in it.
    """

    def __init__(self) -> None:
        self.hold({})

    def hold(self, texts: dict[int, bytes]) -> None:
        """Have these payloads, by number, and no others."""
        numbers, raw = pa.array(texts.keys(), pa.int64()), pa.array(texts.values(), pa.binary())
        self._table = pa.table({"seq": numbers, "raw": raw.cast(pa.string())})

    def __arrow_c_schema__(self) -> object:
        return self._table.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def _parts(payloads: Sequence[bytes]) -> Iterator[dict[int, bytes]]:
    """Payloads by number, as many at a time as are to be held."""
    part, size = dict[int, bytes](), 0
    for number, payload in enumerate(payloads):
        part[number] = payload
        size += len(payload)
        if size > BATCH_BYTES:
            yield part
            part, size = {}, 0
    if part:
        yield part


def _is_text(number: int, payload: bytes, mapped: Mapped) -> bool:
    """Whether a payload may be JSON; of one that cannot be, the trouble is told."""
    if len(payload) > MAX_LINE_BYTES:
        detail = f"{len(payload)} bytes, more than {MAX_LINE_BYTES}"
        mapped.troubles.append(Trouble(number, DeadLetterReason.TOO_LARGE, detail))
        return False
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        detail = f"no UTF-8 at byte {error.start}"
        mapped.troubles.append(Trouble(number, DeadLetterReason.SCHEMA_INVALID, detail))
        return False
    return True


def _broken(text: bytes) -> str:
    """Where a text is no JSON; empty if it is."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        where = re.search(r"byte \d+", str(error))  # what else it says may be personal
        return f"no JSON at {where[0]}" if where else "no JSON that can be read"
    return ""


def _reason(error: duckdb.Error) -> tuple[DeadLetterReason, str]:
    """Why a payload cannot be looked at; what else the error says may be personal."""
    said = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return DeadLetterReason.TOO_LARGE, f"reading it takes more than {MEMORY_LIMIT}"
    if "JSON" in said or "UTF8" in said:
        where = re.search(r"at byte \d+", said)
        return (
            DeadLetterReason.SCHEMA_INVALID,
            f"no JSON {where[0] if where else 'that can be read'}",
        )
    return DeadLetterReason.UNMAPPED, f"SQL of the mapping fails: {type(error).__name__}"


def _joined(problems: list[str]) -> str:
    """What is wrong with a payload, each thing once."""
    return "; ".join(dict.fromkeys(problems))[:DETAIL_CHARACTERS]


def held_in(form: bytes, name: str) -> bytes:
    """What a field of a form holds; of what is no form, all."""
    if form.startswith((b"{", b"[")):
        return form
    # in Latin-1 a byte is a character
    fields = parse_qs(form.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    return fields.get(name, [""])[0].encode("latin-1")


def _locked(binding: Binding) -> duckdb.DuckDBPyConnection:
    """A database in memory that no statement can leave."""
    bounds = {"memory_limit": MEMORY_LIMIT, "temp_directory": ""}  # nothing is spilled to a disk
    connection = duckdb.connect(config={"threads": 1, **bounds})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute((files("flows.channels") / "macros.sql").read_text(encoding="utf-8"))
    for name in ("source", "tenant", "network"):
        value = getattr(binding, name).replace("'", "''")
        connection.execute(f"CREATE MACRO channel_{name}() AS '{value}'")
    connection.execute(_token_macro(binding.secret))
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _token_macro(secret: bytes) -> str:
    """``token_of`` in SQL.

    A function of Python will not do: DuckDB 1.5 lets go of the array that one returns before it is done, so
    that the first token of a batch may be overwritten.
    """
    key = (hashlib.sha256(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
    inner, outer = (f"from_hex('{bytes(b ^ pad for b in key).hex()}')" for pad in (0x36, 0x5C))
    said = f"({inner} || encode(source) || from_hex('00')) || encode(customer)"  # a constant, and the customer
    whole = f"sha256({outer} || from_hex(sha256({said})))"
    return f"CREATE MACRO token(source, customer) AS left({whole}, {2 * TOKEN_BYTES})"


def token_of(secret: bytes, source: str, customer: str) -> str:
    """What stands for a customer of a channel."""
    said = f"{source}\0{customer}".encode()
    return hmac.digest(secret, said, hashlib.sha256)[:TOKEN_BYTES].hex()
