package faultmatrix

import (
	"slices"
	"time"

	lm "github.com/livemigration/livemigration-go"
	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// How long things take on virtual time, with the client's defaults.
const (
	contextEnd = 10 * time.Second // when a context that is to end does
	headLimit  = 64 << 10         // of a response: the 10 MiB of net/http's default take their time
)

// retryAfter are the values of that header.
var retryAfter = map[wait]time.Duration{soon: 2 * time.Second, late: 20 * time.Second, tooLate: time.Hour}

// venue is where a cell is run. The same must come out of it in all venues.
type venue struct {
	name    string
	tls     bool
	warm    bool // a call has been made before
	wrapped bool // the client's transport is one around net/http's
	account bool // the credentials are those of a service account, whatever the fault is about
	version lm.APIVersion
	brief   bool // one operation of each class, and not the second attempt: the first one has shown that it is no other
}

// venues are all of them. The first has everything but TLS.
func venues() []venue {
	return []venue{
		{name: "HTTP", version: lm.APIv2},
		{name: "HTTPS", version: lm.APIv2, brief: true, tls: true},
		{name: "second call", version: lm.APIv2, brief: true, warm: true},
		{name: "another transport", version: lm.APIv2, brief: true, wrapped: true},
		{name: "service account", version: lm.APIv2, brief: true, account: true},
		{name: "v1.0", version: lm.APIv1, brief: true},
	}
}

// suits reports whether a fault can be had in the venue, and depends on it.
func (v venue) suits(f *Fault) bool {
	switch {
	case v.tls:
		return f.wire != nil && !f.wire.plainOnly
	case f.wire != nil && f.wire.tlsOnly:
		return false
	case v.warm:
		return !f.warm && !f.coldOnly && (!f.beforehand || f.account != none)
	case v.wrapped:
		return f.aboutConnection() && !f.warm // through a transport that is not net/http's, a change has no own connection
	case v.account:
		// A token is fetched on the connection that the operation then reuses, so that net/http sends a broken GET again.
		return f.account == none && f.wire == nil && !f.warm && !f.aboutDigest() && f.result.Cause != Broken
	case v.version == lm.APIv1:
		return f.wire == nil
	default:
		return true
	}
}

// cells are those of a fault that are run in the venue.
func (v venue) cells(f *Fault) []Cell {
	return slices.DeleteFunc(f.cells(), func(c Cell) bool {
		op := c.Operation
		// net/http sends a GET again when it breaks on the connection of the challenge, and Atlas rejects the repeated nonce
		// count. In a transport that is not net/http's the client does not see why, and returns the 401.
		again := v.wrapped && op.class == reading && f.effect == outcomeLost && f.result.Cause == Broken
		elsewhere := op.onSource() && (v.account || v.version == lm.APIv1)
		spared := v.brief && (c.Strikes == Second || !slices.Contains(classes, op.Name))
		return again || elsewhere || spared
	})
}

// classes are an operation of each class.
var classes = []lmtest.Operation{
	lmtest.GetMigration, lmtest.CreateValidation, lmtest.DeleteLinkToken, lmtest.Cutover, lmtest.CreateMigration,
}
