package codec

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// dosEpoch is 1980-01-01, the time of every member: replies do not depend on
// when they are made.
const dosEpoch = 1<<5 | 1

// Encode implements [Codec].
func (NPZ) Encode(dst []byte, out []runtime.Tensor, _ *Reply) ([]byte, error) {
	file := bytes.NewBuffer(dst)
	z := zip.NewWriter(file)
	seen := make(map[string]bool, len(out))
	var npy []byte
	for i, t := range out {
		name := memberName(t.Name, i)
		if seen[name] {
			return nil, fmt.Errorf("%w: two outputs would be named %s in an NPZ file", ErrNotAcceptable, quote(name))
		}
		seen[name] = true
		var err error
		if npy, err = appendNPY(npy[:0], t); err != nil {
			return nil, err
		}
		h := &zip.FileHeader{
			Name: name + ".npy",
			//lint:ignore SA1019 CreateRaw writes this field and looks at no other time
			ModifiedDate:       dosEpoch,
			CRC32:              crc32.ChecksumIEEE(npy),
			CompressedSize64:   uint64(len(npy)),
			UncompressedSize64: uint64(len(npy)),
		}
		if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
			h.Flags = 1 << 11 // the name is UTF-8
		}
		w, err := z.CreateRaw(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(npy); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// memberName returns the name of output i as a member that unpacks into the
// folder it is unpacked in, under any system's rules; most are their own.
func memberName(name string, i int) string {
	if name == "" {
		return fmt.Sprintf("arr_%d", i) // as numpy names what has no name
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\\' || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
	if name[0] == '/' {
		name = "_" + name[1:]
	}
	if len(name) > 1 && name[1] == ':' { // a drive; "Identity:0" is none
		name = name[:1] + "_" + name[2:]
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if part == ".." || part == "." {
			parts[i] = strings.Repeat("_", len(part))
		}
	}
	return strings.Join(parts, "/")
}
