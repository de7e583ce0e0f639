#!/bin/sh
# Bar 2: an exact hit against nginx `return 200` with the same body and headers, same core, in turn.
# Prints each bar and writes bench/results/bar_hit.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/hit.py" "$@"
