// Package clary is a model server that speaks the SageMaker container
// contract: /ping and /invocations over one port, an ONNX model inside, the
// same image on a SageMaker endpoint, under docker run and in Kubernetes.
//
// A program that serves any ONNX model is one line, and cmd/serve is it:
//
//	func main() { clary.Main(handler.Default{}) }
//
// To change what happens before or after the model, embed handler.Default and
// override one of its functions; subcommands, flags, signals and shutdown come
// with [Main]. To run a server inside a program of your own, or a test, use
// [ParseConfig], [New] and [Server.Run].
//
// The floors below, imports going down only:
//
//	transform      a data set through a model, record by record
//	mme            many models within one budget of memory
//	pipeline       one request through a handler's stages; chains of steps
//	handler        what users write, its defaults, the gorgonia border
//	codec          bytes in a media type <-> tensors
//	artifact       model.tar.gz, layouts, clary.yaml
//	artifact/store named objects in a folder or in S3, unpacked on a bounded disk
//	runtime/gpu    which GPUs there are, and which one a model goes to
//	runtime/batch  rows of concurrent requests run together
//	runtime/onnx   ONNX Runtime through cgo
//	runtime        what a tensor and a session are
//
// This package is the only one that knows HTTP, reads the environment, logs,
// exports metrics, and turns errors into statuses.
package clary
