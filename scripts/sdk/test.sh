#!/usr/bin/env bash
# The SageMaker SDK's own local transform job, with the server in the place of its container, gives the same output as
# serve transform. Needs bin/serve (make build) and Python; puts the SDK into .cache/sdk.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.cache/sdk
wanted=scripts/sdk/requirements.txt
if ! cmp -s "$wanted" "$venv/installed.txt"; then
  echo "getting the SageMaker SDK into $venv" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted"
  cp "$wanted" "$venv/installed.txt"
fi
exec "$venv/bin/python" -B scripts/sdk/transform.py bin/serve
