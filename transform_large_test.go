package clary_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A gigabyte of rows needs no more memory than a megabyte does, cut or as one
// request. The ordinary test takes a twentieth of it, with the race detector a tenth of that.
func TestTransformOfAGigabyte(t *testing.T) {
	const most = 300e6 / (1 << 20)
	size := 1 << 30 / 20
	switch {
	case os.Getenv("CLARY_SOAK") != "":
		size = 1 << 30
	case raceEnabled:
		size /= 10
	}
	for model, row := range map[string]func(i int) string{
		"iris": func(i int) string { return fmt.Sprintf("%d.%d,3.%d,%d.5,0.%d\n", 4+i%4, i%10, i%7, 1+i%6, i%20) },
		"digits": func(i int) string {
			return strings.Repeat(fmt.Sprintf("%d,%d,%d,", i%17, i%13, i%11), 21) + fmt.Sprint(i%16) + "\n"
		},
	} {
		in := t.TempDir()
		rows := writeRows(t, in+"/rows.csv", size, row)
		for _, payload := range []string{"6", "0"} {
			out := t.TempDir()
			said := transformed(t, nil, irisJob(in, out, "--assemble-with", "Line", "--max-payload-mb", payload, "--model-dir", "testdata/models/"+model)...)
			var memory float64
			if _, text, ok := strings.Cut(said, " rows/s; "); ok {
				_, _ = fmt.Sscanf(text, "%g MiB of memory at most", &memory) // 0 is not enough
			}
			t.Logf("%s: %s", model, said)
			if memory == 0 || memory > most {
				t.Errorf("%s: %g MiB of memory, want at most %.0f", model, memory, most)
			}
			if got := countLines(t, out+"/rows.csv.out"); got != rows {
				t.Errorf("%s: %d lines for %d rows", model, got, rows)
			}
		}
	}
}

// writeRows writes a file of so many bytes or a little more, and returns how
// many rows those are.
func writeRows(t testing.TB, name string, size int, row func(i int) string) (rows int) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for written := 0; written < size; rows++ {
		n, _ := w.WriteString(row(rows)) // Flush says
		written += n
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return rows
}

func countLines(t testing.TB, name string) (n int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
	}
	return n
}
