#!/bin/sh
# Makes testdata/models again, or the models named: scripts/models/make.sh [NAME ...]
# The packages go into .cache/models; $PYTHON makes the environment (3.11 or later).
set -eu
cd "$(dirname "$0")/../.."
venv=.cache/models
wanted=scripts/models/requirements.txt
if ! cmp -s "$wanted" "$venv/installed.txt"; then
	"${PYTHON:-python3}" -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted"
	cp "$wanted" "$venv/installed.txt"
fi
# One thread and one hash seed: the same sums in the same order, the same bytes.
OMP_NUM_THREADS=1 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" scripts/models/generate.py "$@"
