package livemigrationtest

import (
	"strconv"
	"sync"
	"time"
)

// maxNonces bounds how many nonces a node remembers; the oldest ones are forgotten first.
const maxNonces = 10_000

// nonces are those of HTTP Digest that one node has issued.
type nonces struct {
	mu    sync.Mutex
	known map[string]*nonce
	order []string // of issue
}

type nonce struct {
	issued time.Time
	counts countSet
}

func (n *nonces) add(value string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[string]*nonce)
	}
	if len(n.order) == maxNonces {
		delete(n.known, n.order[0])
		n.order = n.order[1:]
	}
	n.known[value] = &nonce{issued: now}
	n.order = append(n.order, value)
}

// redeem uses up one count of a nonce, if there are counts. A nonce that was issued at the earliest time or before it
// has expired; the zero time means that none has.
func (n *nonces) redeem(value, count string, earliest time.Time, counted bool) (fresh, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, known := n.known[value]
	if !known || !found.issued.After(earliest) {
		return false, true
	}
	if !counted {
		return true, true
	}
	number, err := strconv.ParseUint(count, 16, 32)
	if err != nil || len(count) != 8 {
		return true, false
	}
	return true, found.counts.add(uint32(number))
}

func (n *nonces) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known, n.order = nil, nil
}

// countSet remembers which nonce counts were used. Concurrent requests overtake each other, so counts arrive in any
// order; those up to floor have all been used.
type countSet struct {
	floor uint32
	above map[uint32]struct{}
}

// add reports whether the count is new. Counts start at 1.
func (s *countSet) add(count uint32) bool {
	if _, used := s.above[count]; used || count <= s.floor {
		return false
	}
	if count != s.floor+1 {
		if s.above == nil {
			s.above = make(map[uint32]struct{})
		}
		s.above[count] = struct{}{}
		return true
	}
	s.floor = count
	for _, used := s.above[s.floor+1]; used; _, used = s.above[s.floor+1] {
		s.floor++
		delete(s.above, s.floor)
	}
	return true
}
