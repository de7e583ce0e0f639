#!/bin/sh
# The encoder: CPU time a text against ONNX Runtime on the same core, in turn; time to the first vector; resident memory.
# Prints each bar and writes bench/results/bar_embed.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/embed.py" "$@"
