"""A BERT of a few thousand random weights as a folder in Hugging Face layout; one letter is one token."""
import json
import random
import struct

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", *("##" + letter for letter in "abcde")]


def tensors(hidden, intermediate, positions, layers):
    yield "embeddings.word_embeddings.weight", (len(VOCABULARY), hidden)
    yield "embeddings.position_embeddings.weight", (positions, hidden)
    yield "embeddings.token_type_embeddings.weight", (2, hidden)
    pairs = [("embeddings.LayerNorm", (hidden,))]
    for i in range(layers):
        layer = f"encoder.layer.{i}."
        pairs += [(layer + name, (hidden, hidden)) for name in ("attention.self.query", "attention.self.key",
                                                                "attention.self.value", "attention.output.dense")]
        pairs += [(layer + "attention.output.LayerNorm", (hidden,)), (layer + "intermediate.dense", (intermediate, hidden)),
                  (layer + "output.dense", (hidden, intermediate)), (layer + "output.LayerNorm", (hidden,))]
    for name, shape in pairs:
        yield name + ".weight", shape
        yield name + ".bias", shape[:1]


def write(folder, hidden=32, intermediate=64, positions=96, layers=2, seed=7):
    folder.mkdir(parents=True)
    numbers, header, data = random.Random(seed), {}, b""
    for name, shape in tensors(hidden, intermediate, positions, layers):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        part = struct.pack(f"<{count}f", *(numbers.random() - 0.5 for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "bert", "num_hidden_layers": layers, "num_attention_heads": 4, "hidden_size": hidden,
        "intermediate_size": intermediate, "vocab_size": len(VOCABULARY), "max_position_embeddings": positions}))
    return folder
