#!/usr/bin/env bash
# Runs every fuzz test of the module for TIME each (10s), one after the other, to the last also when one fails.
# Finding none is a failure.
#
#   scripts/fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-10s}
list=$(go test -list '^Fuzz' ./...)

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz NAME PACKAGE. Go may fail of its own clock, when the time ends while a worker is busy: that has found nothing, and
# is tried once more.
fuzz() {
  go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" "$2" | tee "$log" && return
  grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input' "$log" || return 1
  echo "-- its clock ran out: once more"
  go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" "$2"
}

# The list is names, then a line "ok PACKAGE" that says whose they were.
count=0 failed=() names=()
while read -r word package _; do
  case $word in
  Fuzz*) names+=("$word") ;;
  ok)
    for name in ${names[@]+"${names[@]}"}; do
      echo "== $package $name"
      fuzz "$name" "$package" || failed+=("$name")
      count=$((count + 1))
    done
    names=() ;;
  esac
done <<<"$list"

if [ "$count" = 0 ]; then
  echo "fuzz.sh: no fuzz test found" >&2
  exit 1
fi
echo "$count fuzz tests, $time each, failed: ${#failed[@]}"
[ ${#failed[@]} = 0 ] || { printf 'fuzz.sh: %s failed\n' "${failed[@]}" >&2; exit 1; }
