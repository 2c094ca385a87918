package pacing

import (
	"math/rand/v2"
	"time"
)

const (
	// defaultPer is the assumed time in which an empty bucket fills, until the server says otherwise.
	defaultPer = time.Minute
	// assumedLimit is the assumed size of a bucket, where all that is known is that it was empty.
	assumedLimit = 100
	// Polls leave one part in reserveShare of a bucket to calls.
	reserveShare = 10
	// Calls are spread too, once less than one part in freeShare is left.
	freeShare = 4
	// A call waits for at most one part in guessShare of defaultPer, where the server has not asked it to wait.
	guessShare = 10
	// longest bounds every time that the server names. After it, a request finds out whether that is still so.
	longest = time.Hour
	// maxJitter spreads requests that have to wait for the same time, such as those of other processes.
	maxJitter = time.Second
	// A bucket without reports is forgotten after keptFor.
	keptFor = time.Hour
)

// budget is what is known of one of the server's token buckets, and when the next request may be made of it.
//
// The server does not say when it fills the bucket next. Polls are spread over the estimated time until then; without an
// estimate, over the time that filling takes. The fewer tokens are left, the longer are the gaps, so the bucket does not
// get empty. Calls are spread only once most of it is spent.
type budget struct {
	limit int           // -1: not known
	left  int           // estimate: what was reported, less what has been sent since
	per   time.Duration // in which it fills
	told  bool          // per is what the server says

	nextRefill time.Time // an estimate; not known once it has passed
	hold       time.Time // no request is sent before
	last       time.Time // when the last request was sent
	lastPoll   time.Time
	heard      time.Time // the last report

	// Reports arrive in another order than their requests were sent. Two reports can be compared only if the request of
	// the later one was sent after the first had arrived. Then more tokens mean that the bucket has been filled.
	reports   uint64
	reference int    // tokens left at the report that others are compared with
	asOf      uint64 // its number
	inFlight  int
}

// newBudget is of a bucket of which the first response has just arrived.
func newBudget(now time.Time) *budget { return &budget{limit: -1, per: defaultPer, last: now} }

// Report is what the response to a request says about the bucket that the request was made of.
type Report struct {
	Limit, Remaining int // -1: not said
	// Rejected says that the bucket was empty, and the request was not carried out.
	Rejected bool
	// RetryAfter is the wait that was asked for.
	RetryAfter time.Duration
	// Per is the time in which an empty bucket fills, 0 when it was not said.
	Per time.Duration
}

// Silent reports whether the server says nothing about limits.
func (r Report) Silent() bool { return r.Limit < 0 && r.Remaining < 0 && !r.Rejected }

func (b *budget) held(now time.Time) time.Duration { return b.hold.Sub(now) }

func (b *budget) delay(now time.Time, class Class, queued bool) time.Duration {
	if wait := b.held(now); wait > 0 {
		return wait
	}
	wait := b.spread(now, class, queued)
	if class == Call && !b.told {
		// A guess may be wrong, and then the call would wait for nothing.
		return min(wait, b.last.Add(defaultPer/guessShare).Sub(now))
	}
	return wait
}

// spread is the wait that spreads the requests over the time until the bucket fills.
func (b *budget) spread(now time.Time, class Class, queued bool) time.Duration {
	switch {
	case b.limit >= 0 && !now.Before(b.nextRefill) && b.last.Before(b.nextRefill):
		return 0 // the bucket should be full, and this request finds out
	case b.limit < 0 || b.free(class) > 0:
		return b.last.Add(b.gap(now, class, queued)).Sub(now)
	case class == Poll: // it gets a turn even if calls keep the bucket low for ever
		return min(b.untilRefill(now), b.lastPoll.Add(b.per).Sub(now))
	default:
		return b.untilRefill(now)
	}
}

// untilRefill is the wait for an empty bucket to fill. If that should have happened already, it is the wait until the
// next request that finds out.
func (b *budget) untilRefill(now time.Time) time.Duration {
	if now.Before(b.nextRefill) {
		return b.nextRefill.Sub(now)
	}
	return b.last.Add(b.per).Sub(now)
}

// step is the gap between requests when the bucket is spent as fast as it fills.
func (b *budget) step(class Class) time.Duration {
	if b.limit < 0 {
		return b.per / assumedLimit
	}
	most := b.limit
	if class == Poll {
		most -= b.reserve()
	}
	return b.per / time.Duration(max(1, most))
}

func (b *budget) gap(now time.Time, class Class, queued bool) time.Duration {
	switch free := time.Duration(b.free(class)); {
	case b.limit < 0 && queued:
		return b.per / assumedLimit
	case b.limit < 0 || class == Call && !queued && b.left > b.limit/freeShare:
		return 0
	case free <= 0:
		return b.per / time.Duration(b.limit)
	case now.Before(b.nextRefill):
		return b.nextRefill.Sub(now) / free
	default:
		return b.per / free
	}
}

// free is what the class may spend.
func (b *budget) free(class Class) int {
	if class == Poll {
		return b.left - b.reserve()
	}
	return b.left
}

// reserve is what polls leave to calls.
func (b *budget) reserve() int { return max(1, b.limit/reserveShare) }

func (b *budget) spend(now time.Time, class Class) {
	b.last = now
	if class == Poll {
		b.lastPoll = now
	}
	b.left = max(0, b.left-1)
}

// restore takes a request back that has brought no response.
func (b *budget) restore() {
	b.inFlight--
	b.left = min(b.left+1, max(0, b.limit))
}

// sent notes a request on its way, and returns the number of the last report before it.
func (b *budget) sent() uint64 {
	b.inFlight++
	return b.reports
}

// report takes in the response to a request that was sent after the report with the number asOf. It returns whether
// everybody has to wait longer.
func (b *budget) report(now time.Time, asOf uint64, r Report) (held bool) {
	b.inFlight--
	b.reports++
	b.heard = now
	if r.Per > 0 {
		b.per, b.told = min(r.Per, longest), true
	}
	switch {
	case r.Rejected:
		if r.Limit > 0 {
			b.limit = r.Limit
		}
		return b.holdEverybody(now, r.RetryAfter)
	case r.Remaining < 0:
		b.limit = -1
		return false
	}
	if limit := max(r.Limit, r.Remaining, 1); limit != b.limit {
		if b.limit = limit; r.Per == 0 { // the time was that of another bucket
			b.per, b.told = defaultPer, false
		}
	}
	switch {
	case asOf < b.asOf: // it may be older than what is known
		b.left = min(b.left, r.Remaining)
		return false
	case b.asOf > 0 && r.Remaining >= b.reference:
		b.nextRefill = now.Add(b.per)
	}
	b.left, b.reference, b.asOf = max(0, r.Remaining-b.inFlight), r.Remaining, b.reports
	return false
}

// holdEverybody makes all wait until the server may have tokens again.
func (b *budget) holdEverybody(now time.Time, wait time.Duration) bool {
	b.left, b.reference, b.asOf = 0, 0, b.reports
	if wait <= 0 {
		if b.limit > 0 {
			b.nextRefill = now.Add(b.per / time.Duration(b.limit))
		}
		return false
	}
	wait = min(wait, longest)
	until := now.Add(wait + rand.N(min(wait/4, maxJitter)+1))
	if !until.After(b.hold) {
		return false
	}
	b.hold, b.nextRefill = until, until
	return true
}

// stale reports whether what is known is too old to count.
func (b *budget) stale(now time.Time) bool {
	return b.inFlight == 0 && now.Sub(b.heard) > keptFor && now.After(b.hold)
}
