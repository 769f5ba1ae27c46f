#!/usr/bin/env bash
# Runs a chain of three models (scale, classify, best) on a Docker engine in every way a pipeline can be run, each step
# from IMAGE: as three containers and a fourth that conducts, as three commands in one container, and in one process.
# The answers are the same bytes. The middle one is killed and comes back; a container that is not Clary is a step too.
#
#   scripts/pipeline-test.sh IMAGE PYTHON_IMAGE
#
# PYTHON_IMAGE is any image with python3 in it. scripts/image-test.sh runs this with the images that it has built.
set -euo pipefail
cd "$(dirname "$0")/.."

image=$1 python=$2
name=clary-pipeline-test-$$
work=$(mktemp -d /tmp/clary-pipeline-test.XXXXXX)

die() { echo "pipeline-test.sh: $*" >&2; exit 1; }
step() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

cleanup() {
  docker ps -aq --filter "label=$name" | xargs -r docker rm -f >/dev/null
  docker network rm "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# run NAME OPTION... -- IMAGE ARGUMENT...: a container in the network, known there by its name
run() {
  local host=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  docker run -d --name "$name-$host" --network "$name" --network-alias "$host" --label "$name" "${options[@]}" "${@:2}" >/dev/null
}

# conduct NAME OPTION...: a container of ours whose port is published; sets url
conduct() {
  local host=$1
  shift
  run "$host" -p 127.0.0.1::8080 "$@" -- "$image" serve
  url=http://$(docker port "$name-$host" 8080/tcp | head -n1)
  for _ in $(seq 300); do
    curl -fsS "$url/ping" >/dev/null 2>&1 && return
    sleep 0.1
  done
  docker logs "$name-$host" >&2
  die "$host: /ping is not 200: $(curl -sS "$url/ping")"
}

# ask FILE: the rows of the chain, answered into FILE
ask() {
  curl -fsS "$url/invocations" -H 'Content-Type: text/csv' -H 'Accept: text/csv' --data-binary "@$work/rows.csv" -o "$1" ||
    die "no answer: $(curl -sS "$url/invocations" -H 'Content-Type: text/csv' --data-binary "@$work/rows.csv")"
}

# until_back: waits for an answer again
until_back() {
  for _ in $(seq 300); do
    if [ "$(curl -sS -o "$work/again.csv" -w '%{http_code}' "$url/invocations" -H 'Content-Type: text/csv' -H 'Accept: text/csv' --data-binary "@$work/rows.csv")" = 200 ]; then
      cmp "$work/one.csv" "$work/again.csv"
      return
    fi
    sleep 0.1
  done
  die "it does not come back: $(curl -sS "$url/pipeline")"
}

# named STEP: the next request finds the step gone: 503 and its name
named() {
  local code
  for _ in $(seq 100); do
    code=$(curl -sS -o "$work/error" -w '%{http_code}' "$url/invocations" -H 'Content-Type: text/csv' --data-binary "@$work/rows.csv")
    case $code in
      200) continue ;; # it has not ended yet
      503) grep -q "step ..$1" "$work/error" || die "a 503 that does not name $1: $(cat "$work/error")"
        return ;;
      *) die "status $code: $(cat "$work/error")" ;;
    esac
  done
  die "$1 was killed and nobody has noticed"
}

# stop NAME: SIGTERM, and exit 0
stop() {
  docker stop -t 30 "$name-$1" >/dev/null
  local code
  code=$(docker inspect -f '{{.State.ExitCode}}' "$name-$1")
  [ "$code" = 0 ] || { docker logs "$name-$1" >&2; die "$1: exit code $code after SIGTERM"; }
}

python3 - testdata/models >"$work/rows.csv" <<'PY'
import json, pathlib, sys
x = json.loads((pathlib.Path(sys.argv[1]) / "chain-scale/expected.json").read_text())["cases"][-1]["inputs"][0]
for i in range(0, len(x["data"]), 4):
    print(*x["data"][i:i + 4], sep=",")
PY
mkdir "$work/model" "$work/urls" "$work/commands" "$work/process" "$work/foreign"
for s in scale classify best; do
  mkdir "$work/model/$s"
  cp "testdata/models/chain-$s/model.onnx" "$work/model/$s/"
  for kind in commands process; do cp -r "$work/model/$s" "$work/$kind/"; done
done
cat >"$work/urls/pipeline.yaml" <<'YAML'
name: flowers
steps:
  - {name: scale, url: "http://scale:9001"}
  - {name: classify, url: "http://classify:9002"}
  - {name: best, url: "http://best:9003"}
YAML
cat >"$work/commands/pipeline.yaml" <<'YAML'
name: flowers
steps:
  - {name: scale, command: [/usr/local/bin/serve, serve], env: {SM_MODEL_DIR: scale}, accept: application/x-recordio-protobuf;as=features}
  - {name: classify, command: [/usr/local/bin/serve, serve], env: {SM_MODEL_DIR: classify}, accept: application/x-npy}
  - {name: best, command: [/usr/local/bin/serve, serve], env: {SM_MODEL_DIR: best}}
YAML
cat >"$work/process/pipeline.yaml" <<'YAML'
name: flowers
steps:
  - {name: scale, model: scale}
  - {name: classify, model: classify}
  - {name: best, model: best}
YAML
cat >"$work/foreign/pipeline.yaml" <<'YAML'
name: foreign
steps:
  - {name: scale, url: "http://scale:9001"}
  - {name: classify, url: "http://classify:9002"}
  - {name: best, url: "http://best:9003", accept: text/csv}
  - {name: rules, url: "http://rules:8080"}
YAML
cp scripts/rules.py "$work/"
chmod -R a+rX "$work"
docker network create "$name" >/dev/null

step "three containers, and one that conducts them"
port=9001
for s in scale classify best; do
  run "$s" -v "$work/model/$s:/opt/ml/model:ro" -e SAGEMAKER_BIND_TO_PORT=$port -e SAGEMAKER_SAFE_PORT_RANGE=9100-9199 \
    -e SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=application/x-npz -- "$image" serve
  port=$((port + 1))
done
sed -i 's/\(classify.*\)}/\1, accept: text\/csv}/' "$work/urls/pipeline.yaml" "$work/foreign/pipeline.yaml"
conduct urls -v "$work/urls:/opt/ml/model:ro"
ask "$work/three.csv"

step "three commands in one container, as any user, on a read-only root"
conduct commands -v "$work/commands:/opt/ml/model:ro" --user 12345:12345 --read-only --tmpfs /tmp
ask "$work/commands.csv"
commands=$url

step "one process"
conduct process -v "$work/process:/opt/ml/model:ro"
ask "$work/one.csv"
cmp "$work/one.csv" "$work/three.csv"
cmp "$work/one.csv" "$work/commands.csv"
[ "$(wc -l <"$work/one.csv")" -ge "$(($(wc -l <"$work/rows.csv") - 1))" ] || die "rows are missing: $(cat "$work/one.csv")"
stop process

step "the middle container is killed, and comes back"
url=http://$(docker port "$name-urls" 8080/tcp | head -n1)
docker kill "$name-classify" >/dev/null
named classify
docker start "$name-classify" >/dev/null
until_back

step "the middle command is killed, and comes back"
url=$commands
pid=$(curl -fsS "$url/pipeline" | python3 -c 'import json,sys; print(json.load(sys.stdin)["steps"][1]["pid"])')
docker run --rm --pid "container:$name-commands" --entrypoint python3 "$python" -c "import os; os.kill($pid, 9)"
named classify
until_back
curl -fsS "$url/pipeline" | python3 -c 'import json,sys; s = json.load(sys.stdin)["steps"][1]; assert s["restarts"] == 1 and s["state"] == "ready", s'
docker run --rm --pid "container:$name-commands" --entrypoint sh "$python" -c 'grep -l "^State:.*Z" /proc/[0-9]*/status' && die "there are zombies"
stop commands

step "a step that is not Clary"
run rules -v "$work/rules.py:/rules.py:ro" --entrypoint python3 -- "$python" /rules.py 8080
conduct foreign -v "$work/foreign:/opt/ml/model:ro"
ask "$work/foreign.csv"
python3 - "$work/one.csv" "$work/foreign.csv" <<'PY'
import sys
names = ["setosa", "versicolor", "virginica"]
one, foreign = (open(path).read().split() for path in sys.argv[1:])
want = [f"{names[int(line.split(',')[0])]},{line.split(',')[1]}" for line in one]
sys.exit(None if want == foreign else f"got {foreign}, want {want}")
PY
curl -sS "$url/invocations" -H 'Content-Type: text/csv' -d 1,2 -o "$work/error"
grep -q 'step ..scale.. answered 400' "$work/error" || die "a bad request: $(cat "$work/error")"
stop foreign
stop urls
step "pipeline test passed"
