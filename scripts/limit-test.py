#!/usr/bin/env python3
"""Serves models worth four times the memory there is, under a hard limit: nothing may die.

usage: scripts/limit-test.py [IMAGE]

With IMAGE the server runs under `docker run --memory`; without one, bin/serve runs in a memory
group (version 1 or 2 of cgroups) that this makes for it, as root. Where neither can be had it
is a failure, with a line that says so.

Every model multiplies its input by a number of its own, with 64 MiB of weights: of some in the
file, of others made by the graph, whose files are small. All are registered, and asked in turn
and by several clients at once. Each answer must be the right one or a 507; /ping must be 200
throughout; the kernel must have killed nothing; and models must have given way to others.
"""

import concurrent.futures
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
LIMIT = 512 * MIB
SIDE = 4096  # of a square matrix of float32: 64 MiB
MODELS = 4 * LIMIT // (SIDE * SIDE * 4)
IN_FILE = 4  # of them; each is a file of 64 MiB
START = 60  # seconds


class Failure(Exception):
    """What did not hold, in a sentence."""


def main(image):
    with tempfile.TemporaryDirectory(prefix="clary-limit-") as folder:
        models = os.path.join(folder, "models")
        for k in range(MODELS):
            path = os.path.join(models, f"m{k}", "model")
            os.makedirs(path)
            with open(os.path.join(path, "model.onnx"), "wb") as f:
                f.write(model(k + 1, k < IN_FILE))
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        server = (Container(image, folder) if image else Group(folder))
        try:
            run(server)
        finally:
            server.close()


def run(server):
    server.wait()
    stop, pinged = threading.Event(), []
    pinger = threading.Thread(target=ping, args=(server, stop, pinged))
    pinger.start()
    counts = {200: 0, 507: 0}
    try:
        for k in range(MODELS):
            body = json.dumps({"model_name": f"m{k}", "url": f"{server.base}/models/m{k}/model"})
            count(counts, server.post("/models", body), (200, 507))
        for k in range(MODELS):
            ask(server, k, counts)
        rng = random.Random(1)
        with concurrent.futures.ThreadPoolExecutor(6) as clients:
            for done in [clients.submit(ask, server, rng.randrange(MODELS), counts) for _ in range(4 * MODELS)]:
                done.result()
    finally:
        stop.set()
        pinger.join()
    for status, took in pinged:
        if status != 200:
            raise Failure(f"/ping was {status}")
    evicted = metric(server, 'clary_models_evictions_total{reason="memory"}')
    if evicted < MODELS:
        raise Failure(f"only {evicted} models gave way: this was no test of memory")
    if counts[200] < 5 * MODELS:
        raise Failure(f"only {counts[200]} requests were answered with 200, {counts[507]} with 507")
    server.alive()
    slowest = max(took for _, took in pinged)
    print(f"{MODELS} models of 64 MiB within {LIMIT // MIB} MiB: {counts[200]} answers, {counts[507]} times 507, {evicted:.0f} gave way,"
          f" {len(pinged)} pings, the slowest {slowest * 1e3:.0f} ms; nothing died")


def ask(server, k, counts):
    status, text = server.post(f"/models/m{k}/invoke", "1\n2.5", {"Content-Type": "text/csv", "Accept": "text/csv"})
    if status == 404:  # it was a 507 when it was registered
        return
    count(counts, (status, text), (200, 507))
    if status == 200 and [float(v) for v in text.split()] != [k + 1, 2.5 * (k + 1)]:
        raise Failure(f"m{k} answered {text!r}, want {k + 1} and {2.5 * (k + 1)}")


def count(counts, answer, allowed):
    status, text = answer
    if status not in allowed:
        raise Failure(f"{status} {text}")
    counts[status] += 1


def ping(server, stop, pinged):
    while not stop.is_set():
        began = time.monotonic()
        pinged.append((server.get("/ping")[0], time.monotonic() - began))
        stop.wait(0.05)


def metric(server, name):
    for line in server.get("/metrics")[1].splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    raise Failure(f"/metrics has no {name}")


class Server:
    """What both kinds of server can be asked."""

    def post(self, path, body, headers=None):
        return self.ask(urllib.request.Request(self.url + path, body.encode(), headers or {}))

    def get(self, path):
        return self.ask(urllib.request.Request(self.url + path))

    def ask(self, request):
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            raise Failure(f"{request.full_url}: {e}; the server's last words:\n{self.log()}") from e

    def wait(self):
        until = time.monotonic() + START
        while True:
            try:
                if self.get("/ping")[0] == 200:
                    return
            except Failure:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)


class Container(Server):
    def __init__(self, image, folder):
        self.base = "/opt/ml"
        self.id = docker("run", "-d", "--memory", str(LIMIT), "--memory-swap", str(LIMIT), "-p", "127.0.0.1::8080", "-e", "SAGEMAKER_MULTI_MODEL=true",
                         "-e", "SAGEMAKER_CONTAINER_LOG_LEVEL=warning", "-v", f"{folder}/models:/opt/ml/models:ro", image, "serve")
        self.url = "http://" + docker("port", self.id, "8080/tcp").splitlines()[0]

    def alive(self):
        state = json.loads(docker("inspect", "-f", "{{json .State}}", self.id))
        if not state["Running"] or state["OOMKilled"]:
            raise Failure(f"the container is {state}")

    def log(self):
        return docker("logs", "--tail", "20", self.id)

    def close(self):
        docker("rm", "-f", self.id)


def docker(*args):
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"docker {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip() or done.stderr.strip()


class Group(Server):
    def __init__(self, folder):
        self.base = folder
        self.group, limit, self.kills = self.make()
        with open(os.path.join(self.group, limit), "w", encoding="ascii") as f:
            f.write(str(LIMIT))
        self.output = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        env = {"PATH": os.environ["PATH"], "SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_BASE_DIR": folder, "SAGEMAKER_BIND_TO_PORT": "0", "CLARY_HOST": "127.0.0.1"}
        self.process = subprocess.Popen(["sh", "-c", f'echo $$ >"{self.group}/cgroup.procs" && exec "{ROOT}/bin/serve"'], env=env, stdout=self.output, stderr=self.output)
        until = time.monotonic() + START
        while not (addr := next((line["addr"] for line in map(json.loads, self.log().splitlines()) if line.get("msg") == "listening"), None)):
            if time.monotonic() > until or self.process.poll() is not None:
                raise Failure(f"the server does not listen: {self.log()}")
            time.sleep(0.05)
        self.url = "http://" + addr

    def make(self):
        name = f"clary-limit-{os.getpid()}"
        for top, limit, kills in (("/sys/fs/cgroup", "memory.max", "memory.events"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control")):
            group = os.path.join(top, name)
            try:
                os.mkdir(group)
            except OSError:
                continue
            if os.path.exists(os.path.join(group, limit)):
                return group, limit, kills
            os.rmdir(group)
        raise Failure("there is no memory limit to test under: give an image for docker run, or run as root where memory groups can be made")

    def alive(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended: {self.log()}")
        with open(os.path.join(self.group, self.kills), encoding="ascii") as f:
            for line in f:
                if line.split()[0] == "oom_kill" and int(line.split()[1]) > 0:
                    raise Failure("the kernel has killed something of the group")

    def log(self):
        with open(self.output.name, encoding="utf-8") as f:
            return "".join(f.readlines()[-40:])

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.output.close()
        os.rmdir(self.group)


# An ONNX file by hand; the numbers are onnx.proto's.


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def number(field, n):
    return varint(field << 3) + varint(n)


def text(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name, kind, dims, raw):
    return b"".join(number(1, d) for d in dims) + number(2, kind) + text(8, name) + text(9, raw)


def node(op, inputs, output, *attributes):
    return b"".join(text(1, i) for i in inputs) + text(2, output) + text(4, op) + b"".join(text(5, a) for a in attributes)


def value(name, columns):
    shape = text(1, text(2, "rows")) + text(1, number(1, columns))
    return text(1, name) + text(2, text(1, number(1, 1) + text(2, shape)))


def model(factor, in_file):
    """y = factor * x, by way of a matrix of SIDE * SIDE numbers factor/SIDE."""
    cell = struct.pack("<f", factor / SIDE)
    shape = struct.pack("<2q", SIDE, SIDE)
    initializers = [tensor("ones", 1, [1, SIDE], struct.pack("<f", 1) * SIDE), tensor("axes", 7, [1], struct.pack("<q", 1))]
    nodes = [node("MatMul", ["x", "ones"], "wide"), node("MatMul", ["wide", "weights"], "product"), node("ReduceMax", ["product", "axes"], "y")]
    if in_file:
        initializers.append(tensor("weights", 1, [SIDE, SIDE], cell * (SIDE * SIDE)))
    else:
        initializers.append(tensor("shape", 7, [2], shape))
        fill = text(1, "value") + number(20, 4) + text(5, tensor("", 1, [1], cell))
        nodes.insert(0, node("ConstantOfShape", ["shape"], "weights", fill))
    graph = b"".join(text(1, n) for n in nodes) + text(2, "limit") + b"".join(text(5, t) for t in initializers)
    graph += text(11, value("x", 1)) + text(12, value("y", 1))
    return number(1, 10) + text(7, graph) + text(8, text(1, "") + number(2, 21))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1] if len(sys.argv) == 2 else "")
    except Failure as failure:
        sys.exit(f"limit-test.py: {failure}")
