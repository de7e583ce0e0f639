#!/bin/sh
# Bar 4 of the encoder: two workers against one; ten times too many texts, each with a deadline.
# Prints each bar and writes bench/results/bar_lane.json; --help lists the options.
exec python3 -B "$(dirname "$0")/bars/lane.py" "$@"
