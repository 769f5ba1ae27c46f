package onnx

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

// binding is the folder of onnxruntime_go's source, which has ONNX Runtime's
// own header.
func binding(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// customOp are the fields of customop.h's struct.
var customOp = []string{
	"version", "CreateKernel", "GetName", "GetExecutionProviderType", "GetInputType", "GetInputTypeCount", "GetOutputType", "GetOutputTypeCount",
	"KernelCompute", "KernelDestroy", "GetInputCharacteristic", "GetOutputCharacteristic", "GetInputMemoryType", "GetVariadicInputMinArity",
	"GetVariadicInputHomogeneity", "GetVariadicOutputMinArity", "GetVariadicOutputHomogeneity", "CreateKernelV2", "KernelComputeV2",
	"InferOutputShapeFn", "GetStartVersion", "GetEndVersion", "GetMayInplace", "ReleaseMayInplace", "GetAliasMap", "ReleaseAliasMap",
}

// TestSlots has the C compiler compare every slot that shim.h declares with
// onnxruntime_c_api.h: its place in OrtApi, and its type; and every field of an
// operator of our own.
func TestSlots(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	source := fmt.Sprintf(`
#include "onnxruntime_c_api.h"
#include "internal.h"
#include "customop.h"
#define CHECK(slot, name, result, params) \
  _Static_assert(offsetof(OrtApi, name) == slot * sizeof(void *), #name " is in another slot"); \
  _Static_assert(__builtin_types_compatible_p(__typeof__(*((OrtApi *)0)->name), __typeof__(result params)), #name " has another type");
ORT_SLOTS(CHECK)
_Static_assert(ORT_API_VERSION == %d, "another API version");
_Static_assert(ORT_INVALID_ARGUMENT == %d && ORT_INVALID_ARGUMENT == code_invalid_argument, "another error code");
_Static_assert(ONNX_TYPE_TENSOR == %d && ONNX_TYPE_SEQUENCE == %d && ONNX_TYPE_MAP == %d, "other kinds of value");
_Static_assert(ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING == type_string && ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT == type_float &&
               ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 == type_int64 && INPUT_OUTPUT_REQUIRED == 0, "another element type");
_Static_assert(OrtDeviceAllocator == device_allocator && OrtMemTypeDefault == mem_type_default && OrtMemTypeCPUOutput == mem_type_cpu_output,
               "another kind of memory");
_Static_assert(OrtMemoryInfoDeviceType_GPU == device_gpu && OrtDeviceMemoryType_DEFAULT == device_memory && ORT_FAIL == code_fail && ORT_LOGGING_LEVEL_FATAL == 4, "another constant");
`, apiVersion, codeInvalidArgument, typeTensor, typeSequence, typeMap)
	source += "_Static_assert(sizeof(OrtCustomOp) == sizeof(custom_op), \"another size\");\n"
	for _, field := range customOp {
		source += fmt.Sprintf(`_Static_assert(offsetof(OrtCustomOp, %[1]s) == offsetof(custom_op, %[1]s) &&
			__builtin_types_compatible_p(__typeof__(((OrtCustomOp *)0)->%[1]s), __typeof__(((custom_op *)0)->%[1]s)), "%[1]s is another field");
`, field)
	}
	path := filepath.Join(t.TempDir(), "slots.c")
	if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cc", "-std=c11", "-fsyntax-only", "-I", binding(t), "-I", here, path).CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestInternals(t *testing.T) {
	for _, c := range []struct {
		of   any
		want string
	}{
		{ort.SessionOptions{}, "0 o *onnxruntime_go._Ctype_struct_OrtSessionOptions"},
		{ort.DynamicAdvancedSession{}, "0 s *onnxruntime_go.AdvancedSession"},
		{ort.AdvancedSession{}, "0 ortSession *onnxruntime_go._Ctype_struct_OrtSession"},
	} {
		f := reflect.TypeOf(c.of).Field(0)
		if got := fmt.Sprint(f.Offset, " ", f.Name, " ", f.Type); got != c.want {
			t.Errorf("the first field of %T is %q, pointers expects %q", c.of, got, c.want)
		}
	}
}
