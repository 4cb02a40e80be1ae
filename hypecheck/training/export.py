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
from onnxruntime.transformers.fusion_options import FusionOptions
from torch import nn
from transformers import BertConfig, BertModel

from hypecheck.training.deep import Network

_HEADS, _WIDTH = 12, 384


class _Attention(torch.autograd.Function):
    """Attention among all tokens, written as one ONNX Runtime operator."""

    @staticmethod
    def forward(_: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.unflatten(-1, (_HEADS, -1)).transpose(1, 2) for x in (q, k, v))
        out = nn.functional.scaled_dot_product_attention(q, k, v)
        return out.transpose(1, 2).flatten(-2)

    @staticmethod
    def symbolic(g: Any, q: Any, k: Any, v: Any) -> Any:
        out = g.op("com.microsoft::MultiHeadAttention", q, k, v, num_heads_i=_HEADS)
        return out.setType(q.type())


class _Encoder(nn.Module):
    """The encoder without a mask: one window is read at a time, and none is padded."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.encoder.embeddings(input_ids=ids)
        for layer in self.encoder.encoder.layer:
            own = layer.attention.self
            mixed = _Attention.apply(own.query(hidden), own.key(hidden), own.value(hidden))
            hidden = layer.attention.output(mixed, hidden)
            hidden = layer.output(layer.intermediate(hidden), hidden)
        return hidden


def to_onnx(net: Network, *, int8: bool = True) -> bytes:
    """Give the encoder as an ONNX graph: ids (windows, tokens), unpadded -> hidden states."""
    encoder = _Encoder(net.encoder.cpu().float()).eval()
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        plain, fused, small = (Path(folder) / n for n in ("plain.onnx", "fused.onnx", "int8.onnx"))
        example = torch.ones(2, 16, dtype=torch.int64)
        torch.onnx.export(
            encoder,
            (example,),
            str(plain),
            input_names=["ids"],
            output_names=["hidden"],
            dynamic_axes={n: {0: "windows", 1: "tokens"} for n in ("ids", "hidden")},
            opset_version=17,
            custom_opsets={"com.microsoft": 1},
            dynamo=False,
        )
        fusions = FusionOptions("bert")
        # Slower than its parts: a sixth of the time of a window.
        fusions.enable_skip_layer_norm = False
        fusions.enable_embed_layer_norm = False
        best = optimizer.optimize_model(
            str(plain),
            model_type="bert",
            num_heads=_HEADS,
            hidden_size=_WIDTH,
            opt_level=0,
            optimization_options=fusions,
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


def restore(graph: bytes, data: dict[str, Any], n_pieces: int) -> Network:
    """Give the network that :func:`to_onnx` and :func:`heads` wrote, to go on training with.

    Its weights are those of the int8 graph, so a little rougher than they were.
    """
    model = onnx.load_from_string(graph)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}

    def whole(name: str) -> Any:
        scale, zero = values[f"{name}_scale"], values[f"{name}_zero_point"]
        quantised = values[f"{name}_quantized"].astype(np.float32)
        return torch.from_numpy((quantised - zero.astype(np.float32)) * scale)

    config = BertConfig(
        vocab_size=n_pieces,
        hidden_size=_WIDTH,
        num_hidden_layers=6,
        num_attention_heads=_HEADS,
        intermediate_size=4 * _WIDTH,
    )
    net = Network(BertModel(config, add_pooling_layer=False), 0.1)
    state = {
        n.removeprefix("encoder."): torch.from_numpy(v.copy())
        for n, v in values.items()
        if n.startswith("encoder.") and v.dtype == np.float32 and v.ndim == 1
    }
    for kind in ("word", "position", "token_type"):
        name = f"embeddings.{kind}_embeddings.weight"
        state[name] = whole(f"encoder.{name}")
    # Products with constants stand in the graph in the order in which a layer computes them.
    products = [
        n.input[1].removesuffix("_quantized")
        for n in model.graph.node
        if n.op_type == "MatMulInteger"
    ]
    parts = (
        "attention.self.query", "attention.self.key", "attention.self.value",
        "attention.output.dense", "intermediate.dense", "output.dense",
    )  # fmt: skip
    left = {f"encoder.layer.{k}.{p}.weight" for k in range(6) for p in parts}
    sizes = iter(products)
    for k in range(6):
        for p in parts:
            name = f"encoder.layer.{k}.{p}.weight"
            state[name] = whole(next(sizes)).T.contiguous()
            left.discard(name)
    if left or next(sizes, None) is not None:
        raise ValueError("the graph is not one that to_onnx wrote")
    missing, unexpected = net.encoder.load_state_dict(state, strict=False)
    if unexpected or [m for m in missing if "position_ids" not in m]:
        raise ValueError(f"the graph does not fit the network: {missing}, {unexpected}")
    for layer, rows in ((net.head, data["head"]), (net.token_head, data["token_head"])):
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(rows[:-1].T))
        layer.bias.data = torch.from_numpy(rows[-1].copy())
    net.attention.weight.data = torch.from_numpy(data["attention"][None, :-1].copy())
    net.attention.bias.data = torch.from_numpy(data["attention"][-1:].copy())
    return net


def embeddings(graph: bytes) -> Any:
    """Give the word embeddings in an int8 graph, (n_pieces, width) float32."""
    values = {i.name: i for i in onnx.load_from_string(graph).graph.initializer}
    name = "encoder.embeddings.word_embeddings.weight"
    scale, zero, quantised = (
        onnx.numpy_helper.to_array(values[f"{name}_{part}"]).astype(np.float32)
        for part in ("scale", "zero_point", "quantized")
    )
    return (quantised - zero) * scale


def heads(net: Network) -> dict[str, Any]:
    """Give what :class:`hypecheck.deep.Deep` needs besides the graph."""

    def rows(layer: nn.Linear) -> Any:
        weight = layer.weight.detach().cpu().float().numpy()
        bias = layer.bias.detach().cpu().float().numpy()
        return np.concatenate([weight.T, bias[None]]).astype(np.float32)

    return {
        "attention": rows(net.attention)[:, 0],
        "head": rows(net.head),
        "token_head": rows(net.token_head),
    }
