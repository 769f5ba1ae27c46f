package codec_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// dtypeNamed returns the type that prints as name.
func dtypeNamed(t *testing.T, name string) runtime.DType {
	for d := runtime.DType(1); d < 32; d++ {
		if d.Known() && d.String() == name {
			return d
		}
	}
	t.Fatalf("docs/types.md names the type %q", name)
	return 0
}

// typesTables returns the lines of docs/types.md's tables with that many
// columns, without their heads.
func typesTables(t *testing.T, columns int) [][]string {
	f, err := os.Open("../docs/types.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		cells := strings.Split(strings.Trim(s.Text(), "|"), "|")
		if !strings.HasPrefix(s.Text(), "|") || len(cells) != columns || strings.Contains(s.Text(), "becomes") || strings.Contains(s.Text(), "---") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 20 {
		t.Fatalf("docs/types.md has %d lines of %d columns", len(rows), columns)
	}
	return rows
}

// checkBecomes compares a result or an error with what the table promises.
func checkBecomes(t *testing.T, line []string, got []runtime.Tensor, err error) {
	t.Helper()
	becomes := line[len(line)-1]
	if words, refused := strings.CutPrefix(becomes, "refused: "); refused {
		words, _, _ = strings.Cut(words, " (the type")
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v: %s, %v", line, show(got), err)
		}
		return
	}
	if err != nil {
		t.Errorf("%v: %v", line, err)
		return
	}
	text, err := codec.JSON{}.Encode(nil, []runtime.Tensor{{Data: got[0].Data, Shape: []int{1}}}, &codec.Reply{Found: codec.Found{Dialect: codec.Bare}})
	want := strings.Split(becomes, "`")[1]
	if s := strings.Trim(string(text), "[]"); err != nil || s != want && s != `"`+want+`"` {
		t.Errorf("%v: %s, %v", line, text, err)
	}
}

func TestTextBecomesWhatTheTableSays(t *testing.T) {
	for _, line := range typesTables(t, 3) {
		want := []runtime.Info{{Name: "x", DType: dtypeNamed(t, line[1]), Shape: []int{-1}}}
		got, err := codec.JSON{}.Decode([]byte("["+strings.Trim(line[0], "`")+"]"), &codec.Request{Want: want})
		checkBecomes(t, line, got, err)
	}
}

func TestTypedDataBecomesWhatTheTableSays(t *testing.T) {
	for _, line := range typesTables(t, 4) {
		sent := []runtime.Info{{Name: "x", DType: dtypeNamed(t, line[0]), Shape: []int{-1}}}
		got, err := codec.JSON{}.Decode([]byte("["+strings.Trim(line[1], "`")+"]"), &codec.Request{Want: sent})
		if err != nil {
			t.Errorf("%v: %v", line, err)
			continue
		}
		got[0].Data, err = codec.Convert(dtypeNamed(t, line[2]), got[0].Data)
		checkBecomes(t, line, got, err)
	}
}
