package artifact

import (
	"archive/tar"
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits bound what an archive may unpack to.
type Limits struct {
	Bytes int64 // the whole decompressed archive; 0: 16 GiB
	Files int   // files and folders, hidden ones too; 0: 10,000
	// Take, where there is one, is told of bytes before they are written; its
	// error ends the unpacking.
	Take func(n int) error
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 16 << 30
	}
	if l.Files <= 0 {
		l.Files = 10_000
	}
	return l
}

const maxPath = 1024

// Unpack reads a tar archive, gzipped or not, into dir, which is made if it
// does not exist and is empty otherwise. Only files and folders with a path
// inside dir are taken, for their owner alone (0600 and 0700), each path once;
// hidden ones (.git, ._model.onnx) are left out. Anything else in the archive,
// one that ends early, and one beyond l are errors, after which dir is as it
// was. The limits hold for the bytes that arrive, whatever headers promise.
func Unpack(r io.Reader, dir string, l Limits) (err error) {
	made := os.Mkdir(dir, 0o700)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return made
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if in, err := os.ReadDir(dir); err != nil || len(in) > 0 {
		return errors.Join(err, fmt.Errorf("%s is not empty", dir))
	}
	l = l.orDefault()
	u := &unpacker{root: root, most: l.Files, folders: map[string]bool{".": true}}
	if err = u.all(r, l); err == nil {
		return nil
	}
	if made == nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	in, _ := os.ReadDir(dir)
	for _, e := range in {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// An unpacker is one archive on its way into root.
type unpacker struct {
	root    *os.Root
	most    int             // entries allowed
	entries int             // entries met, and folders made without one
	folders map[string]bool // what exists
	buf     []byte
}

func (u *unpacker) all(r io.Reader, l Limits) error {
	in, err := decompressed(r)
	if err != nil {
		return err
	}
	meter := &meter{r: in, left: l.Bytes, most: l.Bytes, take: l.Take}
	u.buf = make([]byte, 1<<18)
	tr := tar.NewReader(meter)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = u.entry(h, tr)
		}
		if err != nil {
			return readable(err)
		}
	}
	if meter.left == meter.most {
		return errors.New("the archive is empty")
	}
	return readable(meter.drain(u.buf))
}

// decompressed returns what is in a gzip stream, or r itself when it is none.
func decompressed(r io.Reader) (io.Reader, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	magic, err := br.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if string(magic) != "\x1f\x8b" {
		return br, nil
	}
	zr, err := gzip.NewReader(br)
	if err != nil {
		return nil, readable(err)
	}
	return zr, nil
}

// entry writes one entry of the archive.
func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	name, err := local(h.Name)
	if err != nil {
		return err
	}
	out := hiddenPath(name) || h.Typeflag == tar.TypeXGlobalHeader
	if !out && h.Typeflag == tar.TypeDir && !u.folders[name] {
		return u.folder(name)
	}
	if err := u.count(); err != nil || out {
		return err
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			h.Typeflag = tar.TypeGNUSparse
		}
	}
	switch h.Typeflag {
	case tar.TypeDir: // once more
		return nil
	case tar.TypeReg:
		return u.file(name, r)
	}
	return fmt.Errorf("%q is %s: an artifact holds files and folders only", h.Name, kind(h.Typeflag))
}

func (u *unpacker) count() error {
	if u.entries++; u.entries > u.most {
		return fmt.Errorf("the archive holds more than %d files and folders", u.most)
	}
	return nil
}

// folder makes a folder and those above it, and counts them.
func (u *unpacker) folder(name string) error {
	if u.folders[name] {
		return nil
	}
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := u.count(); err != nil {
		return err
	}
	if err := u.root.Mkdir(name, 0o700); err != nil {
		return twice(name, err)
	}
	u.folders[name] = true
	return nil
}

func (u *unpacker) file(name string, r io.Reader) error {
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return twice(name, err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, u.buf)
	return errors.Join(err, f.Close())
}

func twice(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the archive holds %q twice", name)
	}
	return err
}

// local returns the clean form of an entry's name, if it lies inside.
func local(name string) (string, error) {
	if len(name) > maxPath {
		return "", fmt.Errorf("the archive holds a path of %d bytes, more than %d, which begins with %q", len(name), maxPath, name[:64])
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("%q points outside the archive", name)
		}
	}
	if path.IsAbs(name) {
		return "", fmt.Errorf("%q is an absolute path", name)
	}
	if name == "" {
		return "", errors.New("the archive holds an entry without a name")
	}
	return path.Clean(name), nil
}

func hiddenPath(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part != "." && hidden(part) {
			return true
		}
	}
	return false
}

func kind(flag byte) string {
	switch flag {
	case tar.TypeSymlink, tar.TypeLink:
		return "a link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a pipe"
	case tar.TypeGNUSparse:
		return "a sparse file"
	}
	return fmt.Sprintf("of the unknown type %q", flag)
}

// readable says in words what ended an archive.
func readable(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the archive is truncated: its end is missing")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, new(flate.CorruptInputError)):
		return fmt.Errorf("the archive is damaged: %w", err)
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("the archive is damaged or no tar archive: %w", err)
	}
	return err
}

// A meter lets through most bytes and then fails.
type meter struct {
	r          io.Reader
	left, most int64
	take       func(n int) error // may be nil
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left == 0 {
		// The limit is met; only one byte more is beyond it.
		n, err := io.ReadFull(m.r, make([]byte, 1))
		if n > 0 {
			return 0, fmt.Errorf("the archive unpacks to more than %d bytes", m.most)
		}
		return 0, err
	}
	n, err := m.r.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if m.take != nil && n > 0 {
		if err := m.take(n); err != nil {
			return 0, err
		}
	}
	return n, err
}

// drain reads what follows the end mark, so that a gzip stream is checked to
// its end. Only padding may follow.
func (m *meter) drain(buf []byte) error {
	for {
		n, err := m.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return errors.New("data follows the end of the archive")
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
