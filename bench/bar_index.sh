#!/bin/sh
# The index's share of the semantic bars: flat search against a bare call of FAISS; recall, time and memory at a million entries.
# Prints each bar and writes bench/results/bar_index.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/index.py" "$@"
