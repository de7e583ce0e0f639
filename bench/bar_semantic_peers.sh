#!/bin/sh
# The semantic cache beside LiteLLM's, GPTCache and a plain threshold: the same questions, the same embedding, one table.
# Prints the table and each bar and writes bench/results/bar_semantic_peers.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/semantic_peers.py" "$@"
