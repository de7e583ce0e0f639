#!/bin/sh
# Bar 6: hits in a store of a million entries against a store of a thousand; start-up with the million.
# Prints each bar and writes bench/results/bar_store.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/store.py" "$@"
