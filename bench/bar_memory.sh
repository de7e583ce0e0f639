#!/bin/sh
# Bar 4: resident memory idle, with 2,000 concurrent streams, and over a soak of mixed traffic with callers who leave.
# Prints each bar and writes bench/results/bar_memory.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/memory.py" "$@"
