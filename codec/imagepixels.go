package codec

import (
	"fmt"
	"image"
	"image/color"
)

// A picture is a decoded image, read row by row.
type picture struct {
	width, height int
	channels      int // 3: red, green and blue; 1: gray, for an image without colors

	// row fills dst with a row's pixels as Pillow's convert("RGB"), or
	// convert("L") for one channel, would have them: transparency is dropped,
	// not blended with anything.
	row func(dst []uint8, y int)
}

// pictureOf reads what this package's decoders return. webp says that luma and
// chroma are WebP's and not JPEG's; clip that 16-bit gray is Pillow's.
func pictureOf(img image.Image, webp, clip bool) (picture, error) {
	size := img.Bounds().Size()
	p := picture{width: size.X, height: size.Y, channels: 3}
	switch img := img.(type) {
	case *image.Gray:
		p.channels = 1
		p.row = func(dst []uint8, y int) { copy(dst, img.Pix[y*img.Stride:]) }
	case *image.Gray16:
		p.channels = 1
		p.row = func(dst []uint8, y int) { clipRow(dst, img.Pix[y*img.Stride:], 2) }
	case *image.NRGBA64:
		if clip { // gray with a transparent level
			p.channels = 1
			p.row = func(dst []uint8, y int) { clipRow(dst, img.Pix[y*img.Stride:], 8) }
			break
		}
		p.row = func(dst []uint8, y int) { packRow(dst, img.Pix[y*img.Stride:], 8, 2) }
	case *image.RGBA64:
		p.row = func(dst []uint8, y int) { packRow(dst, img.Pix[y*img.Stride:], 8, 2) }
	case *image.NRGBA:
		p.row = func(dst []uint8, y int) { packRow(dst, img.Pix[y*img.Stride:], 4, 1) }
	case *image.RGBA:
		p.row = func(dst []uint8, y int) { packRow(dst, img.Pix[y*img.Stride:], 4, 1) }
	case *image.Paletted:
		colors := palette(img.Palette)
		p.row = func(dst []uint8, y int) {
			for i, c := range img.Pix[y*img.Stride:][:p.width] {
				copy(dst[3*i:3*i+3], colors[c][:])
			}
		}
	case *image.CMYK:
		p.row = func(dst []uint8, y int) { cmykRow(dst, img.Pix[y*img.Stride:]) }
	case *image.YCbCr:
		p.row = newYCbCrRows(img, webp)
	case *image.NYCbCrA:
		p.row = newYCbCrRows(&img.YCbCr, webp)
	default:
		return p, fmt.Errorf("pixels of the kind %T", img)
	}
	return p, nil
}

// clipRow takes 16-bit gray as Pillow's mode I;16 becomes L: what is over 255
// is white.
func clipRow(dst, src []uint8, step int) {
	for i := range dst {
		dst[i] = src[i*step+1]
		if src[i*step] != 0 {
			dst[i] = 255
		}
	}
}

// packRow takes red, green and blue of pixels of step bytes; channels are wide
// bytes, the highest first.
func packRow(dst, src []uint8, step, wide int) {
	for len(dst) >= 3 && len(src) >= step {
		dst[0], dst[1], dst[2] = src[0], src[wide], src[2*wide]
		dst, src = dst[3:], src[step:]
	}
}

func palette(p color.Palette) (colors [256][3]uint8) {
	for i, c := range p[:min(len(p), 256)] {
		switch c := c.(type) {
		case color.RGBA:
			colors[i] = [3]uint8{c.R, c.G, c.B}
		case color.NRGBA:
			colors[i] = [3]uint8{c.R, c.G, c.B}
		}
	}
	return colors
}

func cmykRow(dst, src []uint8) {
	for len(dst) >= 3 && len(src) >= 4 {
		k := 255 - uint32(src[3])
		for c := range 3 {
			t := uint32(src[c])*k + 128 // t/255, rounded
			dst[c] = uint8(k - (t+t>>8)>>8)
		}
		dst, src = dst[3:], src[4:]
	}
}

// gray returns p with one channel, as Pillow's convert("L") weighs the colors.
func (p picture) gray() picture {
	if p.channels == 1 {
		return p
	}
	row, rgb := p.row, make([]uint8, 3*p.width)
	p.channels = 1
	p.row = func(dst []uint8, y int) {
		row(rgb, y)
		for i := range dst {
			c := rgb[3*i:][:3:3]
			dst[i] = uint8((uint32(c[0])*19595 + uint32(c[1])*38470 + uint32(c[2])*7471 + 1<<15) >> 16)
		}
	}
	return p
}
