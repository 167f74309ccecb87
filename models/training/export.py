"""A trained network as ONNX bytes, with the contract and the trained ranges as metadata.

Normalisation is folded into the first layer and the heads are written with whole-matrix operations
only, so that nothing is sliced: ``E = exp(clip(raw))``, then ``(E @ MIX) / (E @ ODDS + 1)``, where
MIX adds p50 to p90 and ODDS picks the odds of being late. The clip bounds every output for any
finite input.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.inference import CONTRACTS, Contract
from models.routing.features import INPUT_NAME, OUTPUT_NAME
from models.training.layers import Array, Network
from schemas.codes import ModelOf

OPSET, IR_VERSION = 17, 9  # read by every onnxruntime since 1.14
RAW_MIN, RAW_MAX = -12.0, 9.0  # e**9 is 8,103 hours, 11 months; e**-12 is a hundredth of a second
MIX = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)
ODDS = np.diag(np.array([0, 0, 1, 0], np.float32))


def to_onnx(network: Network, name: str, low: Array, high: Array) -> bytes:
    """The file of a routing model; the same arguments give the same bytes.

    Args:
        network: trained weights.
        name: what people call the model, such as ``route-1``.
        low: (16,) float32, lowest trained value of each input.
        high: (16,) float32, highest.
    """
    contract = CONTRACTS[ModelOf.ROUTE]
    return to_bytes(_nodes(), _constants(network), contract, name, (low, high))


def to_bytes(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Array],
    contract: Contract,
    name: str,
    ranges: tuple[Array, Array],
) -> bytes:
    """A graph as the bytes of a file, with its contract and its trained ranges."""
    version, input_name, inputs, output_name, outputs = contract
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["n", inputs])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(array, label) for label, array in constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="crossdock",
    )
    low, high = ranges
    metadata = {
        "features_version": version,
        "high": json.dumps([float(v) for v in high]),
        "low": json.dumps([float(v) for v in low]),
        "name": name,
    }
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def folded_layers(network: Network) -> dict[str, Array]:
    """Weights and biases by name, with the normalisation of inputs in the first layer."""
    first = network.weights[0] / network.scale[:, None]
    weights = [first, *network.weights[1:]]
    biases = [network.biases[0] - network.mean @ first, *network.biases[1:]]
    layers = {f"weight_{i}": w for i, w in enumerate(weights)}
    return layers | {f"bias_{i}": b for i, b in enumerate(biases)}


def _constants(network: Network) -> dict[str, Array]:
    bounds = {"raw_min": np.float32(RAW_MIN), "raw_max": np.float32(RAW_MAX), "one": np.float32(1)}
    scalars = {label: np.asarray(value, np.float32) for label, value in bounds.items()}
    return folded_layers(network) | scalars | {"mix": MIX, "odds": ODDS}


def _nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Gemm", [INPUT_NAME, "weight_0", "bias_0"], ["sum_0"]),
        node("Relu", ["sum_0"], ["layer_0"]),
        node("Gemm", ["layer_0", "weight_1", "bias_1"], ["sum_1"]),
        node("Relu", ["sum_1"], ["layer_1"]),
        node("Gemm", ["layer_1", "weight_2", "bias_2"], ["raw"]),
        node("Clip", ["raw", "raw_min", "raw_max"], ["bounded"]),
        node("Exp", ["bounded"], ["grown"]),
        node("MatMul", ["grown", "mix"], ["mixed"]),
        node("Gemm", ["grown", "odds", "one"], ["divisor"]),
        node("Div", ["mixed", "divisor"], [OUTPUT_NAME]),
    ]
