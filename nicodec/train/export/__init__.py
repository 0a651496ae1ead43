"""The bridge from training to the runtime: weights of a trained model -> one .nicmodel file.

Its door. `freeze` makes the file, `graphs` its ONNX graphs, `proof` shows that they compute what torch computes.
"""

from nicodec.train.export.freeze import freeze, write_model

__all__ = ["freeze", "write_model"]
