#!/usr/bin/env bash
# Builds the image and drives it as SageMaker does: labels, `docker run IMAGE serve` with the model mounted, ping, invoke,
# SIGTERM; then as any user on a read-only root, with a model.tar.gz, on another port; at last scripts/limit-test.py.
# SIGTERM; then as any user on a read-only root, with a model.tar.gz, on another port; at last scripts/pipeline-test.sh.
#
# Uses the Docker engine that answers, else installs and starts one of its own (root on Debian or Ubuntu). Where the
# Dockerfile's base image can be neither found nor pulled, scripts/image-base.sh makes a stand-in.
set -euo pipefail
cd "$(dirname "$0")/.."

image=clary-image-test
most=110000000 # bytes
work=$(mktemp -d /tmp/clary-image-test.XXXXXX)
engine="" container=""

die() { echo "image-test.sh: $*" >&2; exit 1; }
step() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

cleanup() {
  [ -z "$container" ] || docker rm -f "$container" >/dev/null || true
  if [ -n "$engine" ]; then
    kill "$engine" && wait "$engine" || true
    awk -v under="$work/" 'index($2, under) == 1 {print $2}' /proc/mounts | xargs -r umount
  fi
  rm -rf "$work"
}
trap cleanup EXIT

answers() { docker info >/dev/null 2>&1; }

# start_engine: a Docker engine that lives in $work, until cleanup.
start_engine() {
  [ "$(id -u)" = 0 ] || die "no Docker engine answers, and starting one needs root"
  if ! command -v dockerd >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq docker.io; } >"$work/apt.log" 2>&1 ||
      die "no Docker engine answers, and apt-get cannot install docker.io: $(tail -n1 "$work/apt.log")"
    answers && return
  fi
  export DOCKER_HOST=unix://$work/docker.sock
  local driver
  for driver in "" vfs; do
    dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" -H "$DOCKER_HOST" \
      ${driver:+--storage-driver "$driver"} >"$work/dockerd.log" 2>&1 &
    engine=$!
    while kill -0 "$engine" 2>/dev/null; do
      answers && return
      sleep 0.5
    done
    engine=
  done
  die "no Docker engine can be had here: dockerd says: $(grep -v level=info "$work/dockerd.log" | tail -n1)"
}

# run OPTION...: the image as SageMaker starts it, with $port's port published on the loopback.
run() {
  container=$(docker run -d -p "127.0.0.1::$port" "$@" "$image" serve)
  url=http://$(docker port "$container" "$port/tcp" | head -n1)
}

# predict: every case of the model, or the container's log.
predict() { scripts/predict.py "$url" testdata/models/iris || { docker logs "$container" >&2; die "wrong or no answer"; }; }

# stop: SIGTERM, and exit 0 within SageMaker's 30 seconds.
stop() {
  local begin=$SECONDS code
  docker stop -t 30 "$container" >/dev/null
  code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
  [ "$code" = 0 ] || { docker logs "$container" >&2; die "exit code $code after SIGTERM, $((SECONDS - begin)) s"; }
  docker rm "$container" >/dev/null
  container=
}

# has WHAT GOT WANT
has() { [ "$2" = "$3" ] || die "$1 is $2, want $3"; }

answers || start_engine
base=$(sed -n 's/^FROM \(.*\) AS build$/\1/p' Dockerfile)
if ! docker image inspect "$base" >/dev/null 2>&1 && ! docker pull -q "$base" >/dev/null 2>&1; then
  step "no $base here: making a stand-in"
  scripts/image-base.sh "$base"
fi

step "docker build"
DOCKER_BUILDKIT=0 docker build --network host --build-arg VERSION=image-test -t "$image" . >"$work/build.log" 2>&1 ||
  { tail -n 50 "$work/build.log" >&2; die "docker build failed"; }

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
