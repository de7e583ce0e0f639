#!/bin/sh
# Bar: no semantic hit crosses tenants or conversations, in 100,000 tries.
# Prints each bar and writes bench/results/bar_semantic_scopes.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/semantic_scopes.py" "$@"
