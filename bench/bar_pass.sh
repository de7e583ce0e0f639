#!/bin/sh
# Bar 3: what passing through costs: throughput beside nginx proxy_pass, added latency, added time to first token with
# Prints each bar and writes bench/results/bar_pass.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/passing.py" "$@"
