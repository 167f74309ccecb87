"""The door to onnxruntime: which file is taken, what is refused, and batching changes nothing."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import numpy as np
import onnx
import pytest

from models.inference import (
    ARTIFACTS,
    SHIPPED_MODEL,
    Model,
    default_model_path,
    load_model,
    runtime_fingerprint,
    shipped_model_sha256,
)
from models.routing.features import N_FEATURES, N_QUANTITIES, Feature, Quantity
from models.simulation.deliveries import draw_deliveries
from schemas.errors import ModelError

ROUTER_ROWS = 5120


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(None, shipped_model_sha256())


@pytest.fixture(scope="module")
def features() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    drawn = draw_deliveries(ROUTER_ROWS, np.random.default_rng(11)).features
    return np.ascontiguousarray(drawn.reshape(ROUTER_ROWS, N_FEATURES))


Features = np.ndarray[tuple[int, int], np.dtype[np.float32]]


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 16, 17, 20, 31, 63, 64, 65, 257])
def test_scores_do_not_depend_on_the_size_of_a_batch(
    model: Model, features: Features, rows: int
) -> None:
    whole = model.score(features)

    for start in range(0, min(40 * rows, ROUTER_ROWS - rows), rows):
        part = model.score(features[start : start + rows])
        assert part.tobytes() == whole[start : start + rows].tobytes(), (start, rows)


@pytest.mark.parametrize("rows", [2, 3, 5, 20, 64, ROUTER_ROWS])
def test_scores_do_not_depend_on_the_place_in_a_batch(
    model: Model, features: Features, rows: int
) -> None:
    alone = model.score(features[:1])

    for place in {*range(min(rows, 40)), rows // 2, rows - 1}:
        batch = features[-rows:].copy()
        batch[place] = features[0]
        assert model.score(batch)[place].tobytes() == alone.tobytes(), (place, rows)


def test_scores_do_not_depend_on_the_neighbours_or_on_the_call_before(
    model: Model, features: Features
) -> None:
    first = model.score(features).tobytes()
    model.score(features[::-1].copy())

    assert model.score(features).tobytes() == first
    assert model.score(features[::-1].copy())[::-1].tobytes() == first


def test_no_rows_score_to_no_rows(model: Model) -> None:
    scores = model.score(np.empty((0, N_FEATURES), np.float32))

    assert scores.shape == (0, N_QUANTITIES)


def test_quantities_keep_their_promises_even_far_outside_the_trained_ranges(model: Model) -> None:
    generator = np.random.default_rng(5)
    wild = generator.normal(0, 1000, (2000, N_FEATURES)).astype(np.float32)

    scores = model.score(wild)

    assert (scores[:, Quantity.TRANSIT_P50_HOURS] > 0).all()
    p50, p90 = scores[:, Quantity.TRANSIT_P50_HOURS], scores[:, Quantity.TRANSIT_P90_HOURS]
    assert (p90 >= p50).all()
    late = scores[:, Quantity.LATE_PROBABILITY]
    assert ((late >= 0) & (late <= 1)).all()
    assert (scores[:, Quantity.HANDLING_HOURS] > 0).all()


def test_less_time_makes_late_more_probable(model: Model, features: Features) -> None:
    ample, scarce = features.copy(), features.copy()
    ample[:, Feature.SLACK], scarce[:, Feature.SLACK] = 1.0, 0.05

    difference = model.score(scarce) - model.score(ample)

    assert (difference[:, Quantity.LATE_PROBABILITY] > 0).mean() > 0.99


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", list(Feature))
def test_an_input_that_is_not_finite_is_refused_with_its_row(
    model: Model, features: Features, poison: float, column: Feature
) -> None:
    poisoned = features[:64].copy()
    poisoned[17, column] = poison

    with pytest.raises(ModelError, match=rf"{SHIPPED_MODEL} .* inputs of 1 of 64 rows .* row 17"):
        model.score(poisoned)


def test_an_output_that_is_not_finite_is_refused(tmp_path: Path, features: Features) -> None:
    def overflow(graph: onnx.ModelProto) -> None:
        _replace(graph, "raw_max", np.asarray(1000, np.float32))
        _replace(graph, "bias_2", np.full(N_QUANTITIES, 500, np.float32))

    changed = _load_changed(tmp_path, overflow)

    with pytest.raises(ModelError, match=r"outputs of 2 of 2 rows are not finite"):
        changed.score(features[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, N_FEATURES - 1), np.float32),
        np.zeros(N_FEATURES, np.float32),
        np.zeros((3, N_FEATURES), np.float64),
        np.zeros((N_FEATURES, 3), np.float32).T,
    ],
    ids=["narrow", "flat", "double", "transposed"],
)
def test_features_of_another_shape_type_or_layout_are_a_defect(
    model: Model, wrong: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    with pytest.raises(ValueError, match="features"):
        model.score(wrong)


def test_the_shipped_model_knows_its_name_and_trained_ranges(model: Model) -> None:
    assert model.name == SHIPPED_MODEL
    assert model.low.shape == model.high.shape == (N_FEATURES,)
    assert model.low.dtype == model.high.dtype == np.float32
    assert (model.low < model.high).all()
    assert not model.low.flags.writeable


def test_the_card_names_the_sha256_of_the_committed_file() -> None:
    card = default_model_path().with_suffix(".md").read_text(encoding="utf-8")

    assert f"| sha256 | `{shipped_model_sha256()}` |" in card


def test_the_activated_file_is_found_among_others_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "a.onnx").write_bytes(b"another model")
    (tmp_path / "second").mkdir()
    copyfile(default_model_path(), tmp_path / "second" / "renamed.onnx")

    found = load_model([tmp_path / "first", tmp_path / "second"], shipped_model_sha256().upper())

    assert found.sha256 == shipped_model_sha256()


def test_a_single_file_may_be_named() -> None:
    assert load_model(default_model_path(), shipped_model_sha256()).name == SHIPPED_MODEL


def test_an_absent_model_is_named_with_its_directory_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path, "0" * 64)

    message = str(caught.value)
    assert "0" * 64 in message
    assert str(tmp_path) in message
    assert "put the activated file there" in message
    assert "\n" not in message


def test_a_missing_directory_is_the_same_as_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \*.onnx with this sha256"):
        load_model([tmp_path / "nowhere"], "0" * 64)


@pytest.mark.parametrize("damage", [b"", b"x" * 100], ids=["empty", "other"])
def test_a_file_that_lacks_the_sha256_of_its_card_is_damaged(tmp_path: Path, damage: bytes) -> None:
    sha256 = shipped_model_sha256()
    copyfile(ARTIFACTS / f"{SHIPPED_MODEL}.md", tmp_path / f"{SHIPPED_MODEL}.md")
    (tmp_path / f"{SHIPPED_MODEL}.onnx").write_bytes(damage)

    with pytest.raises(ModelError, match=rf"{sha256}: .*{SHIPPED_MODEL}.onnx is damaged"):
        load_model(tmp_path, sha256)


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    copyfile(ARTIFACTS / f"{SHIPPED_MODEL}.md", tmp_path / f"{SHIPPED_MODEL}.md")
    (tmp_path / f"{SHIPPED_MODEL}.onnx").write_bytes(default_model_path().read_bytes()[:-200])

    with pytest.raises(ModelError, match="is damaged"):
        load_model(tmp_path, shipped_model_sha256())


@pytest.mark.parametrize("content", [b"", b"not a model at all"], ids=["empty", "text"])
def test_an_activated_file_that_onnxruntime_cannot_load_is_refused(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "broken.onnx").write_bytes(content)

    with pytest.raises(ModelError, match="not a model onnxruntime can load") as caught:
        load_model(tmp_path, hashlib.sha256(content).hexdigest())

    assert "\n" not in str(caught.value)


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()

    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path, "0" * 64)


def _set_version(graph: onnx.ModelProto) -> None:
    next(p for p in graph.metadata_props if p.key == "features_version").value = "route-features-0"


def _drop_metadata(graph: onnx.ModelProto) -> None:
    del graph.metadata_props[:]


def _rename_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].name = graph.graph.node[0].input[0] = "inputs"


def _rename_output(graph: onnx.ModelProto) -> None:
    graph.graph.output[0].name = graph.graph.node[-1].output[0] = "outputs"


def _narrow_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = N_FEATURES - 1
    _replace(graph, "weight_0", np.zeros((N_FEATURES - 1, 32), np.float32))


def _widen_output(graph: onnx.ModelProto) -> None:
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5
    _replace(graph, "mix", np.zeros((N_QUANTITIES, 5), np.float32))
    _replace(graph, "odds", np.zeros((N_QUANTITIES, 5), np.float32))


@pytest.mark.parametrize(
    "change",
    [_set_version, _drop_metadata, _rename_input, _rename_output, _narrow_input, _widen_output],
)
def test_a_model_of_another_contract_is_refused(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    with pytest.raises(ModelError, match="activate a model trained for it"):
        _load_changed(tmp_path, change)


@pytest.mark.parametrize("value", ["", "[1, 2]", "[NaN]", '{"a": 1}', '"text"'])
def test_a_model_without_sound_trained_ranges_is_refused(tmp_path: Path, value: str) -> None:
    def change(graph: onnx.ModelProto) -> None:
        next(p for p in graph.metadata_props if p.key == "low").value = value

    with pytest.raises(ModelError, match=r"metadata 'low' .* is not 16 numbers"):
        _load_changed(tmp_path, change)


def test_the_fingerprint_names_the_version_and_the_flags_that_choose_kernels(
    tmp_path: Path,
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: any\nflags\t\t: fpu sse2 fma avx2 avx512f amx_tile\n" * 2)

    fingerprint = runtime_fingerprint(cpuinfo)

    assert fingerprint.startswith("onnxruntime ")
    assert fingerprint.endswith("; amx_tile avx2 avx512f fma")


def test_the_fingerprint_does_without_a_list_of_flags(tmp_path: Path) -> None:
    assert runtime_fingerprint(tmp_path / "absent").count(";") == 2


def _replace(
    graph: onnx.ModelProto, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    tensor = next(t for t in graph.graph.initializer if t.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(value, name))


def _load_changed(folder: Path, change: Callable[[onnx.ModelProto], None]) -> Model:
    """The shipped model after ``change``, loaded as if it had been activated so."""
    graph = onnx.load_from_string(default_model_path().read_bytes())
    change(graph)
    content = graph.SerializeToString()
    (folder / "changed.onnx").write_bytes(content)
    return load_model(folder, hashlib.sha256(content).hexdigest())
