#!/bin/sh
# Bar 5: a thousand callers of one streaming request: asked upstream once, equal content, small lag.
# Prints each bar and writes bench/results/bar_merge.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/merge.py" "$@"
