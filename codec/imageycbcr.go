package codec

import "image"

// newYCbCrRows returns what makes rows of red, green and blue from luma and
// chroma. Chroma is upsampled, and colors are computed, with the arithmetic of
// the libraries that Pillow decodes with: libjpeg-turbo's "fancy upsampling"
// and libwebp's. The standard library's image.YCbCr repeats chroma samples,
// which moves a photograph's pixels by one level on average and some by more
// than thirty, and knows nothing of WebP's narrower range of values.
func newYCbCrRows(img *image.YCbCr, webp bool) func(dst []uint8, y int) {
	w := img.Rect.Dx()
	u := chroma{cb: img.Cb, cr: img.Cr, stride: img.CStride, webp: webp}
	u.stepX, u.stepY = subsampling(img.SubsampleRatio)
	u.width, u.height = (w+u.stepX-1)/u.stepX, (img.Rect.Dy()+u.stepY-1)/u.stepY
	u.sums = make([]int32, u.width)
	blue, red := make([]uint8, u.width*u.stepX), make([]uint8, u.width*u.stepX)
	colors := jpegColors
	if webp {
		colors = webpColors
	}
	return func(dst []uint8, y int) {
		u.row(blue, u.cb, y)
		u.row(red, u.cr, y)
		colors(dst, img.Y[y*img.YStride:][:w], blue, red)
	}
}

// subsampling returns how many pixels share a chroma sample across and down.
func subsampling(r image.YCbCrSubsampleRatio) (x, y int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// chroma upsamples the two planes of an image's chroma.
type chroma struct {
	cb, cr        []uint8
	stride        int
	width, height int // of a plane, in samples
	stepX, stepY  int // pixels that share a sample
	webp          bool
	sums          []int32
}

// row fills dst with the samples for each pixel of row y.
func (u *chroma) row(dst, plane []uint8, y int) {
	near, far := y/u.stepY, y/u.stepY
	if u.stepY == 2 && y%2 == 0 {
		far = max(near-1, 0)
	} else if u.stepY == 2 {
		far = min(near+1, u.height-1)
	}
	a := plane[near*u.stride:][:u.width]
	b := plane[far*u.stride:][:u.width]
	switch {
	case u.webp:
		webpChroma(dst, a, b)
	case u.stepX == 1 && u.stepY == 1:
		copy(dst, a)
	case u.stepX == 1:
		weigh(dst, a, b, 1+y%2)
	case u.stepX == 2 && u.width > 2:
		u.widen(dst, a, b)
	default: // libjpeg interpolates neither other ratios nor the narrowest images
		for i := range dst {
			dst[i] = a[i/u.stepX]
		}
	}
}

// weigh takes three parts of a and one of b.
func weigh(dst, a, b []uint8, round int) {
	for i := range dst {
		dst[i] = uint8((3*int(a[i]) + int(b[i]) + round) >> 2)
	}
}

// widen doubles a row: each pixel takes three parts of its own sample and one
// of the next nearest, after the same has been done for the rows a and b where
// they share samples too. Halves are rounded up and down by turns.
func (u *chroma) widen(dst, a, b []uint8) {
	s, left, right := u.sums, int32(8), int32(7)
	if u.stepY == 1 {
		left, right = 4, 8
		for i := range s {
			s[i] = 4 * int32(a[i])
		}
	} else {
		for i := range s {
			s[i] = 3*int32(a[i]) + int32(b[i])
		}
	}
	before, v := s[0], s[0]
	for i, after := range s[1:] {
		d := dst[2*i : 2*i+2 : 2*i+2]
		d[0], d[1] = uint8((3*v+before+left)>>4), uint8((3*v+after+right)>>4)
		before, v = v, after
	}
	d := dst[len(dst)-2:]
	d[0], d[1] = uint8((3*v+before+left)>>4), uint8((4*v+right)>>4)
}

// webpChroma is libwebp's upsampling: nine, three, three and one sixteenths of
// the four nearest samples, rounded twice.
func webpChroma(dst, a, b []uint8) {
	last := len(a) - 1
	dst[0] = uint8((3*int(a[0]) + int(b[0]) + 2) >> 2)
	dst[2*last+1] = uint8((3*int(a[last]) + int(b[last]) + 2) >> 2)
	for i := range last {
		a0, a1, b0, b1 := int(a[i]), int(a[i+1]), int(b[i]), int(b[i+1])
		sum := a0 + a1 + b0 + b1 + 8
		dst[2*i+1] = uint8(((sum+2*(a1+b0))>>3 + a0) >> 1)
		dst[2*i+2] = uint8(((sum+2*(a0+b1))>>3 + a1) >> 1)
	}
}

// jpegColors is JFIF's conversion in libjpeg's fixed point.
func jpegColors(dst, luma, blue, red []uint8) {
	blue, red = blue[:len(luma)], red[:len(luma)]
	for i, y := range luma {
		y, cb, cr := int32(y), int32(blue[i])-128, int32(red[i])-128
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0] = saturate(y + (91881*cr+1<<15)>>16)
		d[1] = saturate(y + (-22554*cb-46802*cr+1<<15)>>16)
		d[2] = saturate(y + (116130*cb+1<<15)>>16)
	}
}

// webpColors is the conversion of BT.601 with luma from 16 to 235 in libwebp's
// fixed point.
func webpColors(dst, luma, blue, red []uint8) {
	blue, red = blue[:len(luma)], red[:len(luma)]
	for i, y := range luma {
		y, cb, cr := int32(y)*19077>>8, int32(blue[i]), int32(red[i])
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0] = saturate((y + cr*26149>>8 - 14234) >> 6)
		d[1] = saturate((y - cb*6419>>8 - cr*13320>>8 + 8708) >> 6)
		d[2] = saturate((y + cb*33050>>8 - 17685) >> 6)
	}
}

// saturate returns v, or what is nearest to it from 0 to 255.
func saturate(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31))
	}
	return uint8(v)
}
