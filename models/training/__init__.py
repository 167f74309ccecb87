"""How the shipped model was made: world, network, ONNX file, evaluation, card."""
