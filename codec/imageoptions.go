package codec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// ImageOptions say how an image becomes a model's input. The zero value takes
// layout, size and channels from the input's shape and stretches the image to
// it, with values from 0 to 1 for an input of floats and from 0 to 255 else.
type ImageOptions struct {
	// Layout is "nchw" or "nhwc"; "": where the input has 3 or 1 channels, nchw
	// if it does not tell.
	Layout string
	// Size is the height and width to resize to; zero: the input's, or where it
	// leaves them open the image's own.
	Size [2]int
	// Resize is how an image of another shape is brought to Size: "stretch"
	// (or "") it; "crop", as torchvision's Resize(ResizeTo) and
	// CenterCrop(Size): bring its shorter side to ResizeTo and cut Size out of
	// the middle; "pad", as Pillow's ImageOps.pad: fit it in whole, centered
	// between margins of the value Pad.
	Resize string
	// ResizeTo is crop's; 0: the greater of Size.
	ResizeTo int
	// Pad is pad's value for each channel, 0 to 255, before Scale.
	Pad int
	// Filter is Pillow's "bilinear" (or ""), "bicubic", "lanczos", "box" or
	// "nearest", with antialiasing as Pillow's Image.resize does it.
	Filter string
	// Color is "rgb", "bgr" or "gray"; "": rgb, gray for an input of one channel.
	Color string
	// Each value v from 0 to 255 becomes (v*Scale - Mean) / Std in double
	// precision, rounded once to the input's type. Scale 0 is 1/255 for floats and
	// 1 for integers. Mean and Std have a value for each channel in the
	// tensor's order, or one for all; none is 0 and 1.
	Scale     float64
	Mean, Std []float64
	// MaxPixels bounds the images that are read; 0: 50,000,000. The pixels of an
	// image that is being read take up to 16 bytes each, in most images 2 to 4.
	MaxPixels int
}

func (o *ImageOptions) maxPixels() int { return cmp.Or(o.MaxPixels, 50_000_000) }

// Check reports what no model could make use of, by the name of the setting.
func (o *ImageOptions) Check() error {
	for _, c := range []struct {
		name, value string
		known       []string
	}{
		{"layout", o.Layout, []string{"nchw", "nhwc"}},
		{"resize", o.Resize, []string{"stretch", "crop", "pad"}},
		{"filter", o.Filter, slices.Sorted(maps.Keys(filters))},
		{"color", o.Color, []string{"rgb", "bgr", "gray"}},
	} {
		if c.value != "" && !slices.Contains(c.known, c.value) {
			return fmt.Errorf("%s is one of %s, not %q", c.name, strings.Join(c.known, ", "), c.value)
		}
	}
	switch h, w := o.Size[0], o.Size[1]; {
	case (h != 0 || w != 0) && (h < 1 || w < 1 || h > maxSide || w > maxSide):
		return fmt.Errorf("size is height and width, each from 1 to %d, not %d and %d", maxSide, h, w)
	case o.ResizeTo != 0 && o.Resize != "crop":
		return fmt.Errorf("resize_to belongs to resize: crop")
	case o.ResizeTo != 0 && (o.ResizeTo < max(h, w) || o.ResizeTo > maxSide):
		return fmt.Errorf("resize_to is from the greater of size to %d, not %d", maxSide, o.ResizeTo)
	case o.Pad != 0 && o.Resize != "pad":
		return fmt.Errorf("pad belongs to resize: pad")
	case o.Pad < 0 || o.Pad > 255:
		return fmt.Errorf("pad is from 0 to 255, not %d", o.Pad)
	case o.MaxPixels < 0:
		return fmt.Errorf("max_pixels is at least 1, not %d", o.MaxPixels)
	}
	for _, c := range []struct {
		name   string
		values []float64
	}{{"mean", o.Mean}, {"std", o.Std}} {
		if n := len(c.values); n > 1 && n != 3 {
			return fmt.Errorf("%s has a value for each channel, 3, or one for all, not %d", c.name, n)
		}
	}
	if slices.Contains(o.Std, 0) {
		return fmt.Errorf("std holds 0, by which nothing can be divided")
	}
	return nil
}

// layout returns which of an input's last three dimensions are channels, rows
// and columns, for one of the shape dims, which has only those.
func (o *ImageOptions) nhwc(dims []int) bool {
	if o.Layout != "" {
		return o.Layout == "nhwc"
	}
	isChannels := func(n int) bool { return n == 1 || n == 3 }
	return isChannels(dims[2]) && !isChannels(dims[0])
}

// colors returns how many channels the pixels have and whether red is the last
// of them. have is the input's dimension, -1 if that is open.
func (o *ImageOptions) colors(have int) (channels int, bgr bool, err error) {
	channels = 3
	if o.Color == "gray" || o.Color == "" && have == 1 {
		channels = 1
	}
	if have >= 0 && have != channels {
		return 0, false, fmt.Errorf("%d channels where the image has %d", have, channels)
	}
	return channels, o.Color == "bgr", nil
}

// table returns what each value of each channel becomes, 256 for a channel.
func (o *ImageOptions) table(d runtime.DType, channels int) (any, error) {
	scale := o.Scale
	if scale == 0 && d.Float() {
		scale = 1. / 255
	} else if scale == 0 {
		scale = 1
	}
	values := make([]float64, 0, 256*channels)
	for c := range channels {
		mean, err := perChannel("mean", o.Mean, c, channels, 0)
		if err != nil {
			return nil, err
		}
		std, err := perChannel("std", o.Std, c, channels, 1)
		if err != nil {
			return nil, err
		}
		for v := range 256 {
			values = append(values, (float64(float64(v)*scale)-mean)/std) // not fused: the same on every machine
		}
	}
	table, err := Convert(d, values)
	if err != nil {
		return nil, fmt.Errorf("the image's values after scale, mean and std, %w", err)
	}
	return table, nil
}

func perChannel(name string, values []float64, c, channels int, none float64) (float64, error) {
	switch len(values) {
	case 0:
		return none, nil
	case 1:
		return values[0], nil
	case channels:
		return values[c], nil
	}
	return 0, fmt.Errorf("the image option %s has %d values for %d channels", name, len(values), channels)
}
