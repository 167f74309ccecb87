"""The one door to onnxruntime: finds the activated model, checks it, and scores features with it.

A model is known by the sha256 of its file. A file whose bytes, inputs, outputs or features version
differ from what was activated and what we write is refused, in one line that says what to do.
Scores do not depend on how rows are batched (``tests/models/test_inference.py`` holds every build
to that), so a partition may cut its work as it likes. Rules, fallbacks and the isolation of a
poisonous row are the router's.
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from models.routing import features as route
from models.tracking import features as arrival
from schemas.codes import ModelOf
from schemas.errors import ModelError

ARTIFACTS = Path(__file__).parent / "artifacts"
SHIPPED_MODEL = "route-1"
SHIPPED_ARRIVAL_MODEL = "arrival-1"
SHIPPED = {ModelOf.ROUTE: SHIPPED_MODEL, ModelOf.ARRIVAL: SHIPPED_ARRIVAL_MODEL}
CPU_FLAGS = ("avx", "fma", "f16c", "amx", "asimd", "sve", "i8mm", "bf16")
"""Beginnings of the CPU flags by which onnxruntime's kernels are chosen (x86, then Arm)."""

_LOAD_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NoModel,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)

_RUN_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.RuntimeException,
)

Array = npt.NDArray[np.float32]


class Contract(NamedTuple):
    """What a model has to take and to give, see the features of those who use it."""

    version: str
    input_name: str
    inputs: int
    output_name: str
    outputs: int


CONTRACTS = {
    ModelOf.ROUTE: Contract(
        route.FEATURES_VERSION,
        route.INPUT_NAME,
        route.N_FEATURES,
        route.OUTPUT_NAME,
        route.N_QUANTITIES,
    ),
    ModelOf.ARRIVAL: Contract(
        arrival.FEATURES_VERSION,
        arrival.INPUT_NAME,
        arrival.N_INPUTS,
        arrival.OUTPUT_NAME,
        arrival.N_OUTPUTS,
    ),
}


@dataclass(frozen=True, eq=False)
class Model:
    """A checked model, ready to score."""

    sha256: str
    name: str
    contract: Contract
    low: Array  # (inputs,), lowest value of each input in training
    high: Array  # (inputs,), highest
    _session: Any = field(repr=False)  # onnxruntime has no types

    def score(self, features: Array) -> Array:
        """Outputs of each row: (n, outputs) float32 for (n, inputs) float32, C-contiguous; n may be 0.

        Raises:
            ModelError: an input or an output is not finite, or the model fails on a row.
            ValueError: another dtype, shape or layout: a defect of the caller.
        """
        width = self.contract.inputs
        if features.dtype != np.float32 or features.shape[1:] != (width,):
            found = f"{features.dtype}{features.shape}"
            raise ValueError(f"features are {found}, not float32 (n, {width})")
        if not features.flags.c_contiguous:
            raise ValueError(f"features {features.shape} are not C-contiguous")
        # Checked before the call: a ReLU turns minus infinity into an innocent zero.
        _check_finite(self, "inputs", features)
        try:
            _, input_name, _, output_name, _ = self.contract
            outputs: Array = self._session.run([output_name], {input_name: features})[0]
        except _RUN_ERRORS as error:
            raise ModelError(f"model {self.name} ({self.sha256[:12]}): {error}") from error
        _check_finite(self, "outputs", outputs)
        return outputs


def load_model(
    sources: Path | Sequence[Path] | None, sha256: str, of: ModelOf = ModelOf.ROUTE
) -> Model:
    """The model whose file has this sha256.

    Args:
        sources: a model file, a directory of ``*.onnx``, or several of either; ``None`` is the
            directory of the shipped models.
        sha256: of the file, in hexadecimal, as in the ``model.activated`` record.
        of: what it is to score.

    Raises:
        ModelError: no such file, or the one whose card names it is damaged or expects other inputs.
    """
    if sources is None:
        places: Sequence[Path] = (ARTIFACTS,)
    else:
        places = (sources,) if isinstance(sources, Path) else sources
    wanted = sha256.lower()
    for path in _candidates(places):
        content = _read(path)
        if hashlib.sha256(content).hexdigest() == wanted:
            return _open(content, path, wanted, CONTRACTS[of])
        _check_card(path, wanted)
    searched = ", ".join(str(place) for place in places) or "no directory"
    raise ModelError(
        f"model {wanted}: no *.onnx with this sha256 in {searched}; "
        "put the activated file there, or activate another model"
    )


def default_model_path(of: ModelOf = ModelOf.ROUTE) -> Path:
    """The file of the shipped model."""
    return ARTIFACTS / f"{SHIPPED[of]}.onnx"


def shipped_model_sha256(of: ModelOf = ModelOf.ROUTE) -> str:
    """What a ``model.activated`` record names to activate the shipped model."""
    return hashlib.sha256(_read(default_model_path(of))).hexdigest()


def runtime_fingerprint(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The onnxruntime version and CPU class within which scores are promised to be identical.

    Args:
        cpuinfo: where Linux lists CPU flags; without it the processor's name stands in for them.
    """
    flags = " ".join(_cpu_flags(cpuinfo)) or platform.processor() or "unknown"
    system = f"{platform.system()} {platform.machine()}"
    return f"onnxruntime {onnxruntime.__version__}; {system}; {flags}"


def _candidates(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        yield from [place] if place.is_file() else sorted(place.glob("*.onnx"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; restore the file") from error


def _check_card(path: Path, wanted: str) -> None:
    """Refuse a file that its card takes for the wanted one, though its bytes differ."""
    card = path.with_suffix(".md")
    if card.is_file() and wanted in card.read_text(encoding="utf-8", errors="replace"):
        raise ModelError(
            f"model {wanted}: {path} is damaged: it lacks the sha256 that {card.name} names; "
            "restore the file"
        )


def _open(content: bytes, path: Path, sha256: str, contract: Contract) -> Model:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what fails is raised; a line on stderr would be a second one
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"model {sha256}: {path} is not a model onnxruntime can load ({reason}); "
            "activate another model"
        ) from error
    _check_contract(session, path, sha256, contract)
    facts: dict[str, str] = session.get_modelmeta().custom_metadata_map
    low, high = (_range(facts, key, path, sha256, contract.inputs) for key in ("low", "high"))
    return Model(sha256, facts.get("name", path.stem), contract, low, high, session)


def _check_contract(session: Any, path: Path, sha256: str, contract: Contract) -> None:
    """Compare features version, names, types and widths with ours."""
    version = session.get_modelmeta().custom_metadata_map.get("features_version", "none")
    found = [version]
    found += [f"{a.name} {a.type} {a.shape[1:]}" for a in session.get_inputs()]
    found += [f"{a.name} {a.type} {a.shape[1:]}" for a in session.get_outputs()]
    ours = [contract.version, f"{contract.input_name} tensor(float) [{contract.inputs}]"]
    ours += [f"{contract.output_name} tensor(float) [{contract.outputs}]"]
    if found != ours:
        raise ModelError(
            f"model {sha256}: {path} has {', '.join(found)}, this version of Crossdock writes "
            f"{', '.join(ours)}; activate a model trained for it"
        )


def _range(facts: dict[str, str], key: str, path: Path, sha256: str, inputs: int) -> Array:
    """The trained minimum or maximum of each input, read-only."""
    try:
        values = np.asarray(json.loads(facts.get(key, "null")), np.float32)
    except (ValueError, TypeError):
        values = np.empty(0, np.float32)
    if values.shape != (inputs,) or not np.isfinite(values).all():
        raise ModelError(
            f"model {sha256}: metadata {key!r} of {path} is not {inputs} numbers; "
            "export the model again with its trained ranges"
        )
    values.setflags(write=False)
    return values


def _check_finite(model: Model, what: str, values: Array) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    bad = np.flatnonzero(~finite.all(axis=1))
    raise ModelError(
        f"model {model.name} ({model.sha256[:12]}): {what} of {len(bad)} of {len(values)} rows "
        f"are not finite, the first in row {bad[0]}; isolate these rows"
    )


def _cpu_flags(cpuinfo: Path) -> list[str]:
    if not cpuinfo.is_file():
        return []
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    listed = [line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))]
    return sorted({flag for flag in " ".join(listed).split() if flag.startswith(CPU_FLAGS)})
