#!/bin/bash
# tests/fuzz/campaign.sh [-n EXECUTIONS] [TARGET...]: runs each target (default: those of the bar) that many times (default:
# ten million) under address+undefined and prints a line for each. Exits 1 if any found something.
#
#   -n N       executions of each target
#   -m         afterwards keep a minimised corpus in tests/fuzz/corpus/TARGET
#   -o FILE    the results as JSON; a target's line replaces its older one (default: bench/results/fuzz.json)
#
# The corpus that grows lies in build/fuzz-long/corpus, findings in build/fuzz-long/findings. The build is the fuzz preset's,
# without the tracing of each comparison, which halves the rate; calls such as memcmp still tell the fuzzer what they look
# for, and tests/run's short runs trace all. One process runs at a time, at the lowest priority.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1

executions=10000000
minimise=no
results=bench/results/fuzz.json
build=build/fuzz-long
usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 2
}
while getopts n:mo: option; do
    case $option in
    n) executions=$OPTARG ;;
    m) minimise=yes ;;
    o) results=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
targets=("$@")
[ $# -gt 0 ] || targets=(wire_http_fuzz wire_sse_fuzz json_canonical_fuzz config_parse_fuzz store_record_fuzz
    embed_safetensors_fuzz embed_shape_fuzz embed_vocabulary_fuzz embed_tokenize_fuzz)

# Stacks of allocations and a long quarantine cost most of the time here; a finding is replayed with both.
export ASAN_OPTIONS=malloc_context_size=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
libfuzzer=(-max_len=512 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)

build() {
    cmake --preset fuzz -B "$build" -DCMAKE_C_FLAGS=-fno-sanitize-coverage=trace-cmp && ninja -C "$build" "${targets[@]}"
}

revision() {
    local head
    head=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
    git diff --quiet HEAD -- src include tests/fuzz/*.c 2>/dev/null || head+=+
    echo "$head"
}

# record TARGET EXECUTIONS SECONDS FINDINGS: one line a target, sorted, so that a change reads well in a diff.
record() {
    local line
    line=$(printf '{"target": "%s", "executions": %s, "seconds": %s, "findings": %s, "date": "%s", "revision": "%s"}' \
        "$@" "$(date -u +%F)" "$built")
    mkdir -p "$(dirname "$results")"
    {
        [ ! -f "$results" ] || sed -n 's/,$//;/^{"target"/p' "$results" | grep -v "\"target\": \"$1\""
        echo "$line"
    } | sort | awk 'BEGIN { print "[" } NR > 1 { print before "," } { before = $0 } END { print before; print "]" }' \
        >"$results.new" && mv "$results.new" "$results"
}

# What people wrote has names and stays; what a fuzzer wrote is named by its SHA-1, and is replaced by the fewest inputs that
# reach every edge that is reached.
keep_corpus() {
    local corpus=tests/fuzz/corpus/$1 kept=$build/kept/$1 machine='.*/[0-9a-f]{40}'
    rm -rf "$kept" && mkdir -p "$kept"
    find "$corpus" -type f -regextype egrep ! -regex "$machine" -exec cp {} "$kept" \;
    nice -n 19 "$build/bin/$1" -merge=1 -set_cover_merge=1 -use_counters=0 "$kept" "$corpus" "$build/corpus/$1" >"$build/log/$1.merge" 2>&1 ||
        return 1
    find "$corpus" -type f -regextype egrep -regex "$machine" -delete
    find "$kept" -type f -regextype egrep -regex "$machine" -exec cp {} "$corpus" \;
}

run() {
    local target=$1 log=$build/log/$1.log begun=$SECONDS findings=0 count
    mkdir -p "$build/corpus/$target" "$build/findings" "$build/log"
    nice -n 19 "$build/bin/$target" "${libfuzzer[@]}" -runs="$executions" -artifact_prefix="$build/findings/$target-" \
        "$build/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1 || findings=1
    count=$(awk '/number_of_executed_units/ { print $2 }' "$log")
    printf '%-24s %10s executions %6s s %3s findings\n' "$target" "${count:=0}" $((SECONDS - begun)) "$findings"
    record "$target" "$count" $((SECONDS - begun)) "$findings"
    [ "$findings" -eq 0 ] || { tail -n 30 "$log" && return 1; }
    [ "$minimise" = no ] || keep_corpus "$target"
}

mkdir -p "$build"
if ! build >"$build/build.log" 2>&1; then
    tail -n 30 "$build/build.log"
    exit 1
fi
built=$(revision) # what runs, whatever is committed meanwhile
status=0
for target in "${targets[@]}"; do
    run "$target" || status=1
done
exit $status
