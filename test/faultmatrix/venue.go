package faultmatrix

import (
	"maps"
	"time"

	lm "github.com/livemigration/livemigration-go"
)

// promptness is by how much a call may outlive its context.
const promptness = 50 * time.Millisecond

// venue is where a cell is run. The same must come out of it in all venues.
type venue struct {
	name      string
	inProcess bool // else over sockets
	tls       bool
	warm      bool // a call has been made before
	wrapped   bool // the client's transport is one around net/http's
	account   bool // the credentials are those of a service account, whatever the fault is about
	version   lm.APIVersion

	policy     lm.RetryPolicy
	attempt    time.Duration // how long an attempt that is to time out may take
	contextEnd time.Duration // when a context that is to end does
	retryAfter map[wait]time.Duration
	headLimit  int64 // of a response; 0 is net/http's own
}

// sockets are the venues with real connections. The first has everything; the others leave out what takes its time, or
// what does not depend on them.
func sockets() []venue {
	plain, secure := overSockets("HTTP"), overSockets("HTTPS")
	warm, wrapped := overSockets("HTTP, second call"), overSockets("HTTP, another transport")
	secure.tls, warm.warm, wrapped.wrapped = true, true, true
	return []venue{plain, secure, warm, wrapped}
}

// inProcess is for virtual time, on which the client's defaults can be waited for.
func inProcess(version lm.APIVersion) venue {
	return venue{
		name: "in process, " + version.String(), inProcess: true, version: version,
		attempt: 30 * time.Second, contextEnd: 10 * time.Second,
		retryAfter: map[wait]time.Duration{soon: 2 * time.Second, late: 20 * time.Second, tooLate: time.Hour},
	}
}

// overSockets is for real connections and real time.
func overSockets(name string) venue {
	return venue{
		name: name, version: lm.APIv2,
		policy:  lm.RetryPolicy{BaseBackoff: 2 * time.Millisecond, MaxBackoff: 4 * time.Millisecond},
		attempt: 300 * time.Millisecond, contextEnd: 300 * time.Millisecond,
		retryAfter: map[wait]time.Duration{soon: 0, late: time.Second, tooLate: time.Hour},
		headLimit:  64 << 10, // reading the 10 MiB of the default takes its time
	}
}

// patient is the venue with more time for everything that takes time. An attempt still takes less than the 0.9 s that
// net/http waits before it sends a request a third time over HTTP/2.
func (v venue) patient() venue {
	longer := func(d time.Duration) time.Duration { return 5 * d / 2 }
	v.attempt, v.contextEnd = longer(v.attempt), longer(v.contextEnd)
	v.retryAfter = maps.Clone(v.retryAfter)
	v.retryAfter[late] = longer(v.retryAfter[late])
	return v
}

// suits reports whether a fault can be had in the venue.
func (v venue) suits(f *Fault) bool {
	switch {
	case v.account:
		return f.account == none && f.wire == nil && !f.warm && !f.sockets && !f.aboutDigest()
	case f.account != none:
		return v.suitsAccount(f)
	case v.inProcess:
		return f.wire == nil && !f.warm && !f.sockets
	case v.warm && (f.beforehand || f.warm || f.coldOnly):
		return false
	case f.wire != nil && f.wire.overH2():
		return v.tls
	case f.wire != nil && f.wire.dead:
		return !v.warm
	case (v.tls || v.warm || v.wrapped) && f.costly(), (v.warm || v.wrapped) && f.ends != never, (v.tls || v.wrapped) && f.arrives():
		return false
	case f.wire == nil:
		return true
	default:
		return !(v.tls && f.wire.plainOnly) && !(!v.tls && f.wire.tlsOnly)
	}
}

// suitsOperation reports whether an operation can be had in the venue.
func (v venue) suitsOperation(op *Operation) bool {
	return !op.onSource() || !v.account && v.version != lm.APIv1
}

// suitsAccount is suits for service accounts. After another call the token of that one dies, so that the request for
// the next one comes in the middle of an attempt.
func (v venue) suitsAccount(f *Fault) bool {
	switch {
	case v.inProcess:
		return true
	case v.warm && (f.warm || f.coldOnly), (v.warm || v.wrapped) && (f.costly() || f.ends != never):
		return false
	default:
		return !v.tls
	}
}
