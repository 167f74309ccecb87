"""A channel at work: batches of payloads in, records out, by the statement of its mapping.

The statement runs in a DuckDB of its own, on one thread, that may open nothing and be told nothing else: a
mapping is read by business people and may come from anywhere. A batch is taken whole; only where it
holds something that is no JSON is every payload looked at apart.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import NamedTuple

import duckdb
import pyarrow as pa

from flows.channels.mapping import Mapping
from flows.channels.statement import (
    PASSED_OVER,
    UNRECOGNISED,
    Statement,
    WrongField,
    compile_mapping,
)
from schemas.codec import MAX_LINE_BYTES
from schemas.codes import DeadLetterReason

DETAIL_CHARACTERS = 400
"""Of what is said about a payload."""

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


@dataclass(slots=True)
class Mapped:
    """What became of a batch.

    Attributes:
        records: (number of the payload, CloudEvent as JSON), in the order of the payloads.
        troubles: at most one of a payload; parts of it may be records all the same.
        passed_over: (number of the payload, why) of what the mapping knows and nobody needs.
    """

    records: list[tuple[int, bytes]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    passed_over: list[tuple[int, str]] = field(default_factory=list)


class Channel:
    """A mapping, ready for payloads."""

    def __init__(self, mapping: Mapping, binding: Binding) -> None:
        """Compile it.

        Raises:
            WrongField: see ``compile_mapping``.
        """
        self.mapping = mapping
        self.binding = binding
        self._connection = _locked(binding)
        self.statement: Statement = compile_mapping(mapping, self._connection)
        try:
            self._connection.execute(f"PREPARE records AS {self.statement.sql}")
            self._run({0: "{}"})  # whatever is wrong with its SQL shows here, not with the first payload
        except duckdb.Error as error:
            raise WrongField("record", f"its SQL: {str(error).splitlines()[0][:300]}") from error

    def take(self, payloads: Sequence[bytes]) -> Mapped:
        """Make records of payloads; of what is none it says why."""
        mapped = Mapped()
        texts = _texts(payloads, mapped)
        table = pa.concat_tables(self._tables(texts, mapped))
        wrong: dict[int, list[str]] = {}
        alien: dict[int, list[str]] = {}
        for number, kind, record, problems in zip(
            *(table[name].to_pylist() for name in ("seq", "kind", "record", "problems")), strict=True
        ):
            if kind == PASSED_OVER:
                mapped.passed_over += [(number, why) for why in problems]
            elif problems:
                found = alien if kind == UNRECOGNISED else wrong
                found.setdefault(number, []).extend(problems)
            else:
                mapped.records.append((number, record.encode()))
        mapped.troubles += [
            Trouble(number, DeadLetterReason.UNMAPPED, _joined(said)) for number, said in wrong.items()
        ]
        mapped.troubles += [
            Trouble(number, DeadLetterReason.UNRECOGNISED, _joined(said))
            for number, said in alien.items()
            if number not in wrong
        ]
        mapped.troubles.sort()
        return mapped

    def _tables(self, texts: dict[int, str], mapped: Mapped) -> list[pa.Table]:
        """What the statement says of texts; a batch with one that is no JSON is halved until that one is alone."""
        try:
            return [self._run(texts)]
        except duckdb.Error as error:
            if len(texts) > 1:
                numbers, middle = list(texts), len(texts) // 2
                halves = (numbers[:middle], numbers[middle:])
                return [t for h in halves for t in self._tables({n: texts[n] for n in h}, mapped)]
            where = re.search(r"at byte \d+", str(error))  # what else it says may be personal
            detail = f"no JSON {where[0] if where else 'that can be read'}"
            mapped.troubles.append(Trouble(*texts, DeadLetterReason.SCHEMA_INVALID, detail))
            return [self._run({})]

    def _run(self, texts: dict[int, str]) -> pa.Table:
        """The prepared statement, over the table that it reads: planning it takes longer than a thousand payloads."""
        numbers, raw = pa.array(texts.keys(), pa.int64()), pa.array(texts.values(), pa.string())
        self._connection.register("given", pa.table({"seq": numbers, "raw": raw}))
        try:
            self._connection.execute("TRUNCATE batch; INSERT INTO batch FROM given")
            return self._connection.execute("EXECUTE records").to_arrow_table()
        finally:
            self._connection.unregister("given")


def _joined(problems: list[str]) -> str:
    """What is wrong with a payload, each thing once."""
    return "; ".join(dict.fromkeys(problems))[:DETAIL_CHARACTERS]


def _texts(payloads: Sequence[bytes], mapped: Mapped) -> dict[int, str]:
    """What may be JSON, by number; of what cannot be, the trouble."""
    texts = {}
    for number, payload in enumerate(payloads):
        if len(payload) > MAX_LINE_BYTES:
            detail = f"{len(payload)} bytes, more than {MAX_LINE_BYTES}"
            mapped.troubles.append(Trouble(number, DeadLetterReason.TOO_LARGE, detail))
            continue
        try:
            texts[number] = payload.decode()
        except UnicodeDecodeError as error:
            detail = f"no UTF-8 at byte {error.start}"
            mapped.troubles.append(Trouble(number, DeadLetterReason.SCHEMA_INVALID, detail))
    return texts


def _locked(binding: Binding) -> duckdb.DuckDBPyConnection:
    """A database in memory that no statement can leave."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute((files("flows.channels") / "macros.sql").read_text(encoding="utf-8"))

    connection.execute("CREATE TABLE batch (seq BIGINT, raw VARCHAR)")
    for name in ("source", "tenant", "network"):
        value = getattr(binding, name).replace("'", "''")
        connection.execute(f"CREATE MACRO channel_{name}() AS '{value}'")

    def token(sources: pa.Array, customers: pa.Array) -> pa.Array:
        said = zip(sources.to_pylist(), customers.to_pylist(), strict=True)
        return pa.array(
            [None if c is None else token_of(binding.secret, s, c) for s, c in said], pa.string()
        )

    kinds = ["VARCHAR", "VARCHAR"]
    connection.create_function("token", token, kinds, "VARCHAR", type="arrow", null_handling="special")  # type: ignore[arg-type]
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def token_of(secret: bytes, source: str, customer: str) -> str:
    """What stands for a customer of a channel."""
    said = f"{source}\0{customer}".encode()
    return hmac.digest(secret, said, hashlib.sha256)[:TOKEN_BYTES].hex()
