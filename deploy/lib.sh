# shellcheck shell=bash
# Shared by deploy/deps, deploy/up and tests/run: messages, timed steps with progress, privileges.
# Sourced, never run. Needs bash 5 (EPOCHREALTIME).
#
#   step TITLE LOG COMMAND…   runs COMMAND with its output in LOG; shows progress past two seconds and the time taken;
#                             on failure prints the end of LOG and returns the command's status

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    c_bold=$'\e[1m' c_red=$'\e[31m' c_green=$'\e[32m' c_dim=$'\e[2m' c_off=$'\e[0m' on_terminal=1
else
    c_bold='' c_red='' c_green='' c_dim='' c_off='' on_terminal=''
fi

say() { printf '%s\n' "$*"; }
head_line() { printf '%s\n' "${c_bold}$*${c_off}"; }
note() { printf '%s\n' "  ${c_dim}$*${c_off}"; }
complain() { printf '%s\n' "${c_red}$*${c_off}" >&2; }

# The one way these scripts end early: why, and what to do about it.
die() {
    complain "$(basename "$0"): $*"
    exit 1
}

# Seconds with one decimal since the EPOCHREALTIME value $1. Integer arithmetic: bash has no fractions.
since() {
    local now=${EPOCHREALTIME//[.,]/} then=${1//[.,]/}
    local tenths=$(((now - then) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# The last line of a growing log that says something, cut to fit beside the title.
last_words() { tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | tr -cd '[:print:]' | cut -c "1-$2"; }

step() {
    local title=$1 log=$2 begun=$EPOCHREALTIME pid status=0 ticks=0
    shift 2
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
        ticks=$((ticks + 1))
        if [ "$ticks" -gt 20 ] && [ -n "$on_terminal" ] && [ $((ticks % 5)) -eq 0 ]; then
            printf '\r  … %-46s %6ss  %s\e[K' "$title" "$(since "$begun")" "$(last_words "$log" 60)"
        elif [ -z "$on_terminal" ] && { [ "$ticks" -eq 20 ] || [ $((ticks % 150)) -eq 0 ]; }; then
            printf '  … %-46s %6ss  %s\n' "$title" "$(since "$begun")" "$(last_words "$log" 60)"
        fi
    done
    wait "$pid" || status=$?
    [ -n "$on_terminal" ] && printf '\r\e[K'
    if [ "$status" -eq 0 ]; then
        printf '  %sok%s   %-46s %6ss\n' "$c_green" "$c_off" "$title" "$(since "$begun")"
    else
        printf '  %sFAIL%s %-46s %6ss  (exit %d, whole log: %s)\n' \
            "$c_red" "$c_off" "$title" "$(since "$begun")" "$status" "${log#"$PWD"/}"
        tail -n 40 "$log" | sed 's/^/       | /'
    fi
    return "$status"
}

# Runs a command as root: as it is, through sudo, or not at all with a reason.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -- "$@"
    else
        complain "this needs root: run it as root or install sudo"
        return 1
    fi
}

# The distribution's own interpreter: pyenv and its like may stand first in PATH and lack pip or venv.
system_python() { if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else command -v python3; fi; }
