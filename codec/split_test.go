package codec_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestSplit(t *testing.T) {
	frame := func(n int) string {
		b := []byte{0x0a, 0x23, 0xd7, 0xce, byte(n), 0, 0, 0}
		return string(append(b, make([]byte, (n+3)&^3)...))
	}
	for _, c := range []struct {
		codec      codec.Splitter
		params     map[string]string
		body       string
		first, cut int
	}{
		{codec.CSV{}, nil, "", 0, 0},
		{codec.CSV{}, nil, "1,2", 3, 0},
		{codec.CSV{}, nil, "1,2\n", 4, 4},
		{codec.CSV{}, nil, "1,2\r\n3,4\r\n5", 5, 10},
		{codec.CSV{}, nil, "\n\n1", 1, 2},
		{codec.CSV{}, nil, "a,\"b\nc\"\nd\ne", 8, 10},
		{codec.CSV{}, nil, "\"b\"\"\nc\"\nd", 8, 8},
		{codec.CSV{}, nil, "\"b\"\"\"\nd\n", 6, 8},
		{codec.CSV{}, nil, "\"b\n\"\"", 5, 0},
		{codec.CSV{}, nil, "5\" pipe\n6\n", 8, 10},    // an error, of its line alone
		{codec.CSV{}, nil, "a,\"b\" c\"\n6\n", 9, 11}, // likewise
		{codec.CSV{}, nil, "\ufeff\"a\nb\"\n6", 9, 9}, // after a byte order mark
		{codec.CSV{}, nil, "a;\"b\nc\"\nd\n", 5, 10},  // a quote within a field
		{codec.CSV{}, map[string]string{"delimiter": ";"}, "a;\"b\nc\"\nd\n", 8, 10},
		{codec.JSONLines{}, nil, "[1]\n[2]\n[", 4, 8},
		{codec.JSONLines{}, nil, "[1]", 3, 0},
		{codec.RecordIO{}, nil, frame(4) + frame(3) + "\x0a\x23", 12, 24},
		{codec.RecordIO{}, nil, frame(5) + frame(400)[:100], 16, 16},
		{codec.RecordIO{}, nil, "no frame", 8, 0},
		{codec.RecordIO{}, nil, frame(5)[:14], 14, 0},
	} {
		r := &codec.Request{Params: c.params}
		if first, cut := c.codec.First([]byte(c.body), r), c.codec.Cut([]byte(c.body), r); first != c.first || cut != c.cut {
			t.Errorf("%T %q: %d, %d, want %d, %d", c.codec, c.body, first, cut, c.first, c.cut)
		}
	}
}

func TestHead(t *testing.T) {
	hf := &codec.Options{Reply: codec.ReplyOptions{Style: codec.HuggingFace}}
	for _, c := range []struct {
		header  string
		options *codec.Options
		body    string
		want    int
	}{
		{"", nil, "1,2\n3,4\n", 0},
		{"absent", hf, "1,2\n3,4\n", 0},
		{"present", nil, "a,b\n3,4\n", 4},
		{"present", nil, "\"a\nb\",b\n3,4\n", 8},
		{"present", nil, "a,b", -1},
		{"", hf, "a\nb\n", 2},
	} {
		r := &codec.Request{Options: c.options}
		if c.header != "" {
			r.Params = map[string]string{"header": c.header}
		}
		if got := (codec.CSV{}).Head([]byte(c.body), r); got != c.want {
			t.Errorf("header=%s %q: %d, want %d", c.header, c.body, got, c.want)
		}
	}
}

// inPieces decodes a body in parts that are cut where up to size bytes have
// been seen, and puts them together.
func inPieces(c codec.Splitter, body []byte, size int, r codec.Request) ([]any, error) {
	var rows []any
	for at, want := 0, size; at < len(body); want = size {
		n := 0
		for n == 0 && at+want < len(body) {
			n = c.Cut(body[at:at+want], &r)
			want++
		}
		if n == 0 {
			n = len(body) - at
		}
		request := r
		out, err := c.Decode(body[at:at+n], &request)
		if err != nil && !errors.Is(err, codec.ErrEmpty) {
			return nil, err
		}
		for _, t := range out {
			rows = append(rows, flat(t)...)
		}
		at += n
	}
	return rows, nil
}

func flat(t runtime.Tensor) []any {
	v := reflect.ValueOf(t.Data)
	out := make([]any, v.Len())
	for i := range out {
		out[i] = v.Index(i).Interface()
	}
	return out
}

// FuzzSplit holds bodies that are read in parts against the same read whole:
// what is good as a whole is good in parts, and says the same.
func FuzzSplit(f *testing.F) {
	want := []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{-1, 2}}}
	codecs := []codec.Splitter{codec.CSV{}, codec.JSONLines{}, codec.RecordIO{}}
	for _, s := range []string{"a,b\nc,\"d\n,\"\"\n\"\n", "\"\n\"\"\",\n,\r\n\n", "[\"a\",\"b\"]\n\n[\"\\n\",\"c\"]\n", "\ufeff\"a\",b\n"} {
		f.Add([]byte(s), uint8(1), uint8(0))
		f.Add([]byte(s), uint8(3), uint8(1))
	}
	rows, err := codec.RecordIO{}.Encode(nil, []runtime.Tensor{{Name: "x", Shape: []int{3, 2}, Data: []string{"a", "b", "c", "d", "e", "f"}}},
		&codec.Reply{Params: map[string]string{"as": "features"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rows, uint8(5), uint8(2))
	f.Fuzz(func(t *testing.T, body []byte, size, which uint8) {
		c := codecs[int(which)%len(codecs)]
		r := codec.Request{Want: want}
		whole := r
		out, err := c.Decode(bytes.Clone(body), &whole)
		if err != nil {
			return
		}
		got, err := inPieces(c, body, int(size)+1, r)
		if err != nil {
			t.Fatalf("%T %q: %v", c, body, err)
		}
		if want := flat(out[0]); len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%T %q: %q, want %q", c, body, got, want)
		}
		if n := c.First(body, &r); n < 1 || n > len(body) {
			t.Fatalf("First of %q: %d", body, n)
		}
	})
}

func TestPartsOfRandomCSV(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	cells := []string{"", "a", "\"\"", "\"x,\ny\"", "\"\"\"\"", "\"\r\n\"", " b "}
	want := []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{-1, 2}}}
	for range 2000 {
		var body []byte
		for range 1 + random.IntN(6) {
			body = append(body, cells[random.IntN(len(cells))]...)
			body = append(body, ',')
			body = append(body, cells[random.IntN(len(cells))]...)
			body = append(body, []string{"\n", "\r\n"}[random.IntN(2)]...)
		}
		r := codec.Request{Want: want}
		out, err := codec.CSV{}.Decode(body, &r)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		got, err := inPieces(codec.CSV{}, body, 1+random.IntN(30), codec.Request{Want: want})
		if err != nil || !reflect.DeepEqual(got, flat(out[0])) {
			t.Fatalf("%q: %q, %v, want %q", body, got, err, flat(out[0]))
		}
	}
}
