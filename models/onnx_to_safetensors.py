#!/usr/bin/env python3
"""onnx_to_safetensors.py MODEL.onnx MODEL.safetensors: a BERT encoder's weights out of an ONNX file.

Needs nothing but Python's standard library. An export from PyTorch keeps the names of embeddings, biases and layer norms,
but the matrix of each dense layer is an anonymous initialiser of a MatMul, stored [in, out]: it is known by the named bias
that an Add puts on the product, and goes out as that layer's "weight", [out, in] as PyTorch has it. The same input gives the
same bytes, so that the result can be checked by its SHA-256. float32 only.
"""
import array
import json
import struct
import sys

FLOAT, INT64 = 1, 7  # TensorProto.DataType
if sys.byteorder != "little":
    sys.exit("onnx_to_safetensors.py: needs a little-endian machine")


class Damaged(Exception):
    """The file is no ONNX file, or another kind of model than is read here."""


# ---- protocol buffers ------------------------------------------------------------------------------------------------------
def varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Damaged("cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, wire type, value) of each field of a message; bytes are views, not copies."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire in (1, 2, 5):
            size, at = varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            if size > len(data) - at:
                raise Damaged("cut off")
            value, at = data[at:at + size], at + size
        else:
            raise Damaged(f"has a field of wire type {wire}")
        yield number, wire, value


def text(view):
    return bytes(view).decode("utf-8", "strict")


def varints(wire, value):
    """A repeated integer: one a field, or packed."""
    if wire == 0:
        return [value]
    out, at = [], 0
    while at < len(value):
        one, at = varint(value, at)
        out.append(one)
    return out


# ---- ONNX: ModelProto, GraphProto, NodeProto, TensorProto ----------------------------------------------------------------------
class Node:
    def __init__(self, data):
        self.inputs, self.outputs, self.op = [], [], ""
        for number, _, value in fields(data):
            if number == 1:
                self.inputs.append(text(value))
            elif number == 2:
                self.outputs.append(text(value))
            elif number == 4:
                self.op = text(value)


class Tensor:
    def __init__(self, data):
        self.shape, self.type, self.name, self.raw = [], 0, "", b""
        for number, wire, value in fields(data):
            if number == 1:
                self.shape += varints(wire, value)
            elif number == 2:
                self.type = value
            elif number == 8:
                self.name = text(value)
            elif number in (4, 9) and wire == 2:  # float_data (packed) and raw_data are the same bytes
                self.raw = value
            elif number in (13, 14):
                raise Damaged("keeps its weights in another file")
        count = 1
        for size in self.shape:
            count *= size
        if self.type == FLOAT and len(self.raw) != 4 * count:
            raise Damaged(f"has no whole array {self.name}")


def read_graph(data):
    graph = next((value for number, wire, value in fields(data) if number == 7 and wire == 2), None)
    if graph is None:
        raise Damaged("has no graph")
    nodes, tensors = [], {}
    for number, _, value in fields(graph):
        if number == 1:
            nodes.append(Node(value))
        elif number == 5:
            tensor = Tensor(value)
            tensors[tensor.name] = tensor
    return nodes, tensors


# ---- weights -----------------------------------------------------------------------------------------------------------------
def transposed(raw, rows, columns):
    flat = array.array("f")
    flat.frombytes(raw)
    if flat.itemsize != 4:
        raise Damaged("cannot be read: this machine's float is not four bytes")
    out = array.array("f")
    for column in range(columns):
        out += flat[column::columns]
    assert len(out) == rows * columns
    return out.tobytes()


def bias_of(output, nodes, tensors):
    """The named bias that an Add puts on `output`."""
    for node in nodes:
        if node.op == "Add" and output in node.inputs:
            for name in node.inputs:
                if name != output and name in tensors and name.endswith(".bias"):
                    return name
    return None


def named_weights(nodes, tensors):
    """name -> (shape, bytes) under the names that Hugging Face's BertModel has."""
    weights, matrices = {}, set()
    for node in nodes:
        if node.op != "MatMul" or node.inputs[1] not in tensors:
            continue
        tensor, bias = tensors[node.inputs[1]], bias_of(node.outputs[0], nodes, tensors)
        if bias is None or len(tensor.shape) != 2 or tensor.type != FLOAT:
            raise Damaged(f"has a MatMul with {tensor.name} that is no dense layer with a bias")
        rows, columns = tensor.shape
        weights[bias[:-len("bias")] + "weight"] = ([columns, rows], transposed(tensor.raw, rows, columns))
        matrices.add(tensor.name)
    for name, tensor in tensors.items():
        if name not in matrices and tensor.type == FLOAT and name.endswith((".weight", ".bias")):
            weights[name] = (list(tensor.shape), bytes(tensor.raw))
    prefix = "bert."
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def check(weights):
    """Every layer has every array; nothing is left over that nobody would read."""
    dense = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
             "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"]
    layers = 1 + max((int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")), default=-1)
    wanted = {f"embeddings.{name}" for name in ("word_embeddings.weight", "position_embeddings.weight",
                                                "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias")}
    wanted |= {f"encoder.layer.{i}.{part}.{kind}" for i in range(layers) for part in dense for kind in ("weight", "bias")}
    found = {name for name in weights if not name.startswith("pooler.")}
    if layers == 0 or found != wanted:
        raise Damaged("is no BERT encoder; first difference: " + next(iter(sorted(found ^ wanted)), "no layers"))


def write(weights, path):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(weights):
        shape, data = weights[name]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        for name in sorted(weights):
            out.write(weights[name][1])


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    try:
        with open(sys.argv[1], "rb") as file:
            nodes, tensors = read_graph(memoryview(file.read()))
        weights = named_weights(nodes, tensors)
        check(weights)
        write(weights, sys.argv[2])
    except (Damaged, OSError, UnicodeDecodeError) as why:
        print(f"onnx_to_safetensors.py: {sys.argv[1]}: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
