package onnx

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestStartAgainIsFineWithTheSamePathOnly(t *testing.T) {
	if err := Start(libraryPath()); err != nil {
		t.Error(err)
	}
	if err := Start("/elsewhere/libonnxruntime.so"); err == nil || !strings.Contains(err.Error(), "already loaded from "+libraryPath()) {
		t.Errorf("another path: %v", err)
	}
	if Version() == "" || os.Getenv("ORT_DISABLE_TELEMETRY") != "1" {
		t.Errorf("version %q, telemetry switch %q", Version(), os.Getenv("ORT_DISABLE_TELEMETRY"))
	}
}

func TestStopRefusesWhileASessionIsOpenAndStartFollowsIt(t *testing.T) {
	path := write(t, file(slow().bytes()))
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := Stop(); err == nil || !strings.Contains(err.Error(), "1 sessions open") {
		t.Errorf("with a session: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), "before Start") {
			t.Errorf("opening while stopped: %v", err)
		}
	}
	if err := Start(libraryPath()); err != nil {
		t.Fatal(err)
	}
	run1(t, open1(t, path, Options{}), times(2)...)
}

func TestALibraryThatWillNotDoIsNamed(t *testing.T) {
	dir := t.TempDir()
	build := func(name, source string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".c", []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", path, path+".c").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return path
	}
	for path, why := range map[string]string{
		filepath.Join(dir, "missing.so"):                     "missing.so",
		build("other.so", "int answer(void) { return 42; }"): "not ONNX Runtime",
		build("old.so", `
			static const void *api(unsigned v) { return v > 22 ? (void *)0 : "api"; }
			static const char *version(void) { return "1.22.1"; }
			static const struct { const void *(*a)(unsigned); const char *(*v)(void); } base = {api, version};
			const void *OrtGetApiBase(void) { return &base; }`): "too old (it is 1.22.1)",
	} {
		_, err := load(path)
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), oldest) {
			t.Errorf("%s: want %q in: %v", path, why, err)
		}
	}
	run1(t, opened(t, slow(), Options{}), times(2)...) // nothing changed for the library in use
}
