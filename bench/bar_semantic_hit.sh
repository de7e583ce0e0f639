#!/bin/sh
# Bar: a whole semantic hit over HTTP, one request at a time, among 100,000 entries of one partition.
# Prints each bar and writes bench/results/bar_semantic_hit.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/semantic_hit.py" "$@"
