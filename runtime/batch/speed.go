package batch

import "time"

// PerRow is what a row is expected to take in the best batch that has been
// run, of as many as go on at the same time; 0 while nothing has been.
func (s *Session) PerRow() time.Duration {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	var best time.Duration
	for i := range s.times {
		if t := s.times[i].took >> i; t > 0 && (best == 0 || t < best) {
			best = t
		}
	}
	return best / time.Duration(s.options.Runs)
}
