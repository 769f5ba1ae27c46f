#!/bin/sh
# Builds the S3 server that the tests talk to, versitygw, from its Go module into .cache/versitygw/. Does nothing when it
# is there already.
set -eu
cd "$(dirname "$0")/.."
version=v1.8.0
folder=.cache/versitygw/$version
[ -x "$folder/versitygw" ] && exit
echo "building the S3 server of the tests into $folder" >&2
GOBIN=$PWD/$folder GOFLAGS=-trimpath CGO_ENABLED=0 go install "github.com/versity/versitygw/cmd/versitygw@$version"
