#!/bin/sh
# Makes .cache/oracle, the Python with the reference libraries that the differential tests of package codec ask
# (oracle.py). Does nothing when it is there already. $PYTHON makes the environment (python3, 3.11 or later).
set -eu
cd "$(dirname "$0")/../.."
venv=.cache/oracle
wanted=scripts/oracle/requirements.txt
cmp -s "$wanted" "$venv/installed.txt" && exit
python=${PYTHON:-python3}
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "The tests compare with Python's libraries and need Python 3.11 or later with venv: on Debian or Ubuntu, apt-get install python3-venv; another one by PYTHON=python3.12" >&2
	exit 1
fi
echo "getting the reference libraries into $venv" >&2
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: -r "$wanted"
cp "$wanted" "$venv/installed.txt"
