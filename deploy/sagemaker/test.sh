#!/bin/sh
# Runs the tests of deploy.py, with the boto3 of requirements.txt: the system's if it is
# that one, else one in a virtual environment below .cache.
set -eu
cd "$(dirname "$0")"

python=python3
have=$($python -c 'import boto3, botocore; print(f"boto3=={boto3.__version__}\nbotocore=={botocore.__version__}")' 2>/dev/null || true)
if [ "$have" != "$(cat requirements.txt)" ]; then
  venv=../../.cache/deploy-venv
  [ -x $venv/bin/python ] || $python -m venv $venv
  $venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
  python=$venv/bin/python
fi
exec $python -B -m unittest -v test_deploy
