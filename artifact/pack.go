package artifact

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Pack writes dir as a model.tar.gz that [Open] and SageMaker accept. The same
// files give the same bytes: entries are sorted and carry neither times nor
// owners. Hidden files and a model.tar.gz at the root, an earlier package, are
// left out. A link, and a folder in which no model can be found, are errors;
// then what w got is no archive.
func Pack(w io.Writer, dir string) error {
	if _, err := locate(dir); err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case hidden(e.Name()) && e.IsDir():
			return fs.SkipDir
		case hidden(e.Name()), rel == archiveName:
			return nil
		case e.IsDir():
			return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.ToSlash(rel) + "/", Mode: 0o755})
		case e.Type().IsRegular():
			return packFile(tw, path, filepath.ToSlash(rel))
		case e.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link, which SageMaker refuses: put the file itself in its place (cp -L)", path)
		}
		return fmt.Errorf("%s is neither a file nor a folder", path)
	})
	if err != nil {
		return err
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

func packFile(tw *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644}); err != nil {
		return err
	}
	n, err := io.Copy(tw, f)
	if err == nil && n != info.Size() {
		err = fmt.Errorf("it shrank from %d to %d bytes", info.Size(), n)
	}
	if err != nil {
		return fmt.Errorf("packing %s: %w", path, err)
	}
	return nil
}
