package codec

import (
	"cmp"
	"fmt"
	"math"

	"github.com/claryhq/clary/runtime"
)

// An imageTensor is a model's input that is filled from a picture.
type imageTensor struct {
	info     runtime.Info
	options  *ImageOptions
	nhwc     bool
	bgr      bool
	channels int
	size     [2]int // height and width; 0: the picture's
	table    any    // what each value of each channel becomes
}

// newImageTensor prepares the only input of want; nil: uint8.
func newImageTensor(want []runtime.Info, o *ImageOptions) (*imageTensor, error) {
	t := &imageTensor{options: o, size: o.Size, info: runtime.Info{DType: runtime.Uint8, Shape: []int{-1, -1, -1, 3}}}
	switch {
	case want == nil:
	case len(want) != 1:
		return nil, errorf("image", "", "an image is one input, and the model has %d", len(want))
	case want[0].Kind != runtime.KindTensor || !want[0].DType.Float() && !want[0].DType.Integer():
		return nil, errorf("image", "", "the model's input %q takes no numbers, and an image is nothing else", want[0].Name)
	default:
		t.info = want[0]
	}
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("image options: %w", err)
	}
	dims := []int{-1, -1, -1}
	if n := len(t.info.Shape); n == 3 || n == 4 {
		copy(dims, t.info.Shape[n-3:])
	} else if !t.info.Unranked {
		return nil, errorf("image", "", "an image has the shape [N,3,height,width] or [N,height,width,3], and the model's input %q has %s", t.info.Name, shapeText(t.info.Shape, t.info.Dims))
	}
	channels, rows, columns := dims[0], dims[1], dims[2]
	if t.nhwc = o.nhwc(dims); t.nhwc {
		rows, columns, channels = dims[0], dims[1], dims[2]
	}
	if t.size[0] == 0 {
		t.size = [2]int{max(rows, 0), max(columns, 0)}
	}
	if o.Resize != "" && o.Resize != "stretch" && (t.size[0] == 0 || t.size[1] == 0) {
		return nil, fmt.Errorf("image options: resize: %s wants a size, and the model's input %q leaves it open: %s", o.Resize, t.info.Name, shapeText(t.info.Shape, t.info.Dims))
	}
	var err error
	if t.channels, t.bgr, err = o.colors(channels); err != nil {
		return nil, errorf("image", "", "the model's input %q of shape %s: %v", t.info.Name, shapeText(t.info.Shape, t.info.Dims), err)
	}
	t.table, err = o.table(t.info.DType, t.channels)
	return t, err
}

// fill returns the tensor that p becomes.
func (t *imageTensor) fill(p picture) (runtime.Tensor, error) {
	if t.channels == 1 {
		p = p.gray()
	}
	h, w := cmp.Or(t.size[0], p.height), cmp.Or(t.size[1], p.width)
	have := []int{1, t.channels, h, w}
	if t.nhwc {
		have = []int{1, h, w, t.channels}
	}
	shape, err := fitShape(nil, &t.info, have, false)
	if err != nil {
		return runtime.Tensor{}, errorf("image", "", "input %q: %v", t.info.Name, err)
	}
	out := runtime.Tensor{Name: t.info.Name, Shape: shape, Data: runtime.Make(t.info.DType, t.channels*h*w)}
	s := sink{imageTensor: t, from: p.channels, h: h, w: w}
	data, table := runtime.Bytes(out.Data), runtime.Bytes(t.table)
	switch t.info.DType.Size() {
	case 1:
		paint(&s, p, data, table)
	case 2:
		paint(&s, p, wordsOf[uint16](runtime.Uint16, data), wordsOf[uint16](runtime.Uint16, table))
	case 4:
		paint(&s, p, wordsOf[uint32](runtime.Uint32, data), wordsOf[uint32](runtime.Uint32, table))
	case 8:
		paint(&s, p, wordsOf[uint64](runtime.Uint64, data), wordsOf[uint64](runtime.Uint64, table))
	}
	return out, nil
}

// wordsOf views elements of any type as unsigned integers of their size.
func wordsOf[T uint16 | uint32 | uint64](d runtime.DType, b []byte) []T {
	s, _ := runtime.View(d, b).([]T)
	return s
}

// A sink is where the resized rows go.
type sink struct {
	*imageTensor
	from int // the rows' channels
	h, w int
}

// paint resizes p into dst, which has h rows of w pixels, by table.
func paint[T uint8 | uint16 | uint32 | uint64](s *sink, p picture, dst, table []T) {
	x, y := s.options.place(p.width, p.height, s.w, s.h)
	f := filters[cmp.Or(s.options.Filter, "bilinear")]
	if x.n < s.w || y.n < s.h {
		margin := make([]uint8, s.w*s.from)
		for i := range margin {
			margin[i] = uint8(s.options.Pad)
		}
		for i := range s.h {
			paintRow(s, dst, table, margin, 0, i)
		}
	}
	r := newResampler(newAxis(p.width, x.size, x.from, x.n, f), newAxis(p.height, y.size, y.from, y.n, f), p.channels)
	r.run(p.row, func(i int, row []uint8) { paintRow(s, dst, table, row, x.at, y.at+i) })
}

// paintRow writes a row of pixels from (x, y) on.
func paintRow[T any](s *sink, dst, table []T, row []uint8, x, y int) {
	n := len(row) / s.from
	for c := range s.channels {
		values := (*[256]T)(table[256*c:])
		from := 0 // where the channel stands in the row's pixels
		if s.from == 3 {
			from = c
			if s.bgr {
				from = 2 - c
			}
		}
		to, step := dst[(c*s.h+y)*s.w+x:], 1
		if s.nhwc {
			to, step = dst[(y*s.w+x)*s.channels+c:], s.channels
		}
		for i := range n {
			to[i*step] = values[row[i*s.from+from]]
		}
	}
}

// A placement is how one side of a picture comes to lie in the result's: it is
// resized to size, and n pixels of that, from the one called from on, stand at
// the result's pixel at and after.
type placement struct{ size, from, n, at int }

// place returns the placements of the columns and rows of a picture of pw x ph
// in a result of w x h.
func (o *ImageOptions) place(pw, ph, w, h int) (x, y placement) {
	switch o.Resize {
	case "crop":
		to := cmp.Or(o.ResizeTo, max(w, h))
		if pw <= ph {
			return cut(to, w), cut(to*ph/pw, h)
		}
		return cut(to*pw/ph, w), cut(to, h)
	case "pad":
		pr, r := float64(pw)/float64(ph), float64(w)/float64(h)
		nw, nh := w, h
		if pr > r {
			nh = max(1, int(math.RoundToEven(float64(ph)/float64(pw)*float64(w))))
		} else if pr < r {
			nw = max(1, int(math.RoundToEven(float64(pw)/float64(ph)*float64(h))))
		}
		return center(nw, w), center(nh, h)
	}
	return placement{size: w, n: w}, placement{size: h, n: h}
}

// cut takes n pixels from the middle of size.
func cut(size, n int) placement {
	return placement{size: size, from: int(math.RoundToEven(float64(size-n) / 2)), n: n}
}

// center puts size pixels in the middle of n.
func center(size, n int) placement {
	return placement{size: size, n: size, at: int(math.RoundToEven(float64(n-size) / 2))}
}
