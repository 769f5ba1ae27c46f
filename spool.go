package clary

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// spoolMemory is how much of a reply waits in memory; more goes to a file.
const spoolMemory = 4 << 20

var errSpool = errors.New("the client sends and does not read, and more of the reply waits for it than is kept (CLARY_SPOOL_BYTES)")

// A spool holds what has been written of a reply and not been taken by the
// client: a little in memory, more in a temporary file that has no name. One
// goroutine puts, one takes.
type spool struct {
	most int64 // bytes in the file

	mu      sync.Mutex // guards what follows
	changed sync.Cond
	memory  []byte
	spare   []byte // what take gave last
	file    *os.File
	read    int64 // of the file
	wrote   int64
	waits   bool // put waits for room in memory
	closed  bool
	err     error // why nothing more is taken
}

func newSpool(most int64) *spool {
	s := &spool{most: most}
	s.changed.L = &s.mu
	return s
}

// put adds b, of which it keeps nothing.
func (s *spool) put(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waits && s.err == nil && s.pending() > 0 && s.pending()+int64(len(b)) > spoolMemory {
		s.changed.Wait()
	}
	defer s.changed.Broadcast()
	switch {
	case s.err != nil:
		return s.err
	case s.wrote == s.read && (len(s.memory) == 0 || len(s.memory)+len(b) <= spoolMemory):
		s.memory = append(s.memory, b...)
		return nil
	case s.wrote-s.read+int64(len(b)) > s.most:
		return errSpool
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return fmt.Errorf("the reply cannot be spooled: %w", err)
		}
	}
	n, err := s.file.WriteAt(b, s.wrote)
	s.wrote += int64(n)
	if err != nil {
		return fmt.Errorf("the reply cannot be spooled: %w", err)
	}
	return nil
}

// open makes the file. It is gone with the process, however that ends.
func (s *spool) open() error {
	f, err := os.CreateTemp("", "clary-spool-")
	if err != nil {
		return err
	}
	s.file = f
	return os.Remove(f.Name())
}

func (s *spool) pending() int64 { return int64(len(s.memory)) + s.wrote - s.read }

// take waits for the next bytes and returns them, until the next call; nil at
// the end.
func (s *spool) take() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.pending() == 0 && !s.closed && s.err == nil {
		s.changed.Wait()
	}
	defer s.changed.Broadcast()
	switch {
	case s.err != nil:
		return nil, s.err
	case len(s.memory) > 0:
		s.memory, s.spare = s.spare[:0], s.memory
		return s.spare, nil
	case s.wrote == s.read:
		return nil, nil
	}
	b := s.spare[:0]
	if cap(b) == 0 {
		b = make([]byte, 0, spoolMemory/16)
	}
	b = b[:min(int64(cap(b)), s.wrote-s.read)]
	s.spare = b
	n, err := s.file.ReadAt(b, s.read)
	if err != nil {
		return nil, fmt.Errorf("what was spooled of the reply cannot be read: %w", err)
	}
	if s.read += int64(n); s.read == s.wrote {
		s.read, s.wrote = 0, 0
		if err := s.file.Truncate(0); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// wait makes put wait for the client from now on: it need not send any more,
// so it will read. It returns how much it has yet to take.
func (s *spool) wait() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = true
	return s.pending()
}

// end says that nothing more is put: take gives what is there, or err.
func (s *spool) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.err == nil {
		s.err = err
	}
	s.changed.Broadcast()
}

// close frees the file, when nobody puts or takes any more. It returns why not
// all was taken.
func (s *spool) close() error {
	if s.file != nil {
		return errors.Join(s.err, s.file.Close())
	}
	return s.err
}
