"""Write a fine-tuned network as ONNX, fused and quantised to int8, and its heads as arrays."""

from __future__ import annotations

import io
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from torch import nn

from hypecheck.training.deep import Network

_HEADS, _WIDTH = 12, 384


class _Encoder(nn.Module):
    """The encoder with plain arguments and one result."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state


def to_onnx(net: Network, *, int8: bool = True) -> bytes:
    """Give the encoder as an ONNX graph: ids, mask (windows, tokens) -> hidden states."""
    encoder = _Encoder(net.encoder.cpu().float()).eval()
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        plain, fused, small = (Path(folder) / n for n in ("plain.onnx", "fused.onnx", "int8.onnx"))
        example = torch.ones(2, 16, dtype=torch.int64)
        torch.onnx.export(
            encoder,
            (example, example),
            str(plain),
            input_names=["ids", "mask"],
            output_names=["hidden"],
            dynamic_axes={n: {0: "windows", 1: "tokens"} for n in ("ids", "mask", "hidden")},
            opset_version=17,
            dynamo=False,
        )
        best = optimizer.optimize_model(
            str(plain), model_type="bert", num_heads=_HEADS, hidden_size=_WIDTH, opt_level=0
        )
        best.save_model_to_file(str(fused))
        if not int8:
            return fused.read_bytes()
        # Without VNNI the 8-bit products of AVX2 can overflow: 7-bit weights avoid it.
        quantize_dynamic(
            fused,
            small,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        model = onnx.load(str(small))
        model.ClearField("producer_version")
        buffer = io.BytesIO()
        onnx.save(model, buffer)
        return buffer.getvalue()


def heads(net: Network, vocabulary: list[str]) -> dict[str, Any]:
    """Give what :class:`hypecheck.deep.Deep` needs besides the graph."""

    def rows(layer: nn.Linear) -> Any:
        weight = layer.weight.detach().cpu().float().numpy()
        bias = layer.bias.detach().cpu().float().numpy()
        return np.concatenate([weight.T, bias[None]]).astype(np.float32)

    return {
        "vocabulary": vocabulary,
        "attention": rows(net.attention)[:, 0],
        "head": rows(net.head),
        "token_head": rows(net.token_head),
    }
