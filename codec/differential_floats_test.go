package codec

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// nextUp returns the float64 above a positive v; above the largest the power of
// two that would be next.
func nextUp(v float64) *big.Float {
	if v == math.MaxFloat64 {
		return new(big.Float).SetMantExp(big.NewFloat(1), 1024)
	}
	return big.NewFloat(math.Nextafter(v, math.Inf(1)))
}

// halfway returns all digits of the number halfway between a positive v and the
// next float64, and the exponent of the first.
func halfway(v float64) (digits string, exp int) {
	sum := new(big.Float).SetPrec(1200).Add(new(big.Float).SetPrec(1200).SetFloat64(v), nextUp(v))
	text := sum.SetMantExp(sum, -1).Text('e', 800) // a float64's has at most 768 digits
	mantissa, e, _ := strings.Cut(text, "e")
	if _, err := fmt.Sscan(e, &exp); err != nil {
		panic(err)
	}
	return strings.TrimRight(strings.Replace(mantissa, ".", "", 1), "0"), exp
}

// around returns texts of the number with those digits, and of its nearest
// neighbours on both sides, written in several ways.
func around(r *rand.Rand, digits string, exp int) []string {
	last := digits[len(digits)-1]
	below := digits[:len(digits)-1] + string(last-1)
	numbers := []string{digits, digits + "1", digits + strings.Repeat("0", r.IntN(60)) + "1", digits + strings.Repeat("0", 900) + "1",
		below + "9", below + strings.Repeat("9", r.IntN(60)+1), below + strings.Repeat("9", 900), digits + "000"}
	if cut := r.IntN(len(digits)) + 1; cut < len(digits) {
		numbers = append(numbers, digits[:cut], digits[:cut]+"9", digits[:min(17, cut)], digits[:min(19, cut)], digits[:min(20, cut)])
	}
	texts := make([]string, 0, 3*len(numbers))
	for _, d := range numbers {
		point := r.IntN(len(d)) + 1
		texts = append(texts, fmt.Sprintf("%s.%se%d", d[:point], d[point:]+"0", exp-point+1))
		texts = append(texts, fmt.Sprintf("-%se%d", d, exp-len(d)+1))
		if exp < 0 && exp > -40 {
			texts = append(texts, "0."+strings.Repeat("0", -exp-1)+d)
		}
	}
	return texts
}

// checkAgainstRat reads text as a float64 and a float32 and compares with
// exact arithmetic: strconv is wrong about more than 800 digits in front of a
// point.
func checkAgainstRat(t *testing.T, text string) {
	t.Helper()
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%s is no number", text)
	}
	want64, _ := exact.Float64()
	want32, _ := exact.Float32()
	if text[0] == '-' { // zero too
		want64, want32 = math.Copysign(want64, -1), float32(math.Copysign(float64(want32), -1))
	}
	data, why := read(t, runtime.Float64, text, loose)
	if got := data.([]float64); (why == outOfRange) != math.IsInf(want64, 0) || why == accepted && math.Float64bits(got[0]) != math.Float64bits(want64) {
		t.Fatalf("float64 %s = %v (%d), want %v", text, got, why, want64)
	}
	data, why = read(t, runtime.Float32, text, loose)
	if got := data.([]float32); (why == outOfRange) != math.IsInf(float64(want32), 0) || why == accepted && math.Float32bits(got[0]) != math.Float32bits(want32) {
		t.Fatalf("float32 %s = %v (%d), want %v", text, got, why, want32)
	}
}

// The numbers halfway between two float64, and those a digit away from them,
// are the hardest to round.
func TestHalvesAreRoundedExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	values := []float64{math.SmallestNonzeroFloat64, math.MaxFloat64, 0x1p-1022, math.Nextafter(0x1p-1022, 0), 1, 0x1p52, 0x1p53, 0x1p-1074 * 3, 1e23, 8.5e22}
	for range soak(400) {
		bits := r.Uint64N(0x7ff0_0000_0000_0000)
		switch r.IntN(4) {
		case 0:
			bits &^= 1<<52 - 1 // a power of two
		case 1:
			bits |= 1<<52 - 1 // the one below
		case 2:
			bits >>= 11 + r.IntN(52) // subnormal
		}
		if bits > 0 {
			values = append(values, math.Float64frombits(bits))
		}
	}
	for _, v := range values {
		digits, exp := halfway(v)
		for _, text := range around(r, digits, exp) {
			checkAgainstRat(t, text)
		}
	}
	// Half the smallest is a tie with zero.
	half := new(big.Float).SetPrec(1200).SetMantExp(big.NewFloat(1), -1075).Text('e', 800)
	checkAgainstRat(t, half)
	checkAgainstRat(t, strings.Replace(half, "e", "1e", 1))
}

// Of all numbers of at most 19 digits those come closest to a half whose
// quotient by it is a convergent of the powers' quotient.
func TestNearHalvesAreReadAsStrconvReadsThem(t *testing.T) {
	step := 15
	if soak(1) > 1 {
		step = 1
	}
	found := 0
	for q := -340; q <= 308; q += step {
		for e := -1100; e <= 1000; e++ {
			// w * 10^q is nearly p * 2^e where p/w is nearly 10^q / 2^e.
			if log := float64(q)*math.Log2(10) - float64(e); log > 54 || log < -10 {
				continue
			}
			num, den := big.NewInt(1), big.NewInt(1)
			ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(q, -q))), nil)
			if q >= 0 {
				num.Mul(num, ten)
			} else {
				den.Mul(den, ten)
			}
			if e >= 0 {
				den.Lsh(den, uint(e))
			} else {
				num.Lsh(num, uint(-e))
			}
			for p, w := range convergents(num, den) {
				if p.Bit(0) == 0 || p.BitLen() != 54 || w.BitLen() > 63 || w.Sign() == 0 { // p is 53 bits and a half
					continue
				}
				for d := int64(-1); d <= 1; d++ {
					checkAgainstStrconv(t, fmt.Sprintf("%de%d", w.Int64()+d, q))
					checkAgainstStrconv(t, fmt.Sprintf("%d.0e%d", w.Int64()+d, q))
					checkAgainstStrconv(t, fmt.Sprintf("%d00000000000000000001e%d", w.Int64()+d, q-20))
				}
				found++
			}
		}
	}
	if found < 500 {
		t.Fatalf("only %d near halves were found", found)
	}
}

// convergents yields the best approximations of num/den.
func convergents(num, den *big.Int) func(yield func(p, w *big.Int) bool) {
	return func(yield func(p, w *big.Int) bool) {
		a, b := new(big.Int).Set(num), new(big.Int).Set(den)
		p0, p1, w0, w1 := big.NewInt(0), big.NewInt(1), big.NewInt(1), big.NewInt(0)
		for b.Sign() != 0 && p1.BitLen() <= 54 && w1.BitLen() <= 64 {
			quotient, rest := new(big.Int).QuoRem(a, b, new(big.Int))
			p0, p1 = p1, p0.Add(p0, new(big.Int).Mul(quotient, p1))
			w0, w1 = w1, w0.Add(w0, new(big.Int).Mul(quotient, w1))
			if !yield(p1, w1) {
				return
			}
			a, b = b, rest
		}
	}
}

// checkShortest compares text, what is written for v, with the shortest that
// strconv writes for that many bits.
func checkShortest(t *testing.T, v float64, bits int, text string) {
	t.Helper()
	want := strconv.FormatFloat(v, 'e', -1, bits)
	digits := func(text string) string {
		m, _, _ := strings.Cut(text, "e")
		return strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(m), "0")
	}
	got, ok := new(big.Rat).SetString(text)
	wanted, _ := new(big.Rat).SetString(want)
	if !ok {
		t.Fatalf("%s is written %s", want, text)
	}
	if got.Cmp(wanted) == 0 && math.Signbit(v) == (text[0] == '-') {
		return
	}
	// Exactly between two of the same length ours is the even one.
	exact := new(big.Rat).SetFloat64(v)
	above, below := new(big.Rat).Sub(got, exact), new(big.Rat).Sub(exact, wanted)
	if d := digits(text); above.Cmp(below) != 0 || len(d) != len(digits(want)) || d[len(d)-1]%2 == 1 {
		t.Fatalf("%d bits: %s is written %s", bits, want, text)
	}
}

func TestFloatsOfEveryExponentAreWrittenAsStrconvDoes(t *testing.T) {
	check := func(v float64, f float32) {
		t.Helper()
		if v-v == 0 {
			checkShortest(t, v, 64, string(appendFloat64(nil, v)))
		}
		if f-f == 0 {
			checkShortest(t, float64(f), 32, string(appendFloat32(nil, f)))
		}
	}
	r := rand.New(rand.NewPCG(9, 10))
	for e := range uint64(2047) { // powers of two and their neighbours: there the spacing changes
		for d := range uint64(5) {
			check(math.Float64frombits((e<<52+d-2)&^(1<<63)), math.Float32frombits(uint32(e&0xff<<23+d-2)&^(1<<31)))
		}
	}
	for q := -45; q <= 310; q++ { // powers of ten
		v, _ := strconv.ParseFloat("1e"+strconv.Itoa(q), 64)
		for range 5 {
			check(v, float32(v))
			check(v*3, math.Nextafter32(float32(v), float32(r.IntN(2))))
			v = math.Nextafter(v, math.Inf(r.IntN(2)*2-1))
		}
	}
	for range soak(100_000) {
		check(math.Float64frombits(r.Uint64()), math.Float32frombits(r.Uint32()))
		// Around 1, where what models say lies, and with few digits.
		check(math.Float64frombits(r.Uint64N(80<<52)+980<<52), math.Float32frombits(r.Uint32N(80<<23)+80<<23))
		check(float64(r.Uint64N(1e16))/math.Pow10(r.IntN(23)), float32(r.Uint64N(1e8))/float32(math.Pow10(r.IntN(11))))
	}
}
