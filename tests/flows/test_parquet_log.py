"""Segments of an older version of the schema are read as if they had been written today."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.files import digest
from flows.logs.parquet import LogWriter, ParquetLog
from schemas.codec import decode_line, to_lines
from schemas.orders import OrderReceived
from tests.support.builders import named, order

ADDED_SINCE = ("priority", "requested_by", "tier", "no_split")


def age(segment: Path) -> None:
    """Rewrite a segment as it was before some fields existed."""
    table = pq.read_table(segment)
    place = table.schema.get_field_index("order.received")
    orders = table.column(place).combine_chunks()
    names = [f.name for f in orders.type if f.name not in ADDED_SINCE]
    fewer = pa.StructArray.from_arrays([orders.field(n) for n in names], names)
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(place, "order.received", fewer), sink)
    content = sink.getvalue()
    first, count, _ = segment.name.split("-")
    segment.unlink()
    (segment.parent / f"{first}-{count}-{digest(content)}.parquet").write_bytes(content)


def test_fields_added_since_have_their_defaults(tmp_path: Path) -> None:
    (told,) = named(order("o-1", ("S1", 2), priority=9, tier="gold", no_split=True))
    with LogWriter.create(tmp_path) as writer:
        writer.append(told)
    age(*tmp_path.glob("partition=*/*.parquet"))

    (line,) = [line for piece in ParquetLog(tmp_path).read(0) for line in to_lines(piece)]
    read = decode_line(line, 1)

    assert isinstance(read, OrderReceived)
    assert read.data == order("o-1", ("S1", 2)).data
