package clary_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A bad is a request that must be refused with a status and a message that
// holds certain words; the next good request must get its right answer.
type bad struct {
	what        string
	contentType string
	body        string
	status      int
	says        string
	headers     []string
}

const (
	asJSON  = "application/json"
	asCSV   = "text/csv"
	asLines = "application/jsonlines"
	asNPY   = "application/x-npy"
	asNPZ   = "application/x-npz"
)

func f4(shape string, bytes int) string { return npyWith("<f4", shape, bytes) }

func npyWith(descr, shape string, bytes int) string {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr, shape)
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(header)), byte(len(header) >> 8)}) + header + strings.Repeat("\x00", bytes)
}

// badForIris are refused by a model of one float32 input [-1,4] named X.
var badForIris = []bad{
	// JSON that is none
	{"empty", asJSON, "", 400, "empty", nil},
	{"only blanks", asJSON, " \n\t ", 400, "", nil},
	{"truncated list", asJSON, `[[1,2,3,4`, 400, "", nil},
	{"truncated object", asJSON, `{"instances":[[1,2,3,4]]`, 400, "", nil},
	{"truncated key", asJSON, `{"inst`, 400, "", nil},
	{"trailing garbage", asJSON, `[[1,2,3,4]] x`, 400, "", nil},
	{"two values", asJSON, `[[1,2,3,4]][[1,2,3,4]]`, 400, "", nil},
	{"trailing comma", asJSON, `[[1,2,3,4,]]`, 400, "", nil},
	{"missing comma", asJSON, `[[1 2,3,4]]`, 400, "", nil},
	{"single quotes", asJSON, `{'instances':[[1,2,3,4]]}`, 400, "", nil},
	{"a comment", asJSON, `[[1,2,3,4]] // row`, 400, "", nil},
	{"invalid UTF-8 in a key", asJSON, "{\"inst\xff\":[[1,2,3,4]]}", 400, "", nil},
	{"duplicate keys", asJSON, `{"instances":[[1,2,3,4]],"instances":[[1,2,3,4]]}`, 400, "instances", nil},
	{"deeply nested", asJSON, strings.Repeat("[", 100000), 400, "", nil},
	{"deeply nested and closed", asJSON, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 400, "", nil},
	{"deeply nested objects", asJSON, strings.Repeat(`{"a":`, 50000), 400, "", nil},
	{"hexadecimal", asJSON, `[[0x10,2,3,4]]`, 400, "", nil},
	{"leading zero", asJSON, `[[01,2,3,4]]`, 400, "", nil},
	{"leading plus", asJSON, `[[+1,2,3,4]]`, 400, "", nil},
	{"bare dot", asJSON, `[[.5,2,3,4]]`, 400, "", nil},
	{"number without digits", asJSON, `[[-,2,3,4]]`, 400, "", nil},
	{"a tab inside a string", asJSON, "{\"a\tb\":1}", 400, "", nil},

	// JSON that does not fit
	{"huge exponent", asJSON, `[[1e999,2,3,4]]`, 400, "1e999", nil},
	{"beyond float32", asJSON, `[[1e39,2,3,4]]`, 400, "1e39", nil},
	{"an identifier, not a measurement", asJSON, `[[1152921504606846976,2,3,4]]`, 400, "1152921504606846976", nil},
	{"exponent of a hundred digits", asJSON, `[[1e` + strings.Repeat("9", 100) + `,2,3,4]]`, 400, "", nil},
	{"three columns", asJSON, `[[1,2,3]]`, 400, "4", nil},
	{"five columns", asJSON, `{"instances":[[1,2,3,4,5]]}`, 400, "4", nil},
	{"ragged", asJSON, `[[1,2,3,4],[1,2,3]]`, 400, "", nil},
	{"ragged depth", asJSON, `[[1,2,3,4],1]`, 400, "", nil},
	{"too deep a row", asJSON, `[[[[1,2,3,4]]]]`, 400, "", nil},
	{"a bare number", asJSON, `7`, 400, "", nil},
	{"a string for a number", asJSON, `[["1",2,3,4]]`, 400, "", nil},
	{"true for a number", asJSON, `[[true,2,3,4]]`, 400, "", nil},
	{"null for a number", asJSON, `[[null,2,3,4]]`, 400, "NaN", nil},
	{"an object for a number", asJSON, `[[{},2,3,4]]`, 400, "", nil},
	{"null", asJSON, `null`, 400, "", nil},
	{"a string", asJSON, `"hello"`, 400, "", nil},
	{"no known key", asJSON, `{"rows":[[1,2,3,4]]}`, 400, "instances", nil},
	{"an input that the model has not", asJSON, `{"inputs":{"Y":[[1,2,3,4]]}}`, 400, "Y", nil},
	{"one input too many", asJSON, `{"inputs":{"X":[[1,2,3,4]],"Y":[[1]]}}`, 400, "Y", nil},
	{"instances that are no list", asJSON, `{"instances":7}`, 400, "byte 14", nil},
	{"an instance by a wrong name", asJSON, `{"instances":[{"Z":[1,2,3,4]}]}`, 400, "Z", nil},
	{"data frame without data", asJSON, `{"columns":["a","b","c","d"]}`, 400, "data", nil},
	{"data frame with too few columns", asJSON, `{"columns":["a","b"],"data":[[1,2]]}`, 400, "", nil},
	{"data frame whose rows disagree with its columns", asJSON, `{"columns":["a","b","c","d"],"data":[[1,2,3]]}`, 400, "", nil},
	{"V2: shape and data disagree", asJSON, `{"inputs":[{"name":"X","shape":[2,4],"datatype":"FP32","data":[1,2,3,4]}]}`, 400, "", nil},
	{"V2: a shape of terabytes", asJSON, `{"inputs":[{"name":"X","shape":[1000000000000,4],"datatype":"FP32","data":[1]}]}`, 400, "", nil},
	{"V2: a shape that overflows", asJSON, `{"inputs":[{"name":"X","shape":[4611686018427387904,4],"datatype":"FP32","data":[]}]}`, 400, "", nil},
	{"V2: negative shape", asJSON, `{"inputs":[{"name":"X","shape":[-1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, 400, "", nil},
	{"V2: unknown datatype", asJSON, `{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP33","data":[1,2,3,4]}]}`, 400, "FP33", nil},
	{"V2: unknown input", asJSON, `{"inputs":[{"name":"Q","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, 400, "Q", nil},
	{"V2: strings for numbers", asJSON, `{"inputs":[{"name":"X","shape":[1,4],"datatype":"BYTES","data":["1","2","3","4"]}]}`, 400, "", nil},
	{"V2: an output that the model has not", asJSON, `{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}],"outputs":[{"name":"nope"}]}`, 400, "nope", nil},

	// CSV
	{"a word for a number", asCSV, "5.1,3.5,x,0.2", 400, "x", nil},
	{"three cells", asCSV, "5.1,3.5,1.4", 400, "4", nil},
	{"five cells", asCSV, "5.1,3.5,1.4,0.2,1", 400, "4", nil},
	{"ragged lines", asCSV, "5.1,3.5,1.4,0.2\n5.1,3.5", 400, "line 2", nil},
	{"a header that was not announced", asCSV, "a,b,c,d\n5.1,3.5,1.4,0.2", 400, "line 1", nil},
	{"an open quote", asCSV, `"5.1,3.5,1.4,0.2`, 400, "", nil},
	{"text after a quote", asCSV, `"5.1"x,3.5,1.4,0.2`, 400, "", nil},
	{"semicolons", asCSV, "5.1;3.5;1.4;0.2", 400, "", nil},
	{"decimal comma", asCSV, "5,1,3,5,1,4,0,2", 400, "", nil},
	{"beyond float32 in CSV", asCSV, "1e39,3.5,1.4,0.2", 400, "1e39", nil},
	{"NUL bytes", asCSV, "\x00\x00,1,2,3", 400, "", nil},
	{"only a header", "text/csv; header=perhaps", aRow, 415, "header", nil},
	{"a label column", "text/csv; label_size=1", aRow, 415, "label_size", nil},

	// JSON Lines
	{"a broken line", asLines, "[1,2,3,4]\n[1,2", 400, "line 2", nil},
	{"a line too short", asLines, "[1,2,3,4]\n[1,2,3]", 400, "line 2", nil},
	{"a word as a line", asLines, "[1,2,3,4]\nhello", 400, "line 2", nil},

	// NPY and NPZ
	{"no NPY", asNPY, "hello, this is no array", 400, "", nil},
	{"NPY: truncated", asNPY, f4("1, 4", 15), 400, "", nil},
	{"NPY: bytes left over", asNPY, f4("1, 4", 17), 400, "", nil},
	{"NPY: header cut", asNPY, f4("1, 4", 16)[:20], 400, "", nil},
	{"NPY: a shape of terabytes", asNPY, f4("1000000000000, 4", 16), 400, "", nil},
	{"NPY: a shape that overflows", asNPY, f4("4611686018427387904, 4", 0), 400, "", nil},
	{"NPY: a pickle", asNPY, npyWith("|O", "1, 4", 16), 400, "object", nil},
	{"NPY: structured", asNPY, strings.Replace(f4("1, 4", 16), "'<f4'", "[('a', '<f4')]", 1), 400, "", nil},
	{"NPY: complex", asNPY, npyWith("<c8", "1, 4", 32), 400, "", nil},
	{"NPY: wrong shape", asNPY, f4("1, 5", 20), 400, "4", nil},
	{"NPY: strings", asNPY, npyWith("<U1", "1, 4", 16), 400, "", nil},
	{"NPY: version 9", asNPY, strings.Replace(f4("1, 4", 16), "\x01\x00", "\x09\x00", 1), 400, "", nil},
	{"no zip", asNPZ, "PK hello", 400, "", nil},
	{"NPZ: nothing inside", asNPZ, "PK\x05\x06" + strings.Repeat("\x00", 18), 400, "", nil},

	// media types and headers
	{"a type that is not read", "application/xml", "<x/>", 415, "application/xml", nil},
	{"no type at all", "nonsense", aRow, 415, "nonsense", nil},
	{"a broken type", "text/csv; header", aRow, 415, "", nil},
	{"another charset", "text/csv; charset=utf-16", aRow, 415, "utf-16", nil},
	{"an Accept that nothing answers", asCSV, aRow, 406, "image/png", []string{"Accept", "image/png"}},
	{"every type refused", asCSV, aRow, 406, "", []string{"Accept", "*/*;q=0"}},
	{"two outputs into one array", asCSV, aRow, 406, "x-npz", []string{"Accept", "application/x-npy"}},
	{"an inference id of 65 characters", asCSV, aRow, 400, "Inference-Id", []string{"X-Amzn-SageMaker-Inference-Id", strings.Repeat("x", 65)}},
	{"custom attributes of 1025 characters", asCSV, aRow, 400, "Custom-Attributes", []string{"X-Amzn-SageMaker-Custom-Attributes", strings.Repeat("x", 1025)}},
	{"custom attributes beyond ASCII", asCSV, aRow, 400, "Custom-Attributes", []string{"X-Amzn-SageMaker-Custom-Attributes", "k=\xe4"}},
	{"an attribute that asks for no output", asCSV, aRow, 400, "nope", []string{"X-Amzn-SageMaker-Custom-Attributes", "ort-outputs=nope"}},
	{"30 MB where 25 are allowed", asCSV, strings.Repeat("5.1,3.5,1.4,0.2\n", 30<<20/16), 413, "26214400", nil},
}

// badForTypes are refused by the identity of other types.
var badForTypes = map[string][]bad{
	"identity-int64": {
		{"a fraction for an integer", asJSON, `[[1.5,2,3]]`, 400, "1.5", nil},
		{"beyond int64", asJSON, `[[9223372036854775808,2,3]]`, 400, "9223372036854775808", nil},
		{"NaN for an integer", asJSON, `[["NaN",2,3]]`, 400, "NaN", nil},
		{"bare NaN for an integer", asJSON, `[[NaN,2,3]]`, 400, "NaN", nil},
		{"an empty cell for an integer", asCSV, "1,,3", 400, "", nil},
		{"nan for an integer", asCSV, "1,nan,3", 400, "nan", nil},
		{"a fraction for an integer in CSV", asCSV, "1,2.25,3", 400, "2.25", nil},
	},
	"identity-uint8": {
		{"300 for a byte", asJSON, `[[300,2,3]]`, 400, "300", nil},
		{"-1 for a byte", asCSV, "-1,2,3", 400, "-1", nil},
		{"a huge integer for a byte", asJSON, `[[1e300,2,3]]`, 400, "1e300", nil},
	},
	"identity-float64": {
		{"2^60 for a float", asJSON, `[[1152921504606846976,2,3]]`, 400, "1152921504606846976", nil},
		{"2^60 for a float in CSV", asCSV, "1152921504606846976,2,3", 400, "1152921504606846976", nil},
		{"an infinity by overflow", asCSV, "1e309,2,3", 400, "1e309", nil},
	},
	"identity-float16": {
		{"beyond float16", asJSON, `[[70000,2,3]]`, 400, "70000", nil},
	},
	"identity-bool": {
		{"2 for a truth value", asJSON, `[[2,true,false]]`, 400, "", nil},
		{"a word for a truth value", asCSV, "yes,true,false", 400, "yes", nil},
	},
	"identity-string": {
		{"a number for a string", asJSON, `[[1,"b","c"]]`, 400, "", nil},
		{"a lone surrogate", asJSON, `[["\ud800","b","c"]]`, 400, "", nil},
		{"invalid UTF-8", asJSON, "[[\"\xff\",\"b\",\"c\"]]", 400, "", nil},
		{"a broken escape", asJSON, `[["\x","b","c"]]`, 400, "", nil},
		{"invalid UTF-8 in CSV", asCSV, "\xff,b,c", 400, "", nil},
	},
	"multi": {
		{"one input missing", asJSON, `{"inputs":{"point":[[1,2]]}}`, 400, "radius", nil},
		{"inputs of different rows", asJSON, `{"inputs":{"point":[[1,2],[3,4]],"radius":[[1],[2],[3]]}}`, 400, "", nil},
		{"a bare list for two inputs", asJSON, `[[1,2,3]]`, 400, "radius", nil},
		{"V2: no inputs", asJSON, `{"inputs":[]}`, 400, "point", nil},
		{"one array for two inputs", asNPY, f4("1, 2", 8), 400, "x-npz", nil},
	},
}

func TestBadRequestsAreRefusedAndLeaveNoTrace(t *testing.T) {
	p := start(t, "serve", nil, iris)
	n := len(badForIris)
	for _, b := range badForIris {
		refuses(t, p, b)
		mustAnswer(t, p)
	}
	for model, list := range badForTypes {
		dir := "testdata/models/" + model
		e := readExpected(t, dir)
		good, _ := forms[2].body(e.Cases[0].Inputs)
		p := start(t, "serve", nil, dir)
		n += len(list)
		for _, b := range list {
			refuses(t, p, b)
			a := p.invoke(asJSON, good)
			if err := checkReply("inputs", e, e.Cases[0].Outputs, a); a.status != 200 || err != nil {
				t.Errorf("%s: after %s a good request got %d, %v: %s", model, b.what, a.status, err, a.body)
			}
		}
	}
	if n < 60 {
		t.Errorf("%d bad requests, want 60 or more", n)
	}
}

func refuses(t testing.TB, p *process, b bad) {
	t.Helper()
	a := p.invoke(b.contentType, b.body, b.headers...)
	if a.status != b.status || !strings.Contains(a.body, b.says) {
		t.Errorf("%s: %d, want %d with %q in it\n%.300s", b.what, a.status, b.status, b.says, a.body)
		return
	}
	checkErrorBody(t, a)
}

// What no HTTP client would send.
func TestBrokenHTTPIsRefusedAndLeavesNoTrace(t *testing.T) {
	p := start(t, "serve", nil, iris)
	for _, c := range []struct {
		what, text, reply string
		closeWrite        bool
	}{
		{"no HTTP", "hello\r\n\r\n", "HTTP/1.1 400", false},
		{"a wrong version", "GET /ping HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 505", false},
		{"no host", "GET /ping HTTP/1.1\r\n\r\n", "HTTP/1.1 400", false},
		{"a negative length", "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 400", false},
		{"a length that is no number", "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 400", false},
		{"two lengths", "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "HTTP/1.1 400", false},
		{"an unknown transfer coding", "POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501", false},
		{"a broken chunk", "POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", "HTTP/1.1 400", false},
		{"a body that ends early", "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\n5.1,3.5", "HTTP/1.1 400", true},
		{"a header without a colon", "POST /invocations HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", "HTTP/1.1 400", false},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, c.text)
		if c.closeWrite {
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		var reply bytes.Buffer
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		reply.Write(buf[:n])
		if !strings.HasPrefix(reply.String(), c.reply) {
			t.Errorf("%s: %.100q, %v; want %s", c.what, reply.String(), err, c.reply)
		}
		conn.Close()
		mustAnswer(t, p)
	}
}

// Many tiny chunks are a body like any other.
func TestAChunkedBodyOfSingleBytes(t *testing.T) {
	p := start(t, "serve", nil, iris)
	var b strings.Builder
	b.WriteString("POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
	for range 5000 {
		for _, c := range aRow + "\n" {
			fmt.Fprintf(&b, "1\r\n%c\r\n", c)
		}
	}
	b.WriteString("0\r\n\r\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, b.String())
	var reply bytes.Buffer
	if _, err := reply.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(reply.String(), "HTTP/1.1 200") || strings.Count(reply.String(), rowReply) != 5000 {
		t.Errorf("%.200s ... with %d rows", reply.String(), strings.Count(reply.String(), rowReply))
	}
}
