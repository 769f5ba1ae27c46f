package codec

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Parquet's compression codecs.
const (
	uncompressed = 0
	codecSnappy  = 1
	codecGzip    = 2
	codecZstd    = 6
	codecLZ4     = 7
)

// codecNames names those that are not read.
var codecNames = map[int]string{3: "LZO", 4: "Brotli", 5: "LZ4 in Hadoop's framing, which LZ4_RAW replaces"}

// A decompressor reads the compressions of Parquet and Arrow into memory of
// the size that the data declares; any other size is an error. The zero value
// is ready.
type decompressor struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

// plausible refuses a size that no n bytes of a compression become, as far as
// it has such a bound, before anything is allocated.
func plausible(codec int, src []byte, size int) error {
	ok := true
	switch codec {
	case codecSnappy:
		n, err := s2.DecodedLen(src)
		ok = err == nil && n == size && size <= 22*len(src) // 64 bytes from 3
	case codecGzip:
		ok = size <= 1032*len(src)
	case codecLZ4:
		ok = size <= 255*len(src)
	}
	if !ok {
		return fmt.Errorf("%d bytes cannot come from %d compressed ones", size, len(src))
	}
	return nil
}

// decompress fills dst from src.
func (d *decompressor) decompress(codec int, dst, src []byte) error {
	var err error
	switch codec {
	case codecSnappy:
		_, err = s2.Decode(dst, src)
	case codecGzip:
		err = d.inflate(dst, src)
	case codecZstd:
		err = d.unzstd(dst, src)
	case codecLZ4:
		var n int
		if n, err = lz4Block(dst, 0, src); err == nil && n != len(dst) {
			err = errLZ4
		}
	default:
		name := codecNames[codec]
		if name == "" {
			name = fmt.Sprintf("codec %d", codec)
		}
		return fmt.Errorf("compression %s is not read; Snappy, gzip, Zstandard and LZ4_RAW are", name)
	}
	if err != nil {
		return fmt.Errorf("compressed data: %w", err)
	}
	return nil
}

func (d *decompressor) inflate(dst, src []byte) error {
	var err error
	if d.gzip == nil {
		d.gzip, err = gzip.NewReader(bytes.NewReader(src))
	} else {
		err = d.gzip.Reset(bytes.NewReader(src))
	}
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(d.gzip, dst); err != nil {
		return err
	}
	if n, err := d.gzip.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return errors.New("gzip: more data than is declared")
	}
	return nil
}

func (d *decompressor) unzstd(dst, src []byte) error {
	if d.zstd == nil {
		// Without a stream and with one decoder it starts no goroutine.
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return err
		}
		d.zstd = z
	}
	out, err := d.zstd.DecodeAll(src, dst[:0:len(dst)])
	if err == nil && len(out) != len(dst) {
		err = fmt.Errorf("zstd: %d bytes where %d are declared", len(out), len(dst))
	}
	return err
}

var errLZ4 = errors.New("LZ4: it is malformed, or of another size than declared")

// lz4Block reads a block of LZ4 to dst[at:] and returns where it ends. What
// lies before at is its dictionary.
func lz4Block(dst []byte, at int, src []byte) (int, error) {
	// length reads how long a part is of which the token's half says n.
	length := func(n int) int {
		for more := n == 15; more; {
			if len(src) == 0 || n > len(dst) {
				return -1
			}
			n += int(src[0])
			more = src[0] == 255
			src = src[1:]
		}
		return n
	}
	for len(src) > 0 {
		token := int(src[0])
		src = src[1:]
		n := length(token >> 4)
		if n < 0 || n > len(src) || n > len(dst)-at {
			return 0, errLZ4
		}
		at += copy(dst[at:], src[:n])
		if src = src[n:]; len(src) == 0 {
			return at, nil // the last part has no match
		}
		if len(src) < 2 {
			return 0, errLZ4
		}
		back := int(binary.LittleEndian.Uint16(src))
		src = src[2:]
		n = length(token & 15)
		if n += 4; n < 4 || back == 0 || back > at || n > len(dst)-at {
			return 0, errLZ4
		}
		// A match may reach into itself: what is copied doubles.
		for end := at + n; at < end; {
			at += copy(dst[at:end], dst[at-back:at])
			back *= 2
		}
	}
	return 0, errLZ4
}

// lz4Frame reads an LZ4 frame that fills dst. Checksums are passed over.
func lz4Frame(dst, src []byte) error {
	const (
		magic       = 0x184D2204
		hasDict     = 1 << 0
		hasChecksum = 1 << 2
		hasSize     = 1 << 3
		hasBlockSum = 1 << 4
	)
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != magic || src[4]>>6 != 1 || src[4]&hasDict != 0 {
		return errLZ4
	}
	flags := src[4]
	src = src[7:]
	if flags&hasSize != 0 {
		if len(src) < 8 {
			return errLZ4
		}
		src = src[8:]
	}
	for at := 0; ; {
		if len(src) < 4 {
			return errLZ4
		}
		n := int(binary.LittleEndian.Uint32(src))
		src = src[4:]
		if n == 0 {
			if at != len(dst) {
				return errLZ4
			}
			return nil
		}
		raw := n>>31 == 1
		if n &= 1<<31 - 1; n > len(src) {
			return errLZ4
		}
		if raw {
			if n > len(dst)-at {
				return errLZ4
			}
			at += copy(dst[at:], src[:n])
		} else {
			var err error
			if at, err = lz4Block(dst, at, src[:n]); err != nil {
				return err
			}
		}
		if src = src[n:]; flags&hasBlockSum != 0 {
			if len(src) < 4 {
				return errLZ4
			}
			src = src[4:]
		}
	}
}
