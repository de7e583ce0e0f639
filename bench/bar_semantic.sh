#!/bin/sh
# Bars of the semantic cache on open data: its error and hits on streams, beside the best fixed similarity; what it serves of pairs.
# Prints each bar and writes bench/results/bar_semantic.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/semantic.py" "$@"
