#!/bin/bash
# Every test, in two processes: those that start the lab's machine, which share its ports on this
# host, and beside them all others. The output of the others comes at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

log=build/tests-beside.log
mkdir -p build
.venv/bin/pytest -m "apart or not boot" >"$log" 2>&1 &
others=$!
trap 'kill "$others" 2>/dev/null || true' EXIT  # they have ended as a rule
machine=0 beside=0
.venv/bin/pytest -m "boot and not apart" || machine=$?
echo "The tests beside them (log: $log):"
wait "$others" || beside=$?
cat "$log"
exit $((machine ? machine : beside))
