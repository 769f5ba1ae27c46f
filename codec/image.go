package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/claryhq/clary/runtime"
	"golang.org/x/image/webp"
)

// Image is a JPEG, PNG or WebP image as the only input of a model. The bytes
// say which of them it is, whatever the media type says.
//
// Decode makes one row, [1, channels, height, width] or [1, height, width,
// channels], as [ImageOptions] say. Pixels are those that Pillow's open,
// convert and resize make of a PNG or WebP image; of a JPEG image they differ
// by the rounding of its cosine transform (docs/formats.md has figures). As
// with Pillow's open an EXIF orientation is not applied. An image of several
// frames is refused. Without a model it is uint8 in the second shape.
//
// Nothing can be encoded.
type Image struct{}

// MediaTypes implements [Codec].
func (Image) MediaTypes() []string { return imageTypes }

var imageTypes = []string{"application/x-image", "image/jpeg", "image/png", "image/webp", "image/jpg"}

func (Image) readsOnly() {}

// Decode implements [Codec]. The image is refused by its header, before room
// is made for its pixels, when it has too many of them or more than its bytes
// can hold.
func (Image) Decode(body []byte, req *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	req.Found = Found{}
	var o ImageOptions
	if req.Options != nil {
		o = req.Options.Image
	}
	t, err := newImageTensor(req.Want, &o)
	if err != nil {
		return nil, err
	}
	p, err := decodePicture(body, o.maxPixels())
	if err != nil {
		return nil, err
	}
	out, err := t.fill(p)
	if err != nil {
		return nil, err
	}
	return []runtime.Tensor{out}, nil
}

// Encode implements [Codec]: it returns an error that wraps ErrNotAcceptable.
func (Image) Encode(dst []byte, _ []runtime.Tensor, _ *Reply) ([]byte, error) {
	return dst, fmt.Errorf("images are read, not written: %w", ErrNotAcceptable)
}

// An imageFormat is one that an image's first bytes name.
type imageFormat struct {
	name   string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// most returns how many pixels n bytes can hold at most, given the header
	// that begins the body; nil: there is no bound.
	most func(header []byte, n int) int
	// refuse says why the body is not read although its header may be fine, ""
	// if it is.
	refuse func(body []byte) string
}

var (
	jpegFormat = imageFormat{name: "JPEG", config: jpeg.DecodeConfig, decode: jpeg.Decode, most: mostOfJPEG, refuse: tooManyScans}
	pngFormat  = imageFormat{name: "PNG", config: png.DecodeConfig, decode: png.Decode, most: mostOfPNG, refuse: pngFrames}
	webpFormat = imageFormat{name: "WebP", config: webp.DecodeConfig, decode: webp.Decode, refuse: webpFrames}
)

func sniff(b []byte) *imageFormat {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return &jpegFormat
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return &pngFormat
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return &webpFormat
	}
	return nil
}

// maxSide is the longest side that is read: JPEG has none longer.
const maxSide = 1<<16 - 1

func decodePicture(body []byte, maxPixels int) (picture, error) {
	f := sniff(body)
	if f == nil {
		return picture{}, errorf("image", "", "a JPEG, PNG or WebP image is wanted, and the body begins as none of them: %q", body[:min(len(body), 8)])
	}
	c, err := f.config(bytes.NewReader(body))
	if err != nil {
		return picture{}, f.broken(err)
	}
	switch w, h := c.Width, c.Height; {
	case w < 1 || h < 1:
		return picture{}, errorf(f.name, "", "an image of %d x %d pixels has none", w, h)
	case w > maxSide || h > maxSide:
		return picture{}, errorf(f.name, "", "%d x %d pixels where a side has at most %d", w, h, maxSide)
	case w*h > maxPixels:
		return picture{}, errorf(f.name, "", "%d x %d are %d pixels, and at most %d are read", w, h, w*h, maxPixels)
	case f.most != nil && w*h > f.most(body, len(body)):
		return picture{}, errorf(f.name, "", "the body's %d bytes cannot hold %d x %d pixels: it is cut short or not an image", len(body), w, h)
	}
	if why := f.refuse(body); why != "" {
		return picture{}, errorf(f.name, "", "%s", why)
	}
	img, err := f.decode(bytes.NewReader(body))
	if err != nil {
		return picture{}, f.broken(err)
	}
	p, err := pictureOf(img, f == &webpFormat, f == &pngFormat && pngColors(body) == grayColors)
	if err != nil {
		return p, f.broken(err)
	}
	if p.width != c.Width || p.height != c.Height {
		return p, errorf(f.name, "", "%d x %d pixels where the header says %d x %d", p.width, p.height, c.Width, c.Height)
	}
	return p, nil
}

// broken returns the error of a decoder.
func (f *imageFormat) broken(err error) *Error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errorf(f.name, "", "the image is cut short")
	}
	return &Error{Format: f.name, Msg: "the image cannot be read", Err: err}
}

// mostOfJPEG: a block of 64 pixels takes a bit at least, and one sample stands
// for 16 pixels at most.
func mostOfJPEG(_ []byte, n int) int { return n * 8 * 64 * 16 }

// mostOfPNG: DEFLATE makes at most 1032 bytes of one.
func mostOfPNG(header []byte, n int) int {
	bits := int(header[24]) // per sample
	switch pngColors(header) {
	case 2:
		bits *= 3
	case 4:
		bits *= 2
	case 6:
		bits *= 4
	}
	return n * 1032 * 8 / bits
}

// pngColors returns the color type in the header of a PNG image that
// png.DecodeConfig accepted: a byte that is always at the same place.
func pngColors(b []byte) byte { return b[25] }

const grayColors = 0

const animation = "an animation where one image is wanted"

// tooManyScans bounds the work that few bytes can ask for: each scan of a
// progressive image goes over all of it. Encoders make about ten.
func tooManyScans(b []byte) string {
	const most = 500
	if n := bytes.Count(b, []byte{0xff, 0xda}); n > most {
		return fmt.Sprintf("%d scans where at most %d are read", n, most)
	}
	return ""
}

// pngFrames looks for the chunk that makes an animation, in front of the
// image's data.
func pngFrames(b []byte) string {
	for b = b[8:]; len(b) >= 12; {
		switch string(b[4:8]) {
		case "acTL":
			return animation
		case "IDAT":
			return ""
		}
		n := uint64(binary.BigEndian.Uint32(b)) + 12
		if n > uint64(len(b)) {
			return ""
		}
		b = b[n:]
	}
	return ""
}

// webpFrames looks at the flag in the header of an image with extensions.
func webpFrames(b []byte) string {
	if len(b) > 20 && string(b[12:16]) == "VP8X" && b[20]&0x02 != 0 {
		return animation
	}
	return ""
}
