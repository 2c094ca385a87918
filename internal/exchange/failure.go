package exchange

import (
	"errors"
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/response"
	"github.com/livemigration/livemigration-go/internal/retry"
)

// Failure is how an attempt ended that did not succeed. The zero value is none.
type Failure struct {
	// Response is what the server responded, nil when it did not, or not in a usable way. Then Err says what happened.
	Response *response.Error
	Err      error
	// TooLate is why the attempt was not made: its turn within the rate limit.
	TooLate *pacing.TooLate
	// Text is the failure in one line, redacted.
	Text string
	// Limit is set when the server asks for a longer wait than a call makes: it is the longest one.
	Limit time.Duration
	// ID is that of the job which was created, where the part of the response that arrived shows it.
	ID string

	// transient: another attempt may succeed.
	transient bool
	// undone: the server has not carried the request out, because it did not get it or because it said so.
	undone bool
	// lost: it is not known what became of the request.
	lost bool
}

// None reports whether there is no failure.
func (f *Failure) None() bool { return f.Err == nil }

func (f *Failure) status() int {
	if f.Response == nil {
		return 0
	}
	return f.Response.StatusCode
}

// classify reads the error of an attempt.
func classify(err error, sent *delivery.State) Failure {
	unsent := sent.Unsent()
	var noToken *bearer.TokenError
	if errors.As(err, &noToken) && !sent.Arrived() {
		unsent = true // it has not been sent, or was rejected with the token before
	}
	f := Failure{Err: retry.WithoutURL(err), undone: unsent}
	var broken *response.Unusable
	if errors.As(err, &broken) {
		f.ID = broken.ID
	}
	switch {
	case errors.As(err, &f.TooLate):
		f.Err, f.undone = f.TooLate, true
	case !errors.As(err, &f.Response):
		f.transient = !retry.Permanent(err)
		f.lost = !unsent
	default:
		f.readStatus(unsent)
	}
	return f
}

func (f *Failure) readStatus(unsent bool) {
	r := f.Response
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		// If the nonce expired a second time while the request was under way, it is rejected whatever the keys are.
		f.transient = r.StaleNonce
		f.undone = f.undone || r.StaleNonce
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusServiceUnavailable && r.RetryAfterGiven:
		f.transient, f.undone = true, true
	case retry.Passing(r.StatusCode):
		// Whoever says so may have passed the request on, and whoever failed may have carried it out first.
		f.transient, f.lost = true, !unsent
	}
}
