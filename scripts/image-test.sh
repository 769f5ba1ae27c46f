#!/usr/bin/env bash
# Builds the image and drives it as SageMaker does: labels, `docker run IMAGE serve` with the model mounted, ping, invoke,
# SIGTERM; then as any user on a read-only root, with a model.tar.gz, on another port; at last scripts/limit-test.py
# and scripts/pipeline-test.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

image=clary-image-test
dockerfile=Dockerfile
most=110000000 # bytes

. scripts/image-lib.sh

step "docker build"
build

step "what the image says of itself"
inspect() { docker image inspect -f "$1" "$image"; }
has "the accept-bind-to-port label" "$(inspect '{{index .Config.Labels "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"}}')" true
has "the multi-models label" "$(inspect '{{index .Config.Labels "com.amazonaws.sagemaker.capabilities.multi-models"}}')" true
has "the version label" "$(inspect '{{index .Config.Labels "org.opencontainers.image.version"}}')" image-test
has "the entrypoint" "$(inspect '{{json .Config.Entrypoint}}')" '["/usr/local/bin/serve"]'
has "the exposed ports" "$(inspect '{{json .Config.ExposedPorts}}')" '{"8080/tcp":{}}'
has "the user" "$(inspect '{{.Config.User}}')" ""
has "what it says of its version" "$(docker run --rm "$image" version | head -n1)" "clary image-test"
size=$(inspect '{{.Size}}')
step "size $(((size + 500000) / 1000000)) MB"
[ "$size" -le "$most" ] || die "the image has $size bytes, $most at most"

container=$(docker create "$image")
docker cp "$container:/usr/local/bin/serve" "$work/serve" >/dev/null
docker cp "$container:/usr/share/doc/" "$work/doc" >/dev/null
docker rm "$container" >/dev/null
container=
cmp LICENSE "$work/doc/clary/LICENSE"
go version -m "$work/serve" | awk '$1 == "dep" {print $2, $3 ":"}' >"$work/modules"
[ -s "$work/modules" ] || die "the binary names no modules"
while read -r module; do
  grep -qF "$module" "$work/doc/clary/THIRD-PARTY-NOTICES" || die "no licence of $module"
done <"$work/modules"
grep -qx 'ONNX Runtime' "$work/doc/clary/THIRD-PARTY-NOTICES" || die "no licence of ONNX Runtime"
for package in libc6 libgcc-s1 libstdc++6 ca-certificates; do
  [ -s "$work/doc/$package/copyright" ] || die "no licence of $package"
done

mkdir "$work/model" "$work/archive"
cp testdata/models/iris/model.onnx "$work/model/"
tar -C "$work/model" -czf "$work/archive/model.tar.gz" model.onnx
chmod -R a+rX "$work/model" "$work/archive"
chmod a+x "$work"

step "a folder, as root"
port=8080
run -v "$work/model:/opt/ml/model:ro"
predict
written=$(docker diff "$container" | grep -vE '^[AC] /tmp(/|$)' || true)
has "what it wrote outside /tmp" "$written" ""
stop

step "a folder, as uid 12345, read-only root, another port"
port=9090
run -v "$work/model:/opt/ml/model:ro" -e SAGEMAKER_BIND_TO_PORT=$port --user 12345:12345 --read-only --tmpfs /tmp
predict
stop

step "a model.tar.gz, as uid 12345, read-only root"
port=8080
run -v "$work/archive:/opt/ml/model:ro" --user 12345:12345 --read-only --tmpfs /tmp
predict
stop

step "a StringNormalizer that names no locale"
mkdir "$work/text"
base64 -d >"$work/text/model.onnx" <<<CAg6ewpSCgF4EgF5IhBTdHJpbmdOb3JtYWxpemVyKh4KEmNhc2VfY2hhbmdlX2FjdGlvbiIFTE9XRVKgAQMqGAoRaXNfY2FzZV9zZW5zaXRpdmUYAKABAhIBZ1oQCgF4EgsKCQgIEgUKAxIBbmIQCgF5EgsKCQgIEgUKAxIBbkIECgAQEg==
chmod -R a+rX "$work/text"
run -v "$work/text:/opt/ml/model:ro" --user 12345:12345 --read-only --tmpfs /tmp
until curl -fsS "$url/ping" 2>/dev/null; do
  [ "$(docker inspect -f '{{.State.Running}}' "$container")" = true ] || { docker logs "$container" >&2; die "it ended"; }
  sleep 0.1
done
has "the answer" "$(curl -sS "$url/invocations" -H 'Content-Type: application/json' -d '["GRÖSSE"]')" '["grösse"]'
stop

step "models worth four times a hard limit of memory"
scripts/limit-test.py "$image"
step "pipelines"
DOCKER_BUILDKIT=0 docker build --network host --build-arg VERSION=image-test --target build -t "$image-build" . >"$work/build.log" 2>&1 ||
  { tail -n 50 "$work/build.log" >&2; die "docker build of the first stage failed"; }
scripts/pipeline-test.sh "$image" "$image-build"

step "image test passed"
