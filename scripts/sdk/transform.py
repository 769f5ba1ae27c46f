"""Runs the SageMaker SDK's local transform jobs with `serve` in the place of their container, and compares what they
write with the output of `serve transform` for the same job: python transform.py path/to/serve"""

import os
import random
import socket
import subprocess
import sys
import tempfile

os.environ.update(AWS_DEFAULT_REGION="eu-west-1", AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none",
                  AWS_EC2_METADATA_DISABLED="true", SAGEMAKER_ADMIN_CONFIG_OVERRIDE=os.devnull, SAGEMAKER_USER_CONFIG_OVERRIDE=os.devnull)

import sagemaker.local.entities as entities
import sagemaker.telemetry.telemetry_logging as telemetry
from sagemaker.local import LocalSession
from sagemaker.transformer import Transformer

SERVE = os.path.abspath(sys.argv[1])
MODEL = os.path.abspath("testdata/models/digits")

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    PORT = s.getsockname()[1]


class Container:
    """What the SDK uses of its _SageMakerContainer, as a process."""

    def __init__(self, *_):
        self.process = None

    def serve(self, model_dir, environment):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAGEMAKER_"))}
        env.update(environment, SAGEMAKER_BIND_TO_PORT=str(PORT), CLARY_HOST="127.0.0.1", SM_MODEL_DIR=model_dir.removeprefix("file://"))
        self.process = subprocess.Popen([SERVE, "serve"], env=env, stderr=subprocess.DEVNULL)

    def stop_serving(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


entities._SageMakerContainer = Container
telemetry._send_telemetry_request = lambda *_, **__: None  # nobody is to be told


def rows(n):
    r = random.Random(n)
    return "".join(",".join(str(r.randint(0, 16)) for _ in range(64)) + "\n" for _ in range(n))


def files(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, folder)] = f.read()
    return found


def by_sdk(source, into, strategy, assemble):
    session = LocalSession()
    session.config = {"local": {"serving_port": PORT, "container_root": into}}
    session.sagemaker_client.create_model("digits", {"Image": "clary", "ModelDataUrl": "file://" + MODEL, "Environment": {}})
    target = os.path.join(into, "out")
    # With Line the SDK puts a newline behind each reply, whatever it ends in: then the replies are to end in none.
    env = {"SAGEMAKER_BATCH": "false"} if assemble == "Line" else {}
    job = Transformer("digits", 1, "local", strategy=strategy, assemble_with=assemble, output_path="file://" + target, accept="text/csv",
                      max_payload=2, env=env, sagemaker_session=session)
    job.transform("file://" + source, content_type="text/csv", split_type="Line", wait=False)  # in local mode it has ended then
    return files(target)


def by_clary(source, into, strategy, assemble):
    command = [SERVE, "transform", "--model-dir", MODEL, "--input", source, "--output", into, "--content-type", "text/csv", "--accept", "text/csv",
               "--split-type", "Line", "--strategy", strategy, "--assemble-with", assemble or "None", "--max-payload-mb", "2"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return files(into)


def main():
    failed = 0
    for strategy, sizes in {"SingleRecord": (300, 1), "MultiRecord": (15000, 20, 1)}.items():
        for assemble in (None, "Line"):
            with tempfile.TemporaryDirectory() as dir:
                source, theirs, ours = (os.path.join(dir, name) for name in ("in", "sdk", "clary"))
                for path in (source, theirs, ours):
                    os.mkdir(path)
                for i, n in enumerate(sizes):
                    with open(os.path.join(source, f"{i}.csv"), "w") as f:
                        f.write(rows(n))
                want, got = by_sdk(source, theirs, strategy, assemble), by_clary(source, ours, strategy, assemble)
            what = f"Line, {strategy}, assembled with {assemble}"
            lines = [text.count(b"\n") for _, text in sorted(want.items())]
            if want != got or lines != list(sizes):
                failed += 1
                print(f"FAIL  {what}: the SDK wrote {[(n, len(t)) for n, t in sorted(want.items())]} of {lines} lines, "
                      f"serve transform {[(n, len(t)) for n, t in sorted(got.items())]}")
            else:
                print(f"ok    {what}: {sum(sizes)} rows in {len(sizes)} objects, the same bytes")
    sys.exit(1 if failed else 0)


main()
