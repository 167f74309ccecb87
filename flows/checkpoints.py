"""Checkpoints: "the state of a partition at position p" as one file, published whole.

::

    STATE/partition=0000/<position>-<sha256>.checkpoint

``STATE`` is ``state`` in the lake's directory, or a prefix in an object store (checkpoint_store.py).
A file is a line of JSON, which names its format, the log, the policy override, the runtime and the arrays
that follow, one after another as they are in memory (no pickles). Taking one writes them to a draft, which
costs 0.2 s a gigabyte, for they go to the system's page cache; a copy in memory would take 0.1 s and that
memory (measured). A thread does the rest, above all the waiting for the disk, and a new one is not begun
before the last is kept. At start a partition takes the newest checkpoint that the lake is not behind, and
reads the log on from there; a damaged or foreign file is passed over, and without any the log is read from
its beginning. Either way the tables come out the same: the lake drops what it has seen.
"""

import json
import math
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from flows.checkpoint_store import CheckpointStore
from flows.files import digest_of
from flows.priority import yield_to_others
from models.intake.clock import Clock
from models.policy.document import Policy
from models.routing.fold import RouteState
from models.routing.network import Network
from models.tracking.state import TrackState
from schemas.errors import CheckpointError
from schemas.ids import LogId, NetworkKey

FORMAT = 11
KEPT = 3
"""Newest checkpoints kept of a partition, besides the newest that the lake is not behind."""

COST_SHARE = 20
"""A checkpoint is taken no sooner than this many times its own cost after the last one."""

_NAME = re.compile(r"^(\d{20})-([0-9a-f]{16})\.checkpoint$")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a checkpoint belongs to; one of another log or override is never used."""

    log_id: LogId
    policy_override_sha256: str
    runtime: str


Arrays = dict[str, npt.NDArray[Any]]
Kept = Mapping[str, npt.NDArray[Any]]
_Fields = str | list[tuple[str, str]]
_Place = tuple[int, np.dtype[Any], list[int]]


class FoldState(Protocol):
    """What every fold's state has."""

    partition: int
    position: int
    clock: Clock


S = TypeVar("S", bound=FoldState)


class Form(Protocol[S]):
    """How the state of a fold is kept; partition, position and clock are kept for it."""

    name: str

    def fresh(self, partition: int, override: Policy | None) -> S:
        """The state before the first record."""

    def to_arrays(self, state: S) -> tuple[Arrays, Any]:
        """Arrays, and what JSON can take."""

    def restore(self, state: S, arrays: Kept, values: Any) -> None:
        """Put into a fresh state what ``to_arrays`` gave."""


class _RouteForm:
    name = "route"

    def fresh(self, partition: int, override: Policy | None) -> RouteState:
        return RouteState(partition, override)

    def to_arrays(self, state: RouteState) -> tuple[Arrays, Any]:
        arrays: Arrays = {}
        networks = []
        for i, network in enumerate(state.networks.values()):
            tables, values = network.to_arrays()
            arrays |= {f"{i}/{name}": table for name, table in tables.items()}
            networks.append(values)
        return arrays, networks

    def restore(self, state: RouteState, arrays: Kept, values: Any) -> None:
        for i, kept in enumerate(values):
            prefix = f"{i}/"
            tables = {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}
            state.networks[NetworkKey(kept["key"])] = Network.from_arrays(tables, kept)


class _TrackForm:
    name = "track"

    def fresh(self, partition: int, override: Policy | None) -> TrackState:
        return TrackState(partition, override)

    def to_arrays(self, state: TrackState) -> tuple[Arrays, Any]:
        return state.to_arrays()

    def restore(self, state: TrackState, arrays: Kept, values: Any) -> None:
        state.restore(arrays, values)


ROUTE_FORM: Form[RouteState] = _RouteForm()
TRACK_FORM: Form[TrackState] = _TrackForm()


@dataclass(frozen=True, slots=True)
class Checkpoint(Generic[S]):
    """What a partition takes up again.

    Attributes:
        state: of the fold.
        tracking_ends: by partition of the tracking topic, where it ended when all effects up to the
            state's position were on it; empty without a tracking topic.
    """

    state: S
    tracking_ends: Mapping[int, int] = field(default_factory=dict)


class Checkpoints(Generic[S]):
    """The checkpoints of one job."""

    def __init__(
        self, store: CheckpointStore, origin: Origin, every_seconds: float, form: Form[S]
    ) -> None:
        self.form = form
        self.store = store
        self.origin = origin
        self.every_seconds = every_seconds
        self._pending: threading.Thread | None = None
        self._due_at: dict[int, float] = {}
        self._failure: OSError | None = None

    def load(self, partition: int, at_most: int, override: Policy | None) -> Checkpoint[S]:
        """The newest usable one at or before a position; that of a fresh state if there is none."""
        for position, name in reversed(self._files(partition)):
            if position > at_most:
                continue
            try:
                return self._read(name, partition, override)
            except CheckpointError as error:
                _log.warning("checkpoint passed over", reason=str(error))
        return Checkpoint(self.form.fresh(partition, override))

    def is_due(self, partition: int) -> bool:
        """Whether it is time for another one of the partition."""
        now = time.monotonic()
        due = self._due_at.setdefault(partition, now + self.every_seconds)
        return now >= due and (self._pending is None or not self._pending.is_alive())

    def take(self, checkpoint: Checkpoint[S], high_water: int) -> None:
        """Write the state down, publish it on a thread; ``high_water`` is how far the lake is."""
        self._raise_failure()
        began, state = time.monotonic(), checkpoint.state
        partition, position = state.partition, state.position
        draft = self._draft(checkpoint)

        def publish() -> None:
            yield_to_others()
            self._publish(partition, position, draft, high_water, began)

        self._pending = threading.Thread(target=publish, daemon=True)
        self._pending.start()

    def save(self, checkpoint: Checkpoint[S], high_water: int) -> None:
        """Write a checkpoint now and wait until it is on disk."""
        self.wait()
        began, state = time.monotonic(), checkpoint.state
        draft = self._draft(checkpoint)
        self._publish(state.partition, state.position, draft, high_water, began)
        self._raise_failure()

    def wait(self) -> None:
        """Wait for the checkpoint under way, if there is one."""
        if self._pending is not None:
            self._pending.join()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failed(self._failure)

    def _failed(self, error: OSError) -> CheckpointError:
        return CheckpointError(f"{self.store.name}: no checkpoint could be written: {error}")

    def _draft(self, checkpoint: Checkpoint[S]) -> Path:
        """The state as it is now, in a file that is no checkpoint yet."""
        try:
            draft = self.store.draft(_folder(checkpoint.state.partition))
            try:
                with draft.open("wb") as file:
                    write(file, checkpoint, self.origin, self.form)
            except BaseException:
                self.store.drop(draft)
                raise
        except OSError as error:
            self._failure = error
            raise self._failed(error) from error
        return draft

    def _publish(
        self, partition: int, position: int, draft: Path, high_water: int, began: float
    ) -> None:
        try:
            with draft.open("rb") as file:
                name = f"{position:020d}-{digest_of(file)}.checkpoint"
            self.store.publish(_folder(partition), name, draft)
            self._prune(partition, high_water)
        except OSError as error:
            self.store.drop(draft)
            self._failure = error
        finally:
            cost = time.monotonic() - began
            self._due_at[partition] = time.monotonic() + max(self.every_seconds, COST_SHARE * cost)

    def _prune(self, partition: int, high_water: int) -> None:
        """Remove what is too old; where that fails there is more than need be, and the next one tries again."""
        try:
            self._remove_old(partition, high_water)
        except (OSError, CheckpointError) as error:
            _log.warning("old checkpoints could not be removed", reason=str(error))

    def _remove_old(self, partition: int, high_water: int) -> None:
        files = self._files(partition)
        behind = [f for f in files if f[0] <= high_water]
        keep = {name for _, name in files[-KEPT:]} | {name for _, name in behind[-1:]}
        for _, name in files:
            if name not in keep:
                self.store.remove(_folder(partition), name)

    def _files(self, partition: int) -> list[tuple[int, str]]:
        """Names of published checkpoints by position."""
        names = self.store.names(_folder(partition))
        return sorted((int(match[1]), name) for name in names if (match := _NAME.match(name)))

    def _read(self, name: str, partition: int, override: Policy | None) -> Checkpoint[S]:
        full = f"{self.store.name}/{_folder(partition)}/{name}"
        match = _NAME.match(name)
        try:
            with self.store.read(_folder(partition), name) as file:
                if match is None or digest_of(file) != match[2]:
                    raise CheckpointError(
                        f"{full} is damaged: its sha256 is not the one in its name"
                    )
                file.seek(0)
                return read(file, partition, self.origin, override, full, self.form)
        except OSError as error:
            raise CheckpointError(f"{full} cannot be read: {error}") from error


def _folder(partition: int) -> str:
    return f"partition={partition:04d}"


def write(file: BufferedWriter, checkpoint: Checkpoint[S], origin: Origin, form: Form[S]) -> None:
    """Write a checkpoint."""
    state = checkpoint.state
    arrays, values = form.to_arrays(state)
    header = {
        "format": FORMAT,
        "form": form.name,
        "log_id": origin.log_id,
        "policy_override_sha256": origin.policy_override_sha256,
        "runtime": origin.runtime,
        "partition": state.partition,
        "position": state.position,
        "clock": {
            "time": state.clock.time,
            "said": state.clock.said,
            "retired": sorted(state.clock.retired),
        },
        "values": values,
        "tracking_ends": list(checkpoint.tracking_ends.items()),
        "arrays": [(name, _described(array.dtype), array.shape) for name, array in arrays.items()],
    }
    file.write(json.dumps(header).encode() + b"\n")
    for array in arrays.values():
        file.write(np.ascontiguousarray(array).view(np.uint8).data)


def read(
    file: BufferedReader,
    partition: int,
    origin: Origin,
    override: Policy | None,
    name: str,
    form: Form[S],
) -> Checkpoint[S]:
    """The checkpoint that ``write`` was called on.

    Raises:
        CheckpointError: it is of another format, flow, log or override.
    """
    try:
        header = json.loads(file.readline())
        found = header["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{name} is no checkpoint of this version") from error
    if found != FORMAT:
        raise CheckpointError(f"{name} has format {found}, this version reads {FORMAT}")
    if header["form"] != form.name:
        raise CheckpointError(f"{name} is of flow {header['form']}, not of {form.name}")
    if header["log_id"] != origin.log_id:
        raise CheckpointError(f"{name} is of log {header['log_id']}, not of {origin.log_id}")
    if header["policy_override_sha256"] != origin.policy_override_sha256:
        raise CheckpointError(f"{name} was made under another policy override")
    if header["runtime"] != origin.runtime:
        _log.warning(
            "checkpoint comes from another runtime; the model may differ in the last bit",
            checkpoint=name,
            made_on=header["runtime"],
            here=origin.runtime,
        )
    state = form.fresh(partition, override)
    kept = header["clock"]
    state.position = header["position"]
    state.clock = Clock(kept["time"], kept["said"], set(kept["retired"]))
    form.restore(state, _KeptArrays(file, header["arrays"]), header["values"])
    return Checkpoint(state, dict(header["tracking_ends"]))


def _described(kind: np.dtype[Any]) -> _Fields:
    """A kind of element as JSON can take it; records are aligned, here as everywhere."""
    if kind.names is None:
        return kind.str
    return [(name, kind[name].str) for name in kind.names]


class _KeptArrays(Kept):
    """The arrays that follow in a file, each read when it is asked for, so that none waits in memory.

    Each is in memory of its own that can grow. It is made by growing, too: what NumPy asks for at once it
    wants in huge pages, but for its ends, and Linux does not move memory of two kinds; it would be copied
    when it grows (seen: 700 MB more).
    """

    def __init__(
        self, file: BufferedReader, described: Iterable[tuple[str, _Fields, list[int]]]
    ) -> None:
        self._file = file
        self._places: dict[str, _Place] = {}
        begin = file.tell()
        for name, fields, shape in described:
            words = fields if isinstance(fields, str) else [(field, word) for field, word in fields]
            kind = np.dtype(words, align=True)
            self._places[name] = begin, kind, shape
            begin += kind.itemsize * math.prod(shape)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        begin, kind, shape = self._places[name]
        array = np.empty(0, kind)
        array.resize(math.prod(shape), refcheck=False)
        self._file.seek(begin)
        self._file.readinto(array.view(np.uint8).data)
        return array if len(shape) == 1 else array.reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
