package gpu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn compiles the stand-in for NVIDIA's library.
func standIn(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	out, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", path, "../../testdata/gpu/nvml.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return path
}

// machine writes the list of devices that the stand-in shows.
func machine(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "devices")
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAKE_NVML", path)
	return path
}

const mixed = `gpu GPU-aaaa1111 81920 1024 12 ok
gpu GPU-bbbb2222 40960 0 0 mig
mig MIG-cccc3333 9856 100 7 0
mig MIG-dddd4444 9856 200 8 0
gpu GPU-aaaa5555 24576 24000 99 ok
`

func uuids(s *System) (list []string) {
	for i, d := range s.Devices {
		if d.Index != i {
			panic("out of order")
		}
		list = append(list, d.UUID)
	}
	return list
}

func TestVisible(t *testing.T) {
	library := standIn(t)
	machine(t, mixed)
	const a, c, d, e = "GPU-aaaa1111", "MIG-cccc3333", "MIG-dddd4444", "GPU-aaaa5555"
	for _, test := range []struct {
		visible string // "unset": it is not set
		want    string // UUIDs, or what the error says
	}{
		{"unset", a + " " + e},
		{"0", a},
		{"2,0", e + " " + a},
		{" 2 , 0 ", e + " " + a},
		{"1", c},
		{"0,-1,2", a},
		{"0,9,2", a},
		{"GPU-aaaa5", e},
		{"gpu-AAAA5", `"gpu-AAAA5" is none of them`},
		{"GPU-aaaa", `"GPU-aaaa" is none of them; there are 0 (GPU-aaaa1111), MIG-cccc3333, MIG-dddd4444, 2 (GPU-aaaa5555)`},
		{"GPU-bbbb2222", "is none of them"},
		{"MIG-dddd4444", d},
		{"MIG-d", d},
		{"MIG-GPU-bbbb2222/8/0", d},
		{"MIG-GPU-bbbb2222/9/0", "is none of them"},
		{"MIG-GPU-bbbb2222", "is none of them"},
		{"MIG-dddd4444,MIG-cccc3333", d},
		{"0,MIG-dddd,2,MIG-cccc3333", a + " " + d},
		{"MIG-dddd,MIG-dddd4444", "twice"},
		{"-1", `"-1" is none of them`},
		{"", "is empty"},
		{"0,0", "twice"},
		{"0,GPU-aaaa1111", "twice"},
		{"cuda:0", "is none of them"},
		{"GPU-", "is none of them"},
	} {
		s, err := Open(library, strings.TrimPrefix(test.visible, "unset"), test.visible != "unset")
		if err != nil {
			if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q: %v, want %s", test.visible, err, test.want)
			}
			continue
		}
		if got := strings.Join(uuids(s), " "); got != test.want {
			t.Errorf("%q: %s, want %s", test.visible, got, test.want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAllDivided(t *testing.T) {
	library := standIn(t)
	machine(t, "gpu GPU-a 100 0 0 mig\ngpu GPU-b 100 0 0 mig\nmig MIG-b 10 0 1 0\nmig MIG-c 10 0 2 0\n")
	s, err := Open(library, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if got := uuids(s); len(got) != 1 || got[0] != "MIG-b" || !s.Devices[0].MIG() || s.Devices[0].Parent != "GPU-b" {
		t.Errorf("%+v", s.Devices)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	machine(t, "gpu GPU-a 100 0 0 mig\n")
	if _, err := Open(library, "", false); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "nvidia-smi mig") {
		t.Error(err)
	}
}

func TestNumbers(t *testing.T) {
	library := standIn(t)
	list := machine(t, mixed)
	s, err := Open(library, "0,MIG-dddd", true)
	if err != nil {
		t.Fatal(err)
	}
	if s.Driver != "580.65.06" || s.Devices[0].Name != "Stand-in GPU" || s.Devices[1].Name != "Stand-in MIG 1g.10gb" {
		t.Errorf("driver %s, %+v", s.Driver, s.Devices)
	}
	if m, err := s.Devices[0].Memory(); err != nil || m != (Memory{81920 << 20, 1024 << 20, 80896 << 20}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := s.Devices[1].Memory(); err != nil || m.Used != 200<<20 {
		t.Errorf("%+v, %v", m, err)
	}
	if u, err := s.Devices[0].Utilization(); err != nil || u != 0.12 {
		t.Errorf("%v, %v", u, err)
	}
	if _, err := s.Devices[1].Utilization(); err == nil {
		t.Error("the utilization of a MIG instance is known")
	}
	if s.Devices[0].Lost() {
		t.Error("it is lost already")
	}
	if err := os.WriteFile(list, []byte(strings.Replace(mixed, "12 ok", "12 lost", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Devices[0].Memory(); err == nil || !strings.Contains(err.Error(), "memory of cuda:0: GPU is lost") {
		t.Error(err)
	}
	if !s.Devices[0].Lost() || s.Devices[1].Lost() {
		t.Error("who is lost?")
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Devices[1].Memory(); err == nil {
		t.Error("it answers after Close")
	}
}

func TestNoGPU(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "libnvidia-ml.so.1"), "", false); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "driver is not here") {
		t.Error(err)
	}
	library := standIn(t)
	t.Setenv("FAKE_NVML", "/nowhere")
	if _, err := Open(library, "", false); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "Driver Not Loaded") {
		t.Error(err)
	}
	machine(t, "")
	if _, err := Open(library, "", false); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "finds none") {
		t.Error(err)
	}
}

// TestOldDriver: one from before MIG lacks its functions, and calling one
// would end the process.
func TestOldDriver(t *testing.T) {
	source, err := os.ReadFile("../../testdata/gpu/nvml.c")
	if err != nil {
		t.Fatal(err)
	}
	old, _, _ := strings.Cut(string(source), "int nvmlDeviceGetMigMode")
	library := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	cmd := exec.Command("cc", "-x", "c", "-shared", "-fPIC", "-o", library, "-")
	cmd.Stdin = strings.NewReader(old)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	machine(t, mixed)
	s, err := Open(library, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Devices) != 3 {
		t.Errorf("%+v", s.Devices)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
