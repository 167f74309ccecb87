"""A trained arrival network as ONNX bytes, with the contract and the trained ranges as metadata.

An input beyond what was trained counts as the nearest that was: the network sees inputs cut to the trained
ranges. What it corrects (the lane's history) is taken as it is. Normalisation is folded into the first layer,
and columns are picked by a product with ``BASES``, so that nothing is sliced.
"""

import numpy as np
import onnx
from onnx import helper

from models.inference import CONTRACTS
from models.tracking.features import INPUT_NAME, N_INPUTS, N_OUTPUTS, OUTPUT_NAME, Input
from models.training.arrival.network import RAW_LIMIT
from models.training.export import folded_layers, to_bytes
from models.training.layers import Array, Network
from schemas.codes import ModelOf

SUMS = np.array([[1, 1], [0, 1]], np.float32)
"""The median counts in both quantiles, what is above it in the second."""


def to_onnx(network: Network, name: str, low: Array, high: Array) -> bytes:
    """The file of an arrival model; the same arguments give the same bytes.

    Args:
        network: trained weights.
        name: what people call the model, such as ``arrival-1``.
        low: (N_INPUTS,) float32, lowest trained value of each input.
        high: (N_INPUTS,) float32, highest.
    """
    limits = {"raw_min": -RAW_LIMIT, "raw_max": RAW_LIMIT}
    scalars = {label: np.asarray(value, np.float32) for label, value in limits.items()}
    constants = folded_layers(network) | scalars
    constants |= {"low": low, "high": high, "bases": _bases(), "sums": SUMS}
    return to_bytes(_nodes(), constants, CONTRACTS[ModelOf.ARRIVAL], name, (low, high))


def _bases() -> Array:
    picked = np.zeros((N_INPUTS, N_OUTPUTS), np.float32)
    picked[Input.REMAINING_P50] = [1, -1]
    picked[Input.REMAINING_P90] = [0, 1]
    return picked


def _nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Max", [INPUT_NAME, "low"], ["raised"]),
        node("Min", ["raised", "high"], ["within"]),
        node("Gemm", ["within", "weight_0", "bias_0"], ["sum_0"]),
        node("Relu", ["sum_0"], ["layer_0"]),
        node("Gemm", ["layer_0", "weight_1", "bias_1"], ["sum_1"]),
        node("Relu", ["sum_1"], ["layer_1"]),
        node("Gemm", ["layer_1", "weight_2", "bias_2"], ["raw"]),
        node("Clip", ["raw", "raw_min", "raw_max"], ["bounded"]),
        node("Exp", ["bounded"], ["correction"]),
        node("MatMul", [INPUT_NAME, "bases"], ["base"]),
        node("Mul", ["base", "correction"], ["parts"]),
        node("MatMul", ["parts", "sums"], [OUTPUT_NAME]),
    ]
