package codec

import "math"

// A resampler brings rows of pixels to another size as Pillow's Image.resize
// does, bit for bit: one axis after the other, with weights in fixed point and
// every result rounded to 8 bits, between the two as well.
type resampler struct {
	x, y      axis
	channels  int
	downFirst bool

	ring [][]uint8 // the last rows, resampled already unless downFirst
	sums []int32
}

// newResampler returns one for pixels of that many 8-bit channels.
func newResampler(x, y axis, channels int) *resampler {
	r := &resampler{x: x, y: y, channels: channels}
	// The order decides what is rounded. Pillow goes across first, and since
	// release 13 down first where that shortens the image by far more.
	r.downFirst = y.out < y.in && y.in-y.out > 2*(x.in-x.out)
	n := len(x.taps) * channels
	if r.downFirst {
		n = x.in * channels
	}
	r.sums = make([]int32, n)
	r.ring = make([][]uint8, y.most)
	for i := range r.ring {
		r.ring[i] = make([]uint8, n)
	}
	return r
}

// run reads rows of the source by row, which fills the slice that it is given,
// and hands those of the result to put, which must not keep them.
func (r *resampler) run(row func(dst []uint8, y int), put func(y int, row []uint8)) {
	out := make([]uint8, len(r.x.taps)*r.channels)
	whole := make([]uint8, r.x.in*r.channels) // a row as wide as the source
	next := 0
	for i, t := range r.y.taps {
		for next = max(next, t.first); next < t.first+t.n; next++ {
			to := r.ring[next%len(r.ring)]
			if r.downFirst {
				row(to, next)
			} else {
				row(whole, next)
				r.x.row(to, whole, r.channels)
			}
		}
		if r.downFirst {
			r.down(whole, i)
			r.x.row(out, whole, r.channels)
		} else {
			r.down(out, i)
		}
		put(i, out)
	}
}

// down makes the i-th row of the result.
func (r *resampler) down(dst []uint8, i int) {
	sums := r.sums
	for i := range sums {
		sums[i] = half
	}
	t := r.y.taps[i]
	for k, w := range r.y.weights[t.weight : t.weight+t.n] {
		src := r.ring[(t.first+k)%len(r.ring)][:len(sums)]
		for i, v := range src {
			sums[i] += int32(v) * w
		}
	}
	dst = dst[:len(sums)]
	for i, s := range sums {
		dst[i] = saturate(s >> weightBits)
	}
}

// An axis is what each pixel of the result is made of, along one axis.
type axis struct {
	in, out int // pixels of the source and of the whole result
	taps    []taps
	weights []int32 // of all taps one after the other
	most    int     // of taps' n
}

// taps are the source pixels of one pixel of the result.
type taps struct {
	first, n int
	weight   int // where the weights begin
}

// Weights have this many bits behind the point; half is one half in the sums.
const (
	weightBits = 22
	half       = 1 << (weightBits - 1)
)

// newAxis returns the axis that resizes in pixels to out, of which only n are
// wanted, from the one called from on.
func newAxis(in, out, from, n int, f *filter) axis {
	a := axis{in: in, out: out, taps: make([]taps, 0, n)}
	switch {
	case in == out:
		for i := range n {
			a.add(from+i, 1<<weightBits)
		}
	case f.at == nil:
		// Positions are sums as in Pillow, not products: their rounding decides.
		step := float64(in) / float64(out)
		at := step * 0.5
		for i := range from + n {
			if i >= from {
				a.add(min(int(at), in-1), 1<<weightBits)
			}
			at += step
		}
	default:
		a.filter(from, n, f)
	}
	return a
}

// filter adds the taps of n pixels, from the one called from on. The products
// are converted so that no machine fuses them with sums, which rounds otherwise.
func (a *axis) filter(from, n int, f *filter) {
	scale := float64(a.in) / float64(a.out)
	wide := max(scale, 1)
	support, narrow := float64(f.support*wide), 1/wide
	values := make([]float64, 0, 2*int(math.Ceil(support))+1)
	var weights []int32
	for i := from; i < from+n; i++ {
		center := float64((float64(i) + 0.5) * scale)
		first := int(max(center-support+0.5, 0))
		end := min(int(center+support+0.5), a.in)
		values = values[:0]
		sum := 0.0
		for x := first; x < end; x++ {
			v := f.at((float64(x) - center + 0.5) * narrow)
			values = append(values, v)
			sum += v
		}
		weights = weights[:0]
		for _, v := range values {
			if sum != 0 {
				v /= sum
			}
			weights = append(weights, int32(math.Copysign(0.5, v)+v*(1<<weightBits)))
		}
		a.add(first, weights...)
	}
}

func (a *axis) add(first int, weights ...int32) {
	a.taps = append(a.taps, taps{first: first, n: len(weights), weight: len(a.weights)})
	a.weights = append(a.weights, weights...)
	a.most = max(a.most, len(weights))
}

// row resamples one row.
func (a *axis) row(dst, src []uint8, channels int) {
	if channels == 1 {
		for i, t := range a.taps {
			s := int32(half)
			weights := a.weights[t.weight : t.weight+t.n]
			p := src[t.first:][:len(weights)]
			for k, w := range weights {
				s += int32(p[k]) * w
			}
			dst[i] = saturate(s >> weightBits)
		}
		return
	}
	for i, t := range a.taps {
		r, g, b := int32(half), int32(half), int32(half)
		weights := a.weights[t.weight : t.weight+t.n]
		p := src[3*t.first:][:3*len(weights)]
		for k, w := range weights {
			px := p[3*k : 3*k+3 : 3*k+3]
			r += int32(px[0]) * w
			g += int32(px[1]) * w
			b += int32(px[2]) * w
		}
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0], d[1], d[2] = saturate(r>>weightBits), saturate(g>>weightBits), saturate(b>>weightBits)
	}
}

// A filter weighs a source pixel by its distance from the middle of the result's
// one; at is nil for the nearest pixel alone.
type filter struct {
	support float64 // where at becomes 0 for good
	at      func(x float64) float64
}

// filters are Pillow's, by the names that clary.yaml has for them.
var filters = map[string]*filter{
	"nearest":  {},
	"box":      {0.5, box},
	"bilinear": {1, triangle},
	"bicubic":  {2, cubic},
	"lanczos":  {3, lanczos},
}

func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

func triangle(x float64) float64 { return max(1-math.Abs(x), 0) }

// cubic is Keys' with a = -0.5.
func cubic(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

func lanczos(x float64) float64 {
	if x < -3 || x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}
