#!/bin/sh
# Bar 3: what passing through costs, beside nginx proxy_pass and beside no proxy at all.
# Prints each bar and writes bench/results/bar_pass.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/passing.py" "$@"
