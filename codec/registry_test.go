package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
)

func TestEveryCodecIsFoundUnderEachOfItsNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range codec.All() {
		if len(c.MediaTypes()) == 0 {
			t.Fatalf("%T has no name", c)
		}
		for _, name := range c.MediaTypes() {
			if name != strings.ToLower(name) || seen[name] {
				t.Errorf("%T: %q is not in lower case, or is another's too", c, name)
			}
			seen[name] = true
			for _, s := range []string{name, strings.ToUpper(name), name + "; charset=utf-8", "\t" + name + " "} {
				if got, _, err := codec.For(s); err != nil || got != c {
					t.Errorf("For(%q) = %T, %v; want %T", s, got, err, c)
				}
			}
			if got, ok := codec.Lookup(strings.ToUpper(name)); !ok || got != c {
				t.Errorf("Lookup(%q) = %T, %v", name, got, ok)
			}
		}
	}
	for name, want := range map[string]codec.Codec{
		"application/json": codec.JSON{}, "application/jsonlines": codec.JSONLines{}, "application/jsonl": codec.JSONLines{},
		"application/x-ndjson": codec.JSONLines{}, "application/jsons": codec.JSONLines{}, "text/csv": codec.CSV{},
		"application/x-npy": codec.NPY{}, "application/x-npz": codec.NPZ{},
		"application/x-recordio-protobuf": codec.RecordIO{}, "text/libsvm": codec.LibSVM{}, "text/x-libsvm": codec.LibSVM{},
		"application/octet-stream": codec.Raw{}, "text/plain": codec.Text{},
		"application/x-parquet": codec.Parquet{}, "application/vnd.apache.parquet": codec.Parquet{}, "application/vnd.apache.arrow.stream": codec.Arrow{},
		"image/jpeg": codec.Image{}, "image/jpg": codec.Image{}, "image/png": codec.Image{}, "image/webp": codec.Image{}, "application/x-image": codec.Image{},
		"application/vnd.sagemaker-triton.binary+json": codec.V2Binary{},
	} {
		if got, ok := codec.Lookup(name); !ok || got != want {
			t.Errorf("Lookup(%q) = %T, want %T", name, got, want)
		}
	}
}

func TestAnUnknownContentTypeSaysWhatIsSupported(t *testing.T) {
	for _, s := range []string{"text/xml", "application/pdf", "*/*", "text/csvx", strings.Repeat("a", 1000) + "/b"} {
		if c, ok := codec.Lookup(s); ok || c != nil {
			t.Errorf("Lookup(%.20q) = %T", s, c)
		}
		_, _, err := codec.For(s)
		if !errors.Is(err, codec.ErrMediaType) {
			t.Errorf("For(%.20q): %v", s, err)
			continue
		}
		for _, c := range codec.All() {
			if name := c.MediaTypes()[0]; !strings.Contains(err.Error(), name) {
				t.Errorf("For(%.20q): %q does not name %s", s, err, name)
			}
		}
	}
}
