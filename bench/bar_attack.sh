#!/bin/sh
# Bar of the semantic cache under attack: questions that look like cached ones and are others, harmless near repeats beside them.
# Prints each bar and writes bench/results/bar_attack.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/attack.py" "$@"
