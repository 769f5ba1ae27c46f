// Bare is a Go process with sessions of a model and nothing else: what
// ONNX Runtime and its binding hold of the memory before there is a server.
package main

import (
	"fmt"
	"os"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: bare LIBRARY MODEL SESSIONS")
	}
	sessions, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ort.SetSharedLibraryPath(args[0])
	if err := ort.InitializeEnvironment(); err != nil {
		return err
	}
	inputs, outputs, err := ort.GetInputOutputInfo(args[1])
	if err != nil {
		return err
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return err
	}
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return err
	}
	var in, out []string
	for _, i := range inputs {
		in = append(in, i.Name)
	}
	for _, o := range outputs {
		out = append(out, o.Name)
	}
	for range sessions {
		if _, err := ort.NewDynamicAdvancedSession(args[1], in, out, options); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is closed
	return nil
}
