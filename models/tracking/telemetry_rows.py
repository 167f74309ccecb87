"""What devices told in a slice, as rows for the lake: readings with their bands, locations along the way."""

import numpy as np
import pyarrow as pa

from models.tracking.arrays import Flag, Tables
from models.tracking.rows import Collected, Rows, instant, names, word
from models.tracking.state import TrackState
from schemas.codes import ReadingState
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import Table

_STATES = [state.name for state in ReadingState]
_REPORTED = ("type", "value", "min_value", "max_value", "uom", "exception")
_PLACED = ("progress", "remaining_km", "off_route_km")


def add_telemetry(collected: Collected, state: TrackState, piece: Slice, tables: Tables) -> None:
    """Add a row for every report and every position that was not a repeat."""
    fresh = tables.flags != Flag.REPEATED
    for kind, add in (
        (Kind.TELEMETRY_SENSOR, _add_readings),
        (Kind.TELEMETRY_POSITION, _add_locations),
    ):
        rows, data = piece.of_kind(kind)
        keep = fresh[rows]
        if keep.any():
            rows, data = rows[keep], data.filter(pa.array(keep))
            add(collected, _heard(state, piece, tables, rows), tables, rows, data)


def _heard(state: TrackState, piece: Slice, tables: Tables, rows: Rows) -> pa.RecordBatch:
    """What all rows of telemetry share."""
    mine = piece.envelope.take(pa.array(rows))
    columns = {
        "position": pa.array(piece.positions[rows]),
        "tenant": mine["tenant"],
        "network": mine["network"],
        "order_id": mine["subject"],
        "package": names(state, tables.packages[rows]),
        "recorded_at": mine["recordedtime"],
        "source": mine["source"],
    }
    return pa.RecordBatch.from_pydict(columns)


def _add_readings(
    collected: Collected, heard: pa.RecordBatch, tables: Tables, rows: Rows, data: pa.RecordBatch
) -> None:
    counts = tables.records["count"][rows].astype(np.int64)
    which = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    reports = tables.reports[np.repeat(tables.records["detail"][rows], counts) + which]
    told = data["reports"].flatten()
    each = heard.append_column("device", data["device"])
    each = each.take(pa.array(np.repeat(np.arange(len(rows)), counts)))
    low, high = reports["band_low"], reports["band_high"]
    columns = {name: each[name] for name in each.schema.names}
    columns |= {name: told.field(name) for name in _REPORTED}
    columns |= {
        "partition": pa.repeat(collected.partition, len(each)),
        "index": pa.array(which),
        "at": instant(reports["at"]),
        "state": word(reports["state"], _STATES),
        "band_low": pa.array(low, mask=np.isnan(low)),
        "band_high": pa.array(high, mask=np.isnan(high)),
    }
    collected.add(Table.READINGS, columns, len(each))


def _add_locations(
    collected: Collected, heard: pa.RecordBatch, tables: Tables, rows: Rows, data: pa.RecordBatch
) -> None:
    fixes = tables.fixes[tables.records["detail"][rows]]
    columns = {name: heard[name] for name in heard.schema.names}
    columns |= {name: data[name] for name in data.schema.names}
    columns |= {name: pa.array(fixes[name], mask=np.isnan(fixes[name])) for name in _PLACED}
    columns |= {
        "partition": pa.repeat(collected.partition, len(rows)),
        "index": pa.repeat(0, len(rows)),
        "at": instant(tables.records["entry"]["at"][rows]),
    }
    collected.add(Table.LOCATIONS, columns, len(rows))
