#!/usr/bin/env bash
# gofmt, go vet, staticcheck (the version in go.mod), and the syntax of shell and Python files.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
  printf 'not formatted (run gofmt -w):\n%s\n' "$unformatted" >&2
  exit 1
fi
go vet ./...
(cd bench/codec && go vet ./...)
go tool staticcheck ./...

shell=$(grep -rlIE --exclude-dir=.git --exclude-dir=.cache '^#!.*\b(ba)?sh$' .)
while read -r file; do bash -n "$file"; done <<<"$shell"

python=$(find . -name '*.py' -not -path './.cache/*')
while read -r file; do python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file"; done <<<"$python"
