#!/usr/bin/env bash
# Builds the image of Dockerfile.gpu, with the real ONNX Runtime for GPUs on a base without CUDA, and drives it where
# there is no GPU: it says so and ends; told to use the CPU, it serves.
set -euo pipefail
cd "$(dirname "$0")/.."

image=clary-gpu-image-test
dockerfile=Dockerfile.gpu
. scripts/image-lib.sh

[ "$(uname -m)" = x86_64 ] || { step "the image is for amd64 alone, and this is not: nothing to test"; exit; }

step "docker build"
build --build-arg BASE="$base"

inspect() { docker image inspect -f "$1" "$image"; }
has "the entrypoint" "$(inspect '{{json .Config.Entrypoint}}')" '["/usr/local/bin/serve"]'
has "the accept-bind-to-port label" "$(inspect '{{index .Config.Labels "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"}}')" true
has "what it says of its version" "$(docker run --rm "$image" version | head -n1)" "clary image-test"

mkdir "$work/model"
cp testdata/models/iris/model.onnx "$work/model/"
chmod -R a+rX "$work/model"
chmod a+x "$work"

step "without a GPU"
code=0
docker run --rm -v "$work/model:/opt/ml/model:ro" "$image" serve >"$work/log" 2>&1 || code=$?
has "its exit code" "$code" 1
grep -q 'CLARY_DEVICE=cuda: no GPU: .*docker run --gpus all' "$work/log" || { cat "$work/log" >&2; die "it does not say what is missing"; }

step "what it can run on"
docker run --rm "$image" inspect --devices >"$work/devices"
grep -q 'providers .*cuda' "$work/devices" || { cat "$work/devices" >&2; die "its library has no CUDA provider"; }

step "on the CPU, as uid 12345, read-only root"
port=8080
run -v "$work/model:/opt/ml/model:ro" -e CLARY_DEVICE=cpu --user 12345:12345 --read-only --tmpfs /tmp
predict
stop

step "image test passed"
