#!/usr/bin/env bash
# Prints the licence of everything that is linked into or loaded by bin/serve: Go, the Go modules whose packages it
# holds (no others), ONNX Runtime and what that holds. A module without a licence is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

section() { printf '%s\n%s\n%s\n\n' "${1//?/=}" "$1" "${1//?/=}"; }

# licences DIR: the licence files right there.
licences() {
  find "$1" -maxdepth 1 -type f | LC_ALL=C sort |
    grep -iE '/(licen[sc]e|copying|copyright|notice|patents|unlicense)([-.](md|txt|[a-z0-9-]+))?$' |
    grep -vE '\.go$' || true
}

section "Go $(go env GOVERSION)"
cat "$(go env GOROOT)/LICENSE"

# Package directories of other modules: module, version, its root, the package's directory. A package below the root may
# have been taken from elsewhere, with a licence of its own.
packages=$(CGO_ENABLED=1 go list -deps \
  -f '{{if not .Standard}}{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}} {{$.Dir}}{{end}}{{end}}{{end}}' ./cmd/serve)
[ -n "$packages" ] || { echo "notices.sh: go list names no module" >&2; exit 1; }

while read -r module version root; do
  files=$(
    while read -r path _ _ dir; do
      [ "$path" = "$module" ] || continue
      while [ "$dir" != "$root" ]; do licences "$dir"; dir=$(dirname "$dir"); done
    done <<<"$packages" | LC_ALL=C sort -u
  )
  own=$(licences "$root")
  [ -n "$own" ] || { echo "notices.sh: $module $version has no licence file in $root" >&2; exit 1; }
  while read -r file; do
    echo
    section "$module $version: ${file#"$root"/}"
    cat "$file"
  done <<<"$own${files:+$'\n'$files}"
done < <(cut -d' ' -f1-3 <<<"$packages" | LC_ALL=C sort -u)

echo
section "ONNX Runtime"
scripts/onnxruntime.sh --notices
