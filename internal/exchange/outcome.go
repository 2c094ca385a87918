package exchange

import (
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/retry"
)

// Verdict is what came of a call.
type Verdict int

const (
	// Done: the server has carried the request out.
	Done Verdict = iota
	// Failed: it has not, or carrying it out again is harmless. The failure says why.
	Failed
	// Unknown: it may have been carried out, and sending it again is not safe.
	Unknown
)

// Outcome is what came of a call.
type Outcome struct {
	Verdict Verdict
	// Failure is how the last attempt ended, and Before how the one before it did.
	Failure, Before Failure
	// Ended is what ended the caller's context, nil while that goes on. Waiting says that it ended between two attempts.
	Ended   error
	Waiting bool
	// Attempts is how many times the request was made, and Duration how long that took with the waits in between.
	Attempts int
	Duration time.Duration
	// Status and Header are those of the last response; 0 and nil when there was none.
	Status    int // that of the envelope if one was asked for
	Header    http.Header
	RequestID string // of that response, redacted
}

func (c *call) outcome(v Verdict) Outcome {
	o := Outcome{
		Verdict: v, Failure: c.failure, Before: c.before, Ended: retry.ContextError(c.ctx), Waiting: c.waiting,
		Attempts: c.attempts, Duration: time.Since(c.begun), Status: c.status,
	}
	if c.response != nil {
		o.Header = c.response.Header
		if v == Unknown {
			o.RequestID = c.redactor().Clean(o.Header.Get("X-Request-Id"))
		}
	}
	return o
}

func (c *call) neverBegun(err error) Outcome {
	err = c.redactor().Error(err)
	c.failure = Failure{Err: err, Text: err.Error()}
	return c.outcome(Failed)
}

// finish judges a call whose last attempt failed.
func (c *call) finish() Outcome {
	f, e := &c.failure, c.Endpoint
	maybeDone := c.maybeDone || c.delivery.TwiceOverH2()
	rejected := f.status()/100 == 4 || f.TooLate != nil
	switch {
	case c.waiting: // the context ended before the next attempt
		return c.outcome(Failed)
	case e.Retry == endpoint.Unsent && f.lost:
		return c.outcome(Unknown)
	case maybeDone && f.status() == http.StatusNotFound && e.Rejection == endpoint.NotFoundIsDone:
		return c.outcome(Done)
	case maybeDone && rejected && e.Rejection == endpoint.MayBeDone:
		return c.outcome(Unknown)
	default:
		return c.outcome(Failed)
	}
}
