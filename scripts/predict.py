#!/usr/bin/env python3
"""Waits until a server answers /ping, sends it every case of a model's expected.json as CSV, and compares the answers.

    scripts/predict.py URL MODEL_DIR [SECONDS]

For models with one input of rows of numbers. SECONDS (60) is how long the server may take to become ready.
"""
import http.client
import json
import math
import pathlib
import sys
import time
import urllib.error
import urllib.request


def wait(url, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url + "/ping", timeout=5):
                return
        except (OSError, http.client.HTTPException) as e:
            if time.monotonic() > end:
                sys.exit(f"predict.py: {url}/ping is not 200 after {seconds:g} s: {e}")
        time.sleep(0.1)


def rows(tensors):
    """The tensors side by side: one list a row, as CSV has it."""
    table = [[] for _ in range(tensors[0]["shape"][0])]
    for t in tensors:
        width = math.prod(t["shape"][1:])
        for i, row in enumerate(table):
            row += t["data"][i * width:(i + 1) * width]
    return table


def predict(url, case):
    body = "".join(",".join(map(repr, row)) + "\n" for row in rows(case["inputs"]))
    request = urllib.request.Request(url + "/invocations", body.encode(), {"Content-Type": "text/csv", "Accept": "text/csv"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return [[float(cell) for cell in line.split(",")] for line in reply.read().decode().split()]
    except urllib.error.HTTPError as e:
        sys.exit(f"predict.py: {case['name']}: {e.code} {e.read().decode()}")


def main(url, folder, seconds="60"):
    expected = json.loads((pathlib.Path(folder) / "expected.json").read_text())
    wait(url, float(seconds))
    for case in expected["cases"]:
        got, want = predict(url, case), rows(case["outputs"])
        same = len(got) == len(want) and all(
            len(g) == len(w) and all(math.isclose(a, b, rel_tol=expected["rtol"], abs_tol=1e-6) for a, b in zip(g, w))
            for g, w in zip(got, want))
        if not same:
            sys.exit(f"predict.py: {case['name']}: got {got}, want {want}")
    if not expected["cases"]:
        sys.exit(f"predict.py: {folder} has no cases")
    print(f"{len(expected['cases'])} cases as expected")


main(*sys.argv[1:])
