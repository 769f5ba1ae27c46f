package codec_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func imageFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "image", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// imageInput is a model's only input.
func imageInput(d runtime.DType, shape ...int) []runtime.Info {
	return []runtime.Info{{Name: "x", DType: d, Shape: shape}}
}

func decodeImage(body []byte, want []runtime.Info, o codec.ImageOptions) (runtime.Tensor, error) {
	ts, err := codec.Image{}.Decode(body, &codec.Request{Want: want, Options: &codec.Options{Image: o}})
	if err != nil {
		return runtime.Tensor{}, err
	}
	return ts[0], ts[0].Check()
}

var imageTypes = map[string]runtime.DType{"uint8": runtime.Uint8, "float16": runtime.Float16, "float32": runtime.Float32, "float64": runtime.Float64}

// The cases were made by Pillow and NumPy: testdata/image/generate.py.
func TestImagesAreWhatPillowAndNumPyMakeOfThem(t *testing.T) {
	var cases []struct {
		File, Dtype    string
		Options        codec.ImageOptions
		Shape          []int
		SHA256, Pixels string
	}
	if err := json.Unmarshal(imageFile(t, "cases.json"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 100 {
		t.Fatalf("only %d cases", len(cases))
	}
	for i, c := range cases {
		got, err := decodeImage(imageFile(t, c.File), imageInput(imageTypes[c.Dtype], -1, -1, -1, -1), c.Options)
		switch {
		case err != nil:
			t.Errorf("case %d, %s %+v: %v", i, c.File, c.Options, err)
		case c.Pixels != "":
			if most, mean := distance(t, got, imageFile(t, c.Pixels)); most > 3 || mean > 0.1 {
				t.Errorf("case %d, %s %+v: a pixel is %d levels away, all %.3f on average", i, c.File, c.Options, most, mean)
			}
		default:
			sum := sha256.Sum256(runtime.Bytes(got.Data))
			if hex.EncodeToString(sum[:]) != c.SHA256 || !reflect.DeepEqual(got.Shape, c.Shape) || got.Name != "x" {
				t.Errorf("case %d, %s %+v: other values, of shape %v", i, c.File, c.Options, got.Shape)
			}
		}
	}
}

// distance compares a uint8 tensor [1, height, width, channels] with a PNG
// image.
func distance(t *testing.T, got runtime.Tensor, want []byte) (most int, mean float64) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	h, w, channels := got.Shape[1], got.Shape[2], got.Shape[3]
	if img.Bounds() != image.Rect(0, 0, w, h) {
		t.Fatalf("%v pixels where %d x %d are wanted", img.Bounds().Max, w, h)
	}
	data := got.Data.([]uint8)
	sum := 0
	for i, v := range data {
		var rgb [3]uint32
		rgb[0], rgb[1], rgb[2], _ = img.At(i/channels%w, i/channels/w).RGBA()
		d := int(v) - int(rgb[i%channels]>>8)
		most = max(most, d, -d)
		sum += max(d, -d)
	}
	return most, float64(sum) / float64(len(data))
}

func TestLayoutSizeAndChannelsComeFromTheInput(t *testing.T) {
	body := imageFile(t, "rgb.png") // 37 x 23
	cases := []struct {
		want    []runtime.Info
		options codec.ImageOptions
		shape   []int
	}{
		{nil, codec.ImageOptions{}, []int{1, 23, 37, 3}},
		{imageInput(runtime.Float32, -1, 3, 8, 9), codec.ImageOptions{}, []int{1, 3, 8, 9}},
		{imageInput(runtime.Float32, 1, 8, 9, 3), codec.ImageOptions{}, []int{1, 8, 9, 3}},
		{imageInput(runtime.Float32, 1, 8, 9, 1), codec.ImageOptions{}, []int{1, 8, 9, 1}},
		{imageInput(runtime.Float32, 1, 1, 8, 9), codec.ImageOptions{}, []int{1, 1, 8, 9}},
		{imageInput(runtime.Float32, 1, 3, 8, 3), codec.ImageOptions{}, []int{1, 3, 8, 3}},
		{imageInput(runtime.Float32, 1, 3, 8, 3), codec.ImageOptions{Layout: "nhwc"}, []int{1, 3, 8, 3}},
		{imageInput(runtime.Float32, 3, 8, 9), codec.ImageOptions{}, []int{3, 8, 9}},
		{imageInput(runtime.Float32, -1, 3, -1, -1), codec.ImageOptions{}, []int{1, 3, 23, 37}},
		{imageInput(runtime.Float32, -1, 3, 8, -1), codec.ImageOptions{}, []int{1, 3, 8, 37}},
		{imageInput(runtime.Float32, -1, -1, -1, -1), codec.ImageOptions{}, []int{1, 3, 23, 37}},
		{imageInput(runtime.Float32, -1, -1, -1, -1), codec.ImageOptions{Layout: "nhwc", Color: "gray", Size: [2]int{4, 5}}, []int{1, 4, 5, 1}},
		{imageInput(runtime.Int64, -1, -1, -1, 3), codec.ImageOptions{Size: [2]int{4, 5}}, []int{1, 4, 5, 3}},
		{[]runtime.Info{{Name: "x", DType: runtime.Float32, Unranked: true}}, codec.ImageOptions{Size: [2]int{4, 5}}, []int{1, 3, 4, 5}},
	}
	for _, c := range cases {
		got, err := decodeImage(body, c.want, c.options)
		if err != nil || !reflect.DeepEqual(got.Shape, c.shape) {
			t.Errorf("%v %+v: shape %v (%v), want %v", c.want, c.options, got.Shape, err, c.shape)
		}
	}
}

func TestValuesAreScaledForFloatsAndNotForIntegers(t *testing.T) {
	body := imageFile(t, "pixel.png")
	raw, err := decodeImage(body, nil, codec.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rgb := raw.Data.([]uint8)
	for _, c := range []struct {
		d       runtime.DType
		options codec.ImageOptions
		want    any
	}{
		{runtime.Int32, codec.ImageOptions{}, []int32{int32(rgb[0]), int32(rgb[1]), int32(rgb[2])}},
		{runtime.Float32, codec.ImageOptions{}, []float32{float32(float64(rgb[0]) / 255), float32(float64(rgb[1]) / 255), float32(float64(rgb[2]) / 255)}},
		{runtime.Float64, codec.ImageOptions{Scale: 1, Mean: []float64{1, 2, 3}, Std: []float64{2}}, []float64{(float64(rgb[0]) - 1) / 2, (float64(rgb[1]) - 2) / 2, (float64(rgb[2]) - 3) / 2}},
		{runtime.Int16, codec.ImageOptions{Mean: []float64{128}, Color: "bgr"}, []int16{int16(rgb[2]) - 128, int16(rgb[1]) - 128, int16(rgb[0]) - 128}},
	} {
		got, err := decodeImage(body, imageInput(c.d, 1, 3, 1, 1), c.options)
		if err != nil || !reflect.DeepEqual(got.Data, c.want) {
			t.Errorf("%v %+v: %v (%v), want %v", c.d, c.options, got.Data, err, c.want)
		}
	}
}

// bomb is the header of a PNG image and nothing behind it.
func bomb(t testing.TB, w, h uint32) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return pngWithSize(b.Bytes(), w, h)
}

func TestWhatIsNoImageForTheModelIsRefused(t *testing.T) {
	rgb, float := imageFile(t, "rgb.png"), imageInput(runtime.Float32, -1, 3, 8, 8)
	jpg := imageFile(t, "420.jpeg")
	flat := bytes.Clone(jpg)
	at := bytes.Index(flat, []byte{0xff, 0xc0}) + 5
	copy(flat[at:], []byte{0, 0, 0, 9}) // height 0
	vast := bytes.Clone(jpg)
	copy(vast[at:], []byte{0xff, 0xff, 0xff, 0xff})
	cases := []struct {
		name    string
		body    []byte
		want    []runtime.Info
		options codec.ImageOptions
		says    string
	}{
		{"text", []byte("hello, world"), float, codec.ImageOptions{}, `image: a JPEG, PNG or WebP image is wanted, and the body begins as none of them: "hello, w"`},
		{"GIF", []byte("GIF89a"), float, codec.ImageOptions{}, "begins as none of them"},
		{"two inputs", rgb, append(imageInput(runtime.Float32, 1), float...), codec.ImageOptions{}, "an image is one input, and the model has 2"},
		{"strings", rgb, imageInput(runtime.String, 1, 3, 8, 8), codec.ImageOptions{}, `the model's input "x" takes no numbers`},
		{"features", rgb, imageInput(runtime.Float32, -1, 4), codec.ImageOptions{}, "an image has the shape [N,3,height,width] or [N,height,width,3], and the model's input \"x\" has [?,4]"},
		{"four channels", rgb, imageInput(runtime.Float32, -1, 4, 8, 8), codec.ImageOptions{}, "4 channels where the image has 3"},
		{"batch", rgb, imageInput(runtime.Float32, 2, 3, 8, 8), codec.ImageOptions{}, "shape [1,3,8,8] where [2,3,8,8] is wanted"},
		{"too many pixels", rgb, float, codec.ImageOptions{MaxPixels: 850}, "PNG: 37 x 23 are 851 pixels, and at most 850 are read"},
		{"animated PNG", imageFile(t, "animated.png"), float, codec.ImageOptions{}, "PNG: an animation where one image is wanted"},
		{"animated WebP", imageFile(t, "animated.webp"), float, codec.ImageOptions{}, "WebP: an animation where one image is wanted"},
		{"JPEG without rows", flat, float, codec.ImageOptions{}, "JPEG: an image of 9 x 0 pixels has none"},
		{"JPEG of 65535 x 65535", vast, float, codec.ImageOptions{}, "JPEG: 65535 x 65535 are 4294836225 pixels, and at most 50000000 are read"},
		{"PNG without columns", bomb(t, 0, 5), float, codec.ImageOptions{}, "PNG: the image cannot be read"},
		{"PNG of a line", bomb(t, 1<<20, 1), float, codec.ImageOptions{}, "PNG: 1048576 x 1 pixels where a side has at most 65535"},
		{"PNG of little", bomb(t, 7000, 7000), float, codec.ImageOptions{}, "bytes cannot hold 7000 x 7000 pixels"},
		{"JPEG of many scans", append(bytes.Clone(jpg), bytes.Repeat([]byte{0xff, 0xda}, 500)...), float, codec.ImageOptions{}, "JPEG: 501 scans where at most 500 are read"},
		{"JPEG of little", jpg[:20], float, codec.ImageOptions{}, "JPEG: the image is cut short"},
	}
	for _, c := range cases {
		got, err := decodeImage(c.body, c.want, c.options)
		var e *codec.Error
		if !errors.As(err, &e) || !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%v), want an error that says %q", c.name, got.Shape, err, c.says)
		}
	}
	if _, err := decodeImage(nil, float, codec.ImageOptions{}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

// pngWithSize returns a PNG image with another size in its header.
func pngWithSize(b []byte, w, h uint32) []byte {
	b = bytes.Clone(b)
	for i := range 4 {
		b[16+i], b[20+i] = byte(w>>(24-8*i)), byte(h>>(24-8*i))
	}
	sum := crc32.ChecksumIEEE(b[12:29])
	for i := range 4 {
		b[29+i] = byte(sum >> (24 - 8*i))
	}
	return b
}

func TestAnImageThatIsCutShortIsRefused(t *testing.T) {
	for _, name := range []string{"rgb.png", "palette.png", "420.jpeg", "progressive.jpeg", "cmyk.jpeg", "lossy.webp", "lossy-alpha.webp", "lossless.webp"} {
		body := imageFile(t, name)
		for n := 1; n < len(body)-1; n++ { // the last byte may be padding
			var e *codec.Error
			if _, err := decodeImage(body[:n], nil, codec.ImageOptions{}); !errors.As(err, &e) {
				t.Errorf("%s: its first %d of %d bytes: %v", name, n, len(body), err)
			}
		}
	}
}

func TestASmallBodyThatClaimsMuchTakesLittleMemory(t *testing.T) {
	jpg := imageFile(t, "420.jpeg")
	big := bytes.Clone(jpg[:bytes.Index(jpg, []byte{0xff, 0xda})])
	copy(big[bytes.Index(big, []byte{0xff, 0xc0})+5:], []byte{0x1b, 0x58, 0x1b, 0x58})
	for _, body := range [][]byte{bomb(t, 7000, 7000), bomb(t, 60000, 60000), big} {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		_, err := decodeImage(body, nil, codec.ImageOptions{})
		goruntime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
			t.Errorf("%d bytes took %d of memory (%v)", len(body), took, err)
		}
	}
}

func TestWrongImageOptionsAreNamed(t *testing.T) {
	body := imageFile(t, "rgb.png")
	for _, c := range []struct {
		o    codec.ImageOptions
		d    runtime.DType
		says string
	}{
		{codec.ImageOptions{Layout: "chw"}, runtime.Float32, `layout is one of nchw, nhwc, not "chw"`},
		{codec.ImageOptions{Resize: "fit"}, runtime.Float32, `resize is one of stretch, crop, pad, not "fit"`},
		{codec.ImageOptions{Filter: "cubic"}, runtime.Float32, `filter is one of bicubic, bilinear, box, lanczos, nearest, not "cubic"`},
		{codec.ImageOptions{Color: "hsv"}, runtime.Float32, `color is one of rgb, bgr, gray, not "hsv"`},
		{codec.ImageOptions{Size: [2]int{224, 0}}, runtime.Float32, "size is height and width, each from 1 to 65535, not 224 and 0"},
		{codec.ImageOptions{Size: [2]int{224, 70000}}, runtime.Float32, "size is height and width"},
		{codec.ImageOptions{ResizeTo: 256}, runtime.Float32, "resize_to belongs to resize: crop"},
		{codec.ImageOptions{Resize: "crop", ResizeTo: 8, Size: [2]int{9, 7}}, runtime.Float32, "resize_to is from the greater of size to 65535, not 8"},
		{codec.ImageOptions{Pad: 1}, runtime.Float32, "pad belongs to resize: pad"},
		{codec.ImageOptions{Resize: "pad", Pad: 256}, runtime.Float32, "pad is from 0 to 255, not 256"},
		{codec.ImageOptions{MaxPixels: -1}, runtime.Float32, "max_pixels is at least 1, not -1"},
		{codec.ImageOptions{Mean: []float64{1, 2}}, runtime.Float32, "mean has a value for each channel, 3, or one for all, not 2"},
		{codec.ImageOptions{Std: []float64{1, 0, 1}}, runtime.Float32, "std holds 0"},
		{codec.ImageOptions{Resize: "crop"}, runtime.Float32, "resize: crop wants a size"},
		{codec.ImageOptions{Color: "gray", Std: []float64{1, 2, 3}}, runtime.Float32, "std has 3 values for 1 channels"},
		{codec.ImageOptions{Mean: []float64{0.5}}, runtime.Uint8, "the image's values after scale, mean and std, element 0"},
		{codec.ImageOptions{Scale: 2}, runtime.Uint8, "after scale, mean and std, element 128"},
	} {
		_, err := decodeImage(body, imageInput(c.d, -1, -1, -1, -1), c.o)
		var e *codec.Error
		if err == nil || errors.As(err, &e) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want an error of the settings, not of the body, that says %q", c.o, err, c.says)
		}
	}
}

func TestImagesAreNotWritten(t *testing.T) {
	if _, err := (codec.Image{}).Encode(nil, nil, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("Encode: %v", err)
	}
}

func FuzzImage(f *testing.F) {
	names, err := filepath.Glob("testdata/image/*.[pjw][ne][gbp]*")
	if err != nil || len(names) < 20 {
		f.Fatalf("%d images (%v)", len(names), err)
	}
	for i, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, byte(i))
	}
	f.Fuzz(func(t *testing.T, body []byte, how byte) {
		o := codec.ImageOptions{MaxPixels: 1 << 14, Resize: []string{"stretch", "crop", "pad"}[how%3],
			Filter: []string{"bilinear", "nearest", "lanczos"}[how/3%3], Color: []string{"rgb", "gray"}[how/9%2]}
		got, err := decodeImage(body, imageInput(runtime.Float16, -1, -1, 20, 30), o)
		var e *codec.Error
		if err != nil && !errors.As(err, &e) && !errors.Is(err, codec.ErrEmpty) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if err == nil && (got.Shape[2] != 20 || got.Shape[3] != 30) {
			t.Fatalf("shape %v", got.Shape)
		}
	})
}

func BenchmarkImage(b *testing.B) {
	for _, size := range []image.Point{{640, 427}, {4032, 3024}} {
		img := image.NewYCbCr(image.Rectangle{Max: size}, image.YCbCrSubsampleRatio420)
		for i := range img.Y {
			img.Y[i] = uint8(i*i>>9 ^ i>>3)
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = uint8(i>>6), uint8(i>>8)
		}
		var body bytes.Buffer
		if err := jpeg.Encode(&body, img, nil); err != nil {
			b.Fatal(err)
		}
		want := imageInput(runtime.Float32, -1, 3, 224, 224)
		b.Run(fmt.Sprintf("JPEG %v", size), func(b *testing.B) {
			b.SetBytes(int64(body.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decodeImage(body.Bytes(), want, codec.ImageOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
