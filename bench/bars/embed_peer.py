"""ONNX Runtime for embed.py, in the Python that has it: reads lines of JSON, {"precision", "tokens", "texts"}, and answers each
with the CPU time of its texts, one at a time on one thread, random tokens as `remora-bench embed` takes them."""
import json
import pathlib
import sys
import time

import numpy
import onnxruntime


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantised(path, folder):
    """Its own dynamic int8, a scale for each channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    out = folder / "int8.onnx"
    quantize_dynamic(path, out, per_channel=True, weight_type=QuantType.QInt8)
    return out


def measure(session, random, tokens, texts):
    names, times = [one.name for one in session.get_inputs()], []
    for _ in range(texts + 1):
        ids = random.integers(1000, 30000, (1, tokens), dtype=numpy.int64)
        inputs = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
        inputs = {name: inputs[name] for name in names}
        begun = time.process_time_ns()
        session.run(None, inputs)
        times.append((time.process_time_ns() - begun) / 1000)
    times = sorted(times[1:])
    return {"cpu_us": sum(times) / len(times), "cpu_median_us": times[len(times) // 2], "cpu_best_us": times[0]}


def main():
    model, folder = map(pathlib.Path, sys.argv[1:3])
    sessions = {"fp32": session_of(model), "int8": session_of(quantised(model, folder))}
    random = numpy.random.default_rng(1)
    print(json.dumps({"onnxruntime": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        what = json.loads(line)
        print(json.dumps(measure(sessions[what["precision"]], random, what["tokens"], what["texts"])), flush=True)


if __name__ == "__main__":
    main()
