package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// soak is how many random cases a differential test takes: with CLARY_SOAK=1
// ten times as many.
func soak(n int) int {
	if os.Getenv("CLARY_SOAK") == "1" {
		return 10 * n
	}
	return n
}

// read returns text as the one element of a tensor of type d, and checks that
// it is the same at the end of a body and in its midst, where other code reads
// it.
func read(t *testing.T, d runtime.DType, text string, g grammar) (any, refusal) {
	t.Helper()
	e, within := newElements(d, 1), newElements(d, 1)
	end, why := e.numbers([]byte(text), 0, g)
	if why == accepted && end != len(text) {
		why = notNumber
	}
	body := text + "," + strings.Repeat(" ", 50)
	endWithin, whyWithin := within.numbers([]byte(body), 0, g)
	if whyWithin == accepted && endWithin != len(text) {
		whyWithin = notNumber
	}
	a, b := e.finish(), within.finish()
	if why != whyWithin || !bytes.Equal(runtime.Bytes(a), runtime.Bytes(b)) {
		t.Fatalf("%v %s is %v (%d) alone and %v (%d) in a list", d, text, a, why, b, whyWithin)
	}
	return a, why
}

func TestTheTableOfPowersIsTenToTheQ(t *testing.T) {
	for q := minPower; q <= maxPower; q++ {
		// floor(10^q * 2^s) of exactly 128 bits.
		num, den := big.NewInt(1), big.NewInt(1)
		ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(q, -q))), nil)
		if q < 0 {
			den = ten
		} else {
			num = ten
		}
		s := 128 - (num.BitLen() - den.BitLen())
		want := new(big.Int)
		for ; want.BitLen() != 128; s-- {
			n, d := new(big.Int).Set(num), new(big.Int).Set(den)
			if s > 0 {
				n.Lsh(n, uint(s))
			} else {
				d.Lsh(d, uint(-s))
			}
			want.Quo(n, d)
		}
		p := powersOfTen[q-minPower]
		got := new(big.Int).SetUint64(p[0])
		got.Or(got.Lsh(got, 64), new(big.Int).SetUint64(p[1]))
		if got.Cmp(want) != 0 {
			t.Errorf("10^%d is %x in the table, %x in truth", q, got, want)
		}
	}
}

// checkAgainstStrconv reads text, which is not an integer beyond 2^53, as both
// of strconv's float types.
func checkAgainstStrconv(t *testing.T, text string) {
	t.Helper()
	data, why := read(t, runtime.Float64, text, loose)
	if want, err := strconv.ParseFloat(text, 64); (why != accepted) != (err != nil) || why == accepted && math.Float64bits(data.([]float64)[0]) != math.Float64bits(want) {
		t.Fatalf("float64 %s = %v (%d), strconv has %v", text, data, why, want)
	}
	data, why = read(t, runtime.Float32, text, loose)
	want, err := strconv.ParseFloat(text, 32)
	if (why != accepted) != (err != nil) || why == accepted && math.Float32bits(data.([]float32)[0]) != math.Float32bits(float32(want)) {
		t.Fatalf("float32 %s = %v (%d), strconv has %v", text, data, why, want)
	}
}

func TestFloatsAreReadAsStrconvReadsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		return string(b)
	}
	for i := range soak(40_000) {
		v := math.Float64frombits(r.Uint64())
		f := math.Float32frombits(r.Uint32())
		for _, x := range []float64{v, float64(f), r.Float64(), r.NormFloat64() * 100, float64(r.Float32())} {
			if x-x != 0 {
				continue
			}
			checkAgainstStrconv(t, strconv.FormatFloat(x, 'e', -1, 64))
			checkAgainstStrconv(t, strconv.FormatFloat(x, 'e', r.IntN(25), 64))
			if math.Abs(x) < 1e6 {
				checkAgainstStrconv(t, strconv.FormatFloat(x, 'f', r.IntN(20)+1, 64))
			}
		}
		checkAgainstStrconv(t, digits(r.IntN(9)+1)+"."+digits(r.IntN(26)+1))
		checkAgainstStrconv(t, fmt.Sprintf("-1%s.%se%d", digits(r.IntN(22)), digits(r.IntN(22)+1), r.IntN(100)-50))
		// Midpoints of float32 and their nearest surroundings, in full.
		if mid := (float64(f) + float64(math.Nextafter32(f, 0))) / 2; mid-mid == 0 && i%8 == 0 {
			exact := strconv.FormatFloat(math.Abs(mid), 'f', 160, 64)
			checkAgainstStrconv(t, exact)
			checkAgainstStrconv(t, exact+"1")
			checkAgainstStrconv(t, exact+strings.Repeat("0", 30)+"1")
			below := []byte(strings.TrimRight(exact, "0"))
			if last := len(below) - 1; below[last] >= '1' && below[last] <= '9' {
				below[last]--
				checkAgainstStrconv(t, string(below)+"9999999999999999999999999999999")
			}
		}
	}
}

func TestHardFloatsAreReadAsStrconvReadsThem(t *testing.T) {
	for _, text := range []string{
		"0", "-0", "0.0", "-0.0e5", "1e-400", "-1e-400", "1e400", "1e-45", "7e-46", "7.006492321624085e-46", "7.0064923216240853e-46",
		"7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319094181060791015625e-46",
		"7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319094181060791015626e-46",
		"2.2250738585072011e-308", "2.2250738585072014e-308", "4.9e-324", "2.4703282292062328e-324", "2.4703282292062327e-324",
		"1.7976931348623157e308", "1.7976931348623159e308", "3.4028235e38", "3.4028235677973366e38", "3.4028235677973365e38",
		"9007199254740993.0", "9007199254740992.999999999999999999", "16777217", "0.50000002980232238769531250", "0.5000000298023223876953125", "1.00000017881393432617187", "1.000000178813934326171875",
		"16777217.0000000000000000000000000000001",
		"16777216.999999999999999999999999999999999", "1.00000005960464477539062500000000000000000000000000001",
		"1.000000059604644775390625", "6250000000000000000000000000000000e-12", "8.5e-46", "1e23", "8.589973e9", "0.000000000000000000000000000000000000000000001",
		"100000000000000000000000000000000000000.", "123456789012345678901234567890.", "0." + strings.Repeat("0", 5000) + "1e5000",
		strings.Repeat("9", 3000) + "e-2990", "1" + strings.Repeat("0", 400) + "e-400", "1e99999999999999999999", "1e-99999999999999999999",
		"0e99999999999999999999", "0." + strings.Repeat("3", 10000), "1152921504606846976.0", "9223372036854775807.", "18446744073709551616e0",
		"7450580596923828125e-27", "45035996273704985e-1", "4503599627370498.5",
	} {
		if len(text) > 800 {
			checkAgainstRat(t, text)
		} else {
			checkAgainstStrconv(t, text)
		}
	}
}

func TestSmallFloatsAreRoundedOnceFromTheText(t *testing.T) {
	type round struct {
		d     runtime.DType
		value func(bits uint16) float64
		n     int
	}
	for _, c := range []round{
		{runtime.Float16, func(b uint16) float64 { return float64(runtime.F16(b).Float32()) }, 0x7bff},
		{runtime.BFloat16, func(b uint16) float64 { return float64(runtime.BF16(b).Float32()) }, 0x7f7f},
		{runtime.Float8E4M3FN, func(b uint16) float64 { return float64(runtime.F8E4M3FN(b).Float32()) }, 0x7e},
		{runtime.Float8E4M3FNUZ, func(b uint16) float64 { return float64(runtime.F8E4M3FNUZ(b).Float32()) }, 0x7f},
		{runtime.Float8E5M2, func(b uint16) float64 { return float64(runtime.F8E5M2(b).Float32()) }, 0x7b},
		{runtime.Float8E5M2FNUZ, func(b uint16) float64 { return float64(runtime.F8E5M2FNUZ(b).Float32()) }, 0x7f},
	} {
		for b := 0; b < c.n; b += 1 + c.n/3000 {
			low, high := c.value(uint16(b)), c.value(uint16(b+1))
			mid := strconv.FormatFloat((low+high)/2, 'f', 160, 64) // exact
			even := low
			if b%2 == 1 {
				even = high
			}
			below := "0"
			if i := strings.LastIndexAny(mid, "123456789"); i >= 0 {
				below = mid[:i] + string(mid[i]-1) + strings.ReplaceAll(mid[i+1:], "0", "9")
			}
			for text, want := range map[string]float64{mid: even, mid + strings.Repeat("0", 50) + "1": high, below: low} {
				got, why := read(t, c.d, text, loose)
				back, _ := Convert(runtime.Float64, got)
				if why != accepted || back.([]float64)[0] != want {
					t.Fatalf("%v %s = %v (%d), want %v", c.d, text, back, why, want)
				}
			}
		}
	}
}

func TestIntegersAreExactOrRefused(t *testing.T) {
	cases := []struct {
		d    runtime.DType
		text string
		want string // empty: refused
	}{
		{runtime.Int64, "9223372036854775807", "9223372036854775807"}, {runtime.Int64, "9223372036854775808", ""},
		{runtime.Int64, "-9223372036854775808", "-9223372036854775808"}, {runtime.Int64, "-9223372036854775809", ""},
		{runtime.Int64, "9007199254740993", "9007199254740993"}, {runtime.Int64, "9223372036854775807.0", "9223372036854775807"},
		{runtime.Int64, "922337203685477580.7e1", "9223372036854775807"}, {runtime.Int64, "9223372036854775807.5", ""},
		{runtime.Uint64, "18446744073709551615", "18446744073709551615"}, {runtime.Uint64, "18446744073709551616", ""},
		{runtime.Uint64, "18446744073709551615.00000", "18446744073709551615"}, {runtime.Uint64, "18446744073709551615.00001", ""},
		{runtime.Uint64, "184467440737095516150e-1", "18446744073709551615"}, {runtime.Uint64, "184467440737095516151e-1", ""},
		{runtime.Uint64, "0.18446744073709551615e20", "18446744073709551615"}, {runtime.Uint64, "18446744073709551610", "18446744073709551610"},
		{runtime.Uint64, "99999999999999999999", ""}, {runtime.Uint64, "-0", "0"}, {runtime.Uint64, "-1", ""}, {runtime.Uint64, "1e19", "10000000000000000000"},
		{runtime.Uint64, "2e19", ""}, {runtime.Uint64, "1e99999999999999999", ""}, {runtime.Uint64, "0e99999999999999999", "0"}, {runtime.Uint64, "1e-99999999999999999", ""},
		{runtime.Int64, "0.5e1", "5"}, {runtime.Int64, "100e-2", "1"}, {runtime.Int64, "101e-2", ""}, {runtime.Int64, "0." + strings.Repeat("0", 30) + "1e31", "1"},
		{runtime.Int64, "1" + strings.Repeat("0", 30) + "e-30", "1"}, {runtime.Int64, "1" + strings.Repeat("0", 30) + "1e-30", ""},
		{runtime.Int8, "-128", "-128"}, {runtime.Int8, "128", ""}, {runtime.Int8, "-129", ""}, {runtime.Int16, "32767", "32767"}, {runtime.Int16, "32768", ""},
		{runtime.Int32, "-2147483648", "-2147483648"}, {runtime.Int32, "2147483648", ""}, {runtime.Uint8, "255", "255"}, {runtime.Uint8, "256", ""},
		{runtime.Uint16, "65535", "65535"}, {runtime.Uint16, "65536", ""}, {runtime.Uint32, "4294967295", "4294967295"}, {runtime.Uint32, "4294967296", ""},
		{runtime.Bool, "0", "false"}, {runtime.Bool, "1", "true"}, {runtime.Bool, "1.0", "true"}, {runtime.Bool, "2", ""}, {runtime.Bool, "-1", ""}, {runtime.Bool, "0.5", ""},
	}
	for _, c := range cases {
		data, why := read(t, c.d, c.text, strict)
		got := ""
		if why == accepted {
			got = string(appendNumbers(nil, data, 0, 1))
		}
		if got != c.want {
			t.Errorf("%v %s = %q, want %q", c.d, c.text, got, c.want)
		}
	}
}

func TestRandomIntegersAgreeWithBigArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range soak(50_000) {
		digits := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10) + strings.Repeat("0", r.IntN(3))
		if r.IntN(4) == 0 {
			digits += strconv.Itoa(r.IntN(1000))
		}
		point, exp := r.IntN(len(digits)), r.IntN(50)-25
		text := digits[:point+1]
		if point+1 < len(digits) {
			text += "." + digits[point+1:]
		}
		text += "e" + strconv.Itoa(exp)
		want, _ := new(big.Rat).SetString(text)
		if digits[0] == '0' {
			continue
		}
		data, why := read(t, runtime.Uint64, text, strict)
		fits := want.IsInt() && want.Num().IsUint64()
		if fits != (why == accepted) || fits && data.([]uint64)[0] != want.Num().Uint64() {
			t.Fatalf("uint64 %s = %v (%d), want %v", text, data, why, want)
		}
	}
}

func TestGrammars(t *testing.T) {
	for _, c := range []struct {
		text          string
		strict, loose bool
	}{
		{"0", true, true}, {"-0", true, true}, {"10", true, true}, {"1.5e+3", true, true}, {"1E3", true, true}, {"0.00", true, true},
		{"+1", false, true}, {"007", false, true}, {"-01", false, true}, {".5", false, true}, {"5.", false, true}, {"-.5e1", false, true},
		{"", false, false}, {"-", false, false}, {".", false, false}, {"e5", false, false}, {"1e", false, false}, {"1e+", false, false},
		{"--1", false, false}, {"0x10", false, false}, {"1_000", false, false}, {"NaN", false, false}, {"1.2.3", false, false}, {"１", false, false},
	} {
		if _, end := scanNumber([]byte(c.text), 0, strict); (end == len(c.text) && end > 0) != c.strict {
			t.Errorf("strict %q ends at %d", c.text, end)
		}
		if _, end := scanNumber([]byte(c.text), 0, loose); (end == len(c.text) && end > 0) != c.loose {
			t.Errorf("loose %q ends at %d", c.text, end)
		}
	}
}

// What is written reads back as the same bits, and is what encoding/json
// writes where that needs no rule of ours.
func TestFloatsAreWrittenShortest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	check := func(v float64, f float32) {
		t.Helper()
		if v-v == 0 {
			text := string(appendFloat64(nil, v))
			if back, why := read(t, runtime.Float64, text, strict); why != accepted || math.Float64bits(back.([]float64)[0]) != math.Float64bits(v) {
				t.Fatalf("%v was written %s, which reads %v (%d)", v, text, back, why)
			}
			if want, _ := json.Marshal(v); math.Abs(v) <= 1<<53 && v != 0 && text != string(want) {
				t.Fatalf("%v was written %s, encoding/json writes %s", v, text, want)
			}
		}
		if f-f == 0 {
			text := string(appendFloat32(nil, f))
			if back, why := read(t, runtime.Float32, text, strict); why != accepted || math.Float32bits(back.([]float32)[0]) != math.Float32bits(f) {
				t.Fatalf("%v was written %s, which reads %v (%d)", f, text, back, why)
			}
			if want, _ := json.Marshal(f); math.Abs(float64(f)) <= 1<<53 && f != 0 && text != string(want) {
				t.Fatalf("%v was written %s, encoding/json writes %s", f, text, want)
			}
		}
	}
	for range soak(50_000) {
		check(math.Float64frombits(r.Uint64()), math.Float32frombits(r.Uint32()))
		check(r.Float64(), r.Float32())
		n, k := float64(r.IntN(2e9)-1e9), math.Pow(10, float64(r.IntN(9)))
		check(n/k, float32(n/k))
		check(n*k, float32(n*k))
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 1e-6, 9.999999e-7, 1e-7, 1 << 53, 1<<53 + 2, 1e21, 1e-300, 1e300, 0.1, 0.000001, 123456.654321,
		999999999.999999, 1e9 + 0.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.MaxFloat32, math.SmallestNonzeroFloat32, 16777216, 16777217} {
		check(v, float32(v))
		check(-v, float32(-v))
	}
	for text, v := range map[string]float64{"0": 0, "-0.0": math.Copysign(0, -1), "NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)} {
		if got := string(appendFloat64(nil, v)) + string(appendFloat32(nil, float32(v))); got != text+text {
			t.Errorf("%v is written %s", v, got)
		}
	}
}
