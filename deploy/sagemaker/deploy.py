#!/usr/bin/env python3
"""Puts a Clary image and a model.tar.gz on SageMaker.

    deploy.py endpoint iris --image URI --model-data s3://bucket/model.tar.gz --role ARN
    deploy.py batch iris --image URI --model-data s3://bucket/model.tar.gz --role ARN \\
        --input s3://bucket/in/ --output s3://bucket/out/

The first makes a real-time endpoint, or brings the existing one of that name up
to date; run again with the same arguments it changes nothing. The second runs a
batch transform job over every object below --input. Both wait for the end, and
exit with 1 and the service's reason when it is a bad one.
"""

import argparse
import hashlib
import json
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

ROWS = ("text/csv", "application/jsonlines")  # media types that SageMaker may cut at line ends


class Failed(Exception):
    """The service refused, or what it made does not work."""


def arguments(argv):
    """Reads the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("name", help="of the endpoint or the jobs; model and configuration are named after it")
    common.add_argument("--image", required=True, help="the image in ECR")
    common.add_argument("--model-data", required=True, type=archive, help="the model.tar.gz in S3 (serve package makes one)")
    common.add_argument("--role", required=True, help="ARN of the role that SageMaker takes on")
    common.add_argument("--env", action="append", default=[], type=variable, metavar="KEY=VALUE", help="a setting of the server; may be repeated")
    common.add_argument("--instance-type", default="ml.c6i.large", help="default %(default)s")
    common.add_argument("--instance-count", type=int, default=1, help="default %(default)s")
    common.add_argument("--region", help="default: the environment's")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("endpoint", parents=[common], help="a real-time endpoint")
    batch = kinds.add_parser("batch", parents=[common], help="a batch transform job")
    batch.add_argument("--input", required=True, help="S3 prefix of the objects to transform")
    batch.add_argument("--output", required=True, help="S3 prefix for the results, one .out per object")
    batch.add_argument("--content-type", default="text/csv", help="of the objects; default %(default)s")
    batch.add_argument("--accept", help="of the results; default: the content type")
    return parser.parse_args(argv)


def archive(uri):
    if not uri.startswith("s3://") or not uri.endswith((".tar.gz", ".tgz")):
        raise argparse.ArgumentTypeError(f"{uri!r} is not of the form s3://bucket/path/model.tar.gz")
    return uri


def variable(text):
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def versioned(name, *content):
    """Returns a name that is the same for the same content, and for nothing else."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
    return f"{name[:52]}-{digest}"


def create(call, **request):
    """Creates what the request says, unless it exists: names are versioned, so it is the same thing."""
    try:
        call(**request)
    except ClientError as e:
        if "existing" not in message(e):
            raise


def message(error):
    return error.response["Error"].get("Message", "")


def make_model(sm, args):
    """Makes the model and returns its name."""
    container = {"Image": args.image, "ModelDataUrl": args.model_data, "Environment": dict(args.env)}
    name = versioned(args.name, container, args.role)
    # Clary downloads nothing, so the container needs no network of its own.
    create(sm.create_model, ModelName=name, PrimaryContainer=container, ExecutionRoleArn=args.role, EnableNetworkIsolation=True)
    return name


def make_endpoint(sm, args, delay):
    """Makes the endpoint or updates it, and waits until it is in service."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": make_model(sm, args),
        "InitialInstanceCount": args.instance_count,
        "InstanceType": args.instance_type,
    }
    config = versioned(args.name, variant)
    create(sm.create_endpoint_config, EndpointConfigName=config, ProductionVariants=[variant])
    before = describe_endpoint(sm, args.name)
    if before is None:
        sm.create_endpoint(EndpointName=args.name, EndpointConfigName=config)
    elif before["EndpointStatus"] == "Failed":
        raise Failed(f"endpoint {args.name} has failed before ({before.get('FailureReason', 'no reason given')}); "
                     f"delete it and run again: aws sagemaker delete-endpoint --endpoint-name {args.name}")
    else:
        wait(sm, "endpoint_in_service", delay, EndpointName=args.name)  # an update in progress refuses another
        if describe_endpoint(sm, args.name)["EndpointConfigName"] != config:
            sm.update_endpoint(EndpointName=args.name, EndpointConfigName=config)
    wait(sm, "endpoint_in_service", delay, EndpointName=args.name)
    after = describe_endpoint(sm, args.name)
    if after["EndpointConfigName"] != config:
        raise Failed(f"endpoint {args.name} was rolled back to {after['EndpointConfigName']}: {after.get('FailureReason', 'no reason given')}")


def describe_endpoint(sm, name):
    """Returns the endpoint's description, or None if there is no such endpoint."""
    try:
        return sm.describe_endpoint(EndpointName=name)
    except ClientError as e:
        if "Could not find" in message(e):
            return None
        raise


def run_batch(sm, args, delay):
    """Runs a transform job to its end and returns its name."""
    job = f"{args.name[:48]}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
    media, _, parameters = args.content_type.lower().partition(";")
    rows = media.strip() in ROWS and "header=present" not in parameters  # only the first piece would have the header
    sm.create_transform_job(
        TransformJobName=job,
        ModelName=make_model(sm, args),
        BatchStrategy="MultiRecord" if rows else "SingleRecord",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": args.input}},
            "ContentType": args.content_type,
            "SplitType": "Line" if rows else "None",
        },
        # Clary ends every row with a newline in a batch job, so nothing is put between the replies.
        TransformOutput={"S3OutputPath": args.output, "Accept": args.accept or args.content_type, "AssembleWith": "None"},
        TransformResources={"InstanceType": args.instance_type, "InstanceCount": args.instance_count},
    )
    wait(sm, "transform_job_completed_or_stopped", delay, TransformJobName=job)
    return job


def wait(sm, state, delay, **what):
    """Waits for at most an hour, and fails with the service's own reason."""
    try:
        sm.get_waiter(state).wait(WaiterConfig={"Delay": delay, "MaxAttempts": 120}, **what)
    except WaiterError as e:
        last = e.last_response
        status = last.get("EndpointStatus") or last.get("TransformJobStatus")
        reason = last.get("FailureReason") or last.get("Error", {}).get("Message") or e
        raise Failed(f"{' '.join(what.values())} is {status}: {reason}") from e
    if state.startswith("transform_job"):
        last = sm.describe_transform_job(**what)
        if last["TransformJobStatus"] != "Completed":
            raise Failed(f"{' '.join(what.values())} is {last['TransformJobStatus']}: {last.get('FailureReason', 'no reason given')}")


def main(argv=None, client=None, delay=30):
    """Does what the command line says; client and delay are for tests."""
    args = arguments(argv)
    try:
        sm = client or boto3.client("sagemaker", region_name=args.region)
        if args.kind == "batch":
            print(f"{run_batch(sm, args, delay)} is completed; see {args.output}")
            return 0
        make_endpoint(sm, args, delay)
    except (Failed, BotoCoreError, ClientError) as e:
        print(f"deploy.py: {e}", file=sys.stderr)
        return 1
    print(f"""{args.name} is in service. Ask it, with a row of your model's own:

    aws sagemaker-runtime invoke-endpoint --endpoint-name {args.name} --content-type text/csv \\
        --cli-binary-format raw-in-base64-out --body '5.1,3.5,1.4,0.2' /dev/stdout

It costs money until: aws sagemaker delete-endpoint --endpoint-name {args.name}""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
