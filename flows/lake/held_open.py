"""One connection to a catalogue in SQLite that stays open while those of all others come and go.

DuckDB opens the file anew for each transaction. The last connection to close copies SQLite's log into the file
and removes it, for which it locks everybody out; who comes just then, to read or to write, sleeps a whole
second, since the SQLite of DuckDB 1.5.5 knows no shorter sleep (seen with strace). While one connection is
open, none is the last.
"""

import duckdb

from flows.lake.connection import METADATA
from flows.lake.diagnosis import is_busy
from flows.lake.durability import roll_back

RENEW_AT_COMMITS = 64
"""The log keeps all that was written since the open connection last looked: about 10 MB by then."""


class HeldOpen:
    """That connection, beside the writer's own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._cursor = connection.cursor()
        self._commits = RENEW_AT_COMMITS  # since it was held
        self._hold()

    def note_commit(self) -> None:
        """Account for a commit; let go now and then, so that the log is copied into the file."""
        self._commits += 1
        if self._commits >= RENEW_AT_COMMITS:
            roll_back(self._cursor)
            self._hold()

    def close(self) -> None:
        """Let go for good."""
        self._cursor.close()

    def _hold(self) -> None:
        self._cursor.execute("BEGIN")
        try:
            self._cursor.execute(f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot")
        except duckdb.Error as error:
            roll_back(self._cursor)
            if not is_busy(error):  # else the next commit tries again
                raise
        else:
            self._commits = 0
