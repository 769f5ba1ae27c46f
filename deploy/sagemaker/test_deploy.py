"""Checks deploy.py against botocore's own description of the service: a
request that it would refuse, an unexpected one and a missing one all fail."""

import contextlib
import datetime
import io
import unittest

import boto3
from botocore.stub import ANY, Stubber

import deploy

ROLE = "arn:aws:iam::123456789012:role/SageMaker"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/clary:1"
DATA = "s3://bucket/iris/model.tar.gz"
COMMON = ["iris", "--image", IMAGE, "--model-data", DATA, "--role", ROLE]
MODEL = "arn:aws:sagemaker:eu-central-1:123456789012:model/iris"
LONG_AGO = datetime.datetime(2026, 1, 1)


class Deploy(unittest.TestCase):
    def setUp(self):
        self.client = boto3.client("sagemaker", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(self.client)
        self.stub.activate()

    def run_it(self, *argv):
        """Returns the exit code, stdout and stderr; every expected call must have been made."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = deploy.main(list(argv), client=self.client, delay=0)
        self.stub.assert_no_pending_responses()
        return code, out.getvalue(), err.getvalue()

    def names(self, *argv):
        """The names that these arguments lead to."""
        args = deploy.arguments(["endpoint", *argv])
        container = {"Image": args.image, "ModelDataUrl": args.model_data, "Environment": dict(args.env)}
        model = deploy.versioned(args.name, container, args.role)
        variant = {"VariantName": "AllTraffic", "ModelName": model,
                   "InitialInstanceCount": args.instance_count, "InstanceType": args.instance_type}
        return model, deploy.versioned(args.name, variant), container, variant

    def expect_model(self, env=None):
        self.stub.add_response("create_model", {"ModelArn": MODEL}, {
            "ModelName": ANY,
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": DATA, "Environment": env or {}},
            "ExecutionRoleArn": ROLE, "EnableNetworkIsolation": True})

    def expect_config(self, name, variant):
        self.stub.add_response("create_endpoint_config", {"EndpointConfigArn": MODEL + "-config/x"},
                               {"EndpointConfigName": name, "ProductionVariants": [variant]})

    def expect_endpoint(self, status, config, reason=None):
        answer = {"EndpointName": "iris", "EndpointArn": MODEL + "/x", "EndpointStatus": status,
                  "EndpointConfigName": config, "CreationTime": LONG_AGO, "LastModifiedTime": LONG_AGO}
        if reason:
            answer["FailureReason"] = reason
        self.stub.add_response("describe_endpoint", answer, {"EndpointName": "iris"})

    def expect_no_endpoint(self):
        self.stub.add_client_error("describe_endpoint", "ValidationException", 'Could not find endpoint "iris".', 400,
                                   expected_params={"EndpointName": "iris"})

    def expect_job(self, status, reason=None):
        answer = {"TransformJobName": "iris-1", "TransformJobArn": MODEL + "/x", "TransformJobStatus": status, "ModelName": "iris",
                  "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in/"}}},
                  "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1}, "CreationTime": LONG_AGO}
        if reason:
            answer["FailureReason"] = reason
        self.stub.add_response("describe_transform_job", answer, {"TransformJobName": ANY})

    def expect_create_job(self, content_type, accept, strategy, split):
        self.stub.add_response("create_transform_job", {"TransformJobArn": MODEL + "/x"}, {
            "TransformJobName": ANY, "ModelName": ANY, "BatchStrategy": strategy,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in/"}},
                               "ContentType": content_type, "SplitType": split},
            "TransformOutput": {"S3OutputPath": "s3://bucket/out/", "Accept": accept, "AssembleWith": "None"},
            "TransformResources": {"InstanceType": "ml.c6i.large", "InstanceCount": 1}})

    # Endpoints.

    def test_a_new_endpoint_is_made_from_nothing(self):
        _, config, _, variant = self.names(*COMMON, "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=2")
        self.expect_model({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"})
        self.expect_config(config, variant)
        self.expect_no_endpoint()
        self.stub.add_response("create_endpoint", {"EndpointArn": MODEL + "/x"},
                               {"EndpointName": "iris", "EndpointConfigName": config})
        for status in ("Creating", "InService", "InService"):
            self.expect_endpoint(status, config)
        code, out, err = self.run_it("endpoint", *COMMON, "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=2")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("iris is in service", out)
        self.assertIn("invoke-endpoint --endpoint-name iris", out)
        self.assertIn("delete-endpoint --endpoint-name iris", out)

    def test_the_same_arguments_again_change_nothing(self):
        _, config, _, _ = self.names(*COMMON)
        self.stub.add_client_error("create_model", "ValidationException", "Cannot create already existing model", 400)
        self.stub.add_client_error("create_endpoint_config", "ValidationException", "Cannot create already existing endpoint configuration", 400)
        for _ in range(5):
            self.expect_endpoint("InService", config)
        self.assertEqual(self.run_it("endpoint", *COMMON)[0], 0)

    def test_other_arguments_update_the_endpoint(self):
        _, config, _, variant = self.names(*COMMON, "--instance-count", "2")
        self.expect_model()
        self.expect_config(config, variant)
        for status in ("Updating", "Updating", "InService", "InService"):
            self.expect_endpoint(status, "the-old-one")
        self.stub.add_response("update_endpoint", {"EndpointArn": MODEL + "/x"}, {"EndpointName": "iris", "EndpointConfigName": config})
        self.expect_endpoint("Updating", "the-old-one")
        for _ in range(2):
            self.expect_endpoint("InService", config)
        self.assertEqual(self.run_it("endpoint", *COMMON, "--instance-count", "2")[0], 0)

    def test_an_update_that_was_rolled_back_is_a_failure(self):
        _, config, _, variant = self.names(*COMMON)
        self.expect_model()
        self.expect_config(config, variant)
        for _ in range(3):
            self.expect_endpoint("InService", "the-old-one")
        self.stub.add_response("update_endpoint", {"EndpointArn": MODEL + "/x"}, {"EndpointName": "iris", "EndpointConfigName": config})
        for _ in range(2):
            self.expect_endpoint("InService", "the-old-one", "did not pass the ping health check")
        code, _, err = self.run_it("endpoint", *COMMON)
        self.assertEqual(code, 1)
        self.assertIn("rolled back to the-old-one: did not pass the ping health check", err)

    def test_a_container_that_never_gets_healthy_is_a_failure(self):
        _, config, _, variant = self.names(*COMMON)
        self.expect_model()
        self.expect_config(config, variant)
        self.expect_no_endpoint()
        self.stub.add_response("create_endpoint", {"EndpointArn": MODEL + "/x"})
        self.expect_endpoint("Creating", config)
        self.expect_endpoint("Failed", config, "did not pass the ping health check")
        code, _, err = self.run_it("endpoint", *COMMON)
        self.assertEqual(code, 1)
        self.assertIn("iris is Failed: did not pass the ping health check", err)

    def test_an_endpoint_that_failed_before_must_be_deleted_first(self):
        _, config, _, variant = self.names(*COMMON)
        self.expect_model()
        self.expect_config(config, variant)
        self.expect_endpoint("Failed", "the-old-one", "no capacity")
        code, _, err = self.run_it("endpoint", *COMMON)
        self.assertEqual(code, 1)
        self.assertIn("no capacity", err)
        self.assertIn("delete-endpoint --endpoint-name iris", err)

    def test_a_refusal_is_shown_as_the_service_words_it(self):
        for denied in ("create_model", "create_endpoint_config", "describe_endpoint"):
            with self.subTest(denied):
                self.setUp()
                _, config, _, variant = self.names(*COMMON)
                if denied != "create_model":
                    self.expect_model()
                if denied == "describe_endpoint":
                    self.expect_config(config, variant)
                self.stub.add_client_error(denied, "AccessDeniedException", "not authorized to do that", 403)
                code, out, err = self.run_it("endpoint", *COMMON)
                self.assertEqual((code, out), (1, ""))
                self.assertIn("not authorized to do that", err)

    # Batch transform.

    def test_a_batch_of_rows_is_cut_at_line_ends(self):
        self.expect_model()
        self.expect_create_job("text/csv", "text/csv", "MultiRecord", "Line")
        for status in ("InProgress", "Completed", "Completed"):
            self.expect_job(status)
        code, out, _ = self.run_it("batch", *COMMON, "--input", "s3://bucket/in/", "--output", "s3://bucket/out/")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^iris-\d{14} is completed; see s3://bucket/out/")

    def test_a_batch_of_whole_objects_is_not_cut(self):
        for media in ("application/x-npy", "text/csv; header=present"):
            with self.subTest(media):
                self.setUp()
                self.expect_model()
                self.expect_create_job(media, "application/json", "SingleRecord", "None")
                for _ in range(2):
                    self.expect_job("Completed")
                code, _, _ = self.run_it("batch", *COMMON, "--input", "s3://bucket/in/", "--output", "s3://bucket/out/",
                                         "--content-type", media, "--accept", "application/json")
                self.assertEqual(code, 0)

    def test_a_job_that_fails_or_is_stopped_is_a_failure(self):
        for status, calls in (("Failed", 1), ("Stopped", 2)):
            with self.subTest(status):
                self.setUp()
                self.expect_model()
                self.expect_create_job("text/csv; charset=utf-8", "text/csv; charset=utf-8", "MultiRecord", "Line")
                for _ in range(calls):
                    self.expect_job(status, "bad rows")
                code, out, err = self.run_it("batch", *COMMON, "--input", "s3://bucket/in/", "--output", "s3://bucket/out/",
                                             "--content-type", "text/csv; charset=utf-8")
                self.assertEqual((code, out), (1, ""))
                self.assertIn(f"is {status}: bad rows", err)

    # Names and arguments.

    def test_names_follow_from_the_content_and_stay_within_63_letters(self):
        model, config, _, _ = self.names(*COMMON)
        self.assertEqual((model, config), self.names(*COMMON)[:2])
        self.assertNotEqual(model, self.names(*COMMON, "--env", "A=b")[0])
        self.assertEqual(model, self.names(*COMMON, "--instance-count", "2")[0])
        self.assertNotEqual(config, self.names(*COMMON, "--instance-count", "2")[1])
        self.assertEqual(len(deploy.versioned("x" * 100, "content")), 63)

    def test_arguments_that_cannot_be_are_refused(self):
        bad = [
            [],
            ["endpoint"],
            ["batch", *COMMON],
            ["endpoint", *COMMON, "--env", "NOVALUE"],
            ["endpoint", *COMMON, "--env", "=x"],
            ["endpoint", *COMMON, "--instance-count", "many"],
            ["endpoint", "iris", "--image", IMAGE, "--role", ROLE, "--model-data", "model.tar.gz"],
            ["endpoint", "iris", "--image", IMAGE, "--role", ROLE, "--model-data", "s3://bucket/folder/"],
        ]
        for argv in bad:
            with self.subTest(argv), contextlib.redirect_stderr(io.StringIO()) as err:
                with self.assertRaises(SystemExit) as exit_:
                    deploy.main(argv, client=self.client)
                self.assertEqual(exit_.exception.code, 2)
                self.assertIn("usage:", err.getvalue())


if __name__ == "__main__":
    unittest.main()
