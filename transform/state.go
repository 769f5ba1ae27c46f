package transform

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/claryhq/clary/artifact/store"
	"golang.org/x/sys/unix"
)

// stateDir is where a stopped run is taken up.
func (j *Job) stateDir() string {
	dir := j.State
	if dir == "" && strings.HasPrefix(j.Output, "s3://") {
		sum := sha256.Sum256([]byte(j.Input + "\x00" + j.Output))
		dir = filepath.Join(os.TempDir(), "clary-transform-"+hex.EncodeToString(sum[:8]))
	} else if dir == "" {
		dir = filepath.Join(j.Output, ".clary-transform")
	}
	if j.Shards > 0 {
		dir = filepath.Join(dir, fmt.Sprintf("shard-%d-of-%d", j.Shard, j.Shards))
	}
	return dir
}

// fingerprint is of all that the output depends on but the objects.
func (j *Job) fingerprint() string { return j.fingerprintOf(j.Multi, j.MaxPayload) }

func (j *Job) fingerprintOf(multi bool, payload int) string {
	return fmt.Sprintf("%q %q %q %q %d %v %d %v %v %q %q %v %v", j.Model, j.Input, j.ContentType, j.Accept, j.Split, multi,
		payload, j.AssembleLine, j.Gzip, j.InputFilter, j.OutputFilter, j.Join, j.InferenceID)
}

// state is a folder: done lists the objects that are finished, and of each one
// begun there are its output so far and a journal of how far that is.
type state struct {
	dir         string
	fingerprint string
	lock        *os.File

	mu       sync.Mutex // guards finished and list
	finished map[string]bool
	list     *os.File
}

// openState opens the folder of j, of which it changes what an earlier run had
// been advised.
func openState(j *Job) (*state, error) {
	dir := j.stateDir()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	s := &state{dir: dir, finished: map[string]bool{}}
	var err error
	if s.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another run of this job: wait for it, or give each a --shard: %w", dir, err), s.lock.Close())
	}
	if s.list, err = os.OpenFile(filepath.Join(dir, "done"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("state: %w", err), s.lock.Close())
	}
	for lines := bufio.NewScanner(s.list); lines.Scan(); {
		s.finished[lines.Text()] = true
	}
	if j.Advised {
		if err := s.settle(j); err != nil {
			return nil, errors.Join(err, s.close(false))
		}
	}
	s.fingerprint = j.fingerprint()
	return s, nil
}

// settle keeps what j was advised for its next run, or gives it what an
// earlier one was.
func (s *state) settle(j *Job) error {
	sum := sha256.Sum256([]byte(j.fingerprintOf(false, -1)))
	name := filepath.Join(s.dir, "advice-"+hex.EncodeToString(sum[:8]))
	var multi bool
	var payload int
	text, err := os.ReadFile(name)
	if n, _ := fmt.Sscanf(string(text), "%t %d.", &multi, &payload); err == nil && n == 2 && payload > 0 && strings.HasSuffix(string(text), ".") {
		j.Multi, j.MaxPayload = multi, payload
		return nil
	}
	if err := os.WriteFile(name, fmt.Appendf(nil, "%t %d.", j.Multi, j.MaxPayload), 0o666); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// key is of an object as it is now, for this job.
func (s *state) key(o store.Object) string {
	sum := sha256.Sum256([]byte(s.fingerprint + "\x00" + o.Name + "\x00" + o.Version))
	return hex.EncodeToString(sum[:16])
}

func (s *state) done(o store.Object) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished[s.key(o)]
}

func (s *state) finish(o store.Object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.list.WriteString(s.key(o) + "\n")
	s.finished[s.key(o)] = true
	return err
}

// drop forgets an object's part.
func (s *state) drop(o store.Object) {
	for _, suffix := range []string{".part", ".journal"} {
		_ = os.Remove(filepath.Join(s.dir, s.key(o)+suffix)) // there may be none
	}
}

// close gives the folder back, and removes it after a job that is complete.
func (s *state) close(complete bool) error {
	err := s.list.Close()
	if complete {
		err = errors.Join(err, os.RemoveAll(s.dir))
		_ = os.Remove(filepath.Dir(s.dir)) // if it was made for shards and is empty now
	}
	return errors.Join(err, s.lock.Close())
}

// A place is how far an object has come.
type place struct {
	in, out, records int64 // bytes of the (decompressed) input, of the output; records
}

// A part is an object's output so far. A line of its journal is true of what
// is on the disk: the part is synchronised before it.
type part struct {
	file, journal *os.File
	at            place
	synced        time.Time
}

// syncEvery bounds what is done again after a kill.
const syncEvery = time.Second

// open returns an object's part, cut back to what its journal vouches for.
func (s *state) open(o store.Object) (p *part, err error) {
	p = &part{synced: time.Now()}
	base := filepath.Join(s.dir, s.key(o))
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.file, err = os.OpenFile(base+".part", os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return p, err
	}
	if p.journal, err = os.OpenFile(base+".journal", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666); err != nil {
		return p, err
	}
	info, err := p.file.Stat()
	if err != nil {
		return p, err
	}
	torn := false
	for lines := bufio.NewScanner(p.journal); lines.Scan(); {
		var at place
		n, _ := fmt.Sscanf(lines.Text(), "%d %d %d.", &at.in, &at.out, &at.records)
		if torn = n != 3 || !strings.HasSuffix(lines.Text(), ".") || at.out > info.Size(); torn {
			break
		}
		p.at = at
	}
	if torn { // or the next line would begin behind half of one, or follow others' that were never true of this part
		if err = p.journal.Truncate(0); err == nil {
			err = p.note()
		}
	}
	if err == nil {
		err = p.file.Truncate(p.at.out)
	}
	if err == nil {
		_, err = p.file.Seek(p.at.out, 0)
	}
	return p, err
}

// add appends the output of records that end at in.
func (p *part) add(output []byte, in, records int64) error {
	n, err := p.file.Write(output)
	if err != nil {
		return err
	}
	p.at.out += int64(n)
	p.at.in, p.at.records = in, records
	if time.Since(p.synced) < syncEvery {
		return nil
	}
	return p.note()
}

// reset cuts the part back to nothing.
func (p *part) reset() error {
	p.at = place{}
	if err := errors.Join(p.journal.Truncate(0), p.file.Truncate(0)); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// note writes down how far the part has come.
func (p *part) note() error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.synced = time.Now()
	_, err := fmt.Fprintf(p.journal, "%d %d %d.\n", p.at.in, p.at.out, p.at.records)
	return err
}

func (p *part) close() {
	for _, f := range []*os.File{p.file, p.journal} {
		if f != nil {
			_ = f.Close() // what counts has been synchronised
		}
	}
}
