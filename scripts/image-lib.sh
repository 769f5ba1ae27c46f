# What the scripts that build an image and drive it share; to be sourced. It wants $image, the tag, and $dockerfile,
# and makes $work, a folder that is removed at the end.
#
# Uses the Docker engine that answers, else installs and starts one of its own (root on Debian or Ubuntu). Where the
# Dockerfile's base image can be neither found nor pulled, scripts/image-base.sh makes a stand-in.

work=$(mktemp -d /tmp/clary-image-test.XXXXXX)
engine="" container=""

die() { echo "$(basename "$0"): $*" >&2; exit 1; }
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
base=$(sed -n 's/^FROM \(.*\) AS build$/\1/p' "$dockerfile")
if ! docker image inspect "$base" >/dev/null 2>&1 && ! docker pull -q "$base" >/dev/null 2>&1; then
  step "no $base here: making a stand-in"
  scripts/image-base.sh "$base"
fi

# build OPTION...: the image, tagged $image.
build() {
  DOCKER_BUILDKIT=0 docker build --network host --build-arg VERSION=image-test -f "$dockerfile" -t "$image" "$@" . \
    >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log" >&2; die "docker build failed"; }
}
