package faultmatrix

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	lm "github.com/livemigration/livemigration-go"
	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// resultOf reads an error as a user would. An error that the matrix has no name for is a problem.
func resultOf(ctx context.Context, err error) (Result, error) {
	if err == nil {
		return Result{}, nil
	}
	var (
		r       Result
		unknown *lm.OutcomeUnknownError
		api     *lm.APIError
	)
	r.Unknown = errors.As(err, &unknown)
	if errors.As(err, &api) {
		r.Status = api.StatusCode
	}
	r.Cause = causeOf(ctx, err, api != nil)
	if r.Status == 0 && r.Cause == "" {
		return r, fmt.Errorf("an error that the matrix has no name for: %w", err)
	}
	return r, nil
}

// causeOf asks the most telling question first.
func causeOf(ctx context.Context, err error, status bool) Cause {
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	says := func(text string) bool { return strings.Contains(err.Error(), text) }
	var (
		certificate *tls.CertificateVerificationError
		header      tls.RecordHeaderError
		dns         *net.DNSError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case ctx.Err() != nil && is(context.DeadlineExceeded):
		return Deadline
	case ctx.Err() != nil && is(context.Canceled):
		return Cancelled
	case status:
		return ""
	case errors.As(err, &certificate):
		return Certificate
	case errors.As(err, &dns):
		return NoHost
	case is(syscall.ECONNREFUSED):
		return Refused
	case errors.As(err, &timeout) && timeout.Timeout(), says("no response within"):
		return TimedOut
	case errors.As(err, &header), says("tls: "):
		return BadTLS
	case says("headers exceeded"):
		return EndlessHead
	case says("malformed HTTP"):
		return NotHTTP
	case is(syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF), says("server closed idle connection"), says("unexpected EOF"), says("stream error"), says("ended before a response"), says("GOAWAY"):
		return Broken
	case says("unexpected response"), says("oauth/token: no token"), says("no access token"), says("bearer token"), says("larger than 64"), says("instead of asking for them"):
		return BadBody
	default:
		return ""
	}
}

// checkError holds an error against what is promised of all.
func (r *report) checkError(ctx context.Context, c Cell) {
	if created := lm.MayHaveCreated(r.err); created != (r.Result.Unknown && c.Operation.class == creating) {
		r.problem("MayHaveCreated says %t", created)
	}
	if r.err == nil {
		return
	}
	text := r.err.Error()
	if !strings.HasPrefix(text, "livemigration: ") || strings.Count(text, "livemigration: ") > 1 || strings.Contains(text, "\n") {
		r.problem("the message is not one line that names the library once: %q", text)
	}
	if errors.Is(r.err, lm.ErrOutcomeUnknown) != r.Result.Unknown {
		r.problem("ErrOutcomeUnknown and *OutcomeUnknownError do not agree")
	}
	if ctx.Err() == nil && (errors.Is(r.err, context.DeadlineExceeded) || errors.Is(r.err, context.Canceled)) {
		r.problem("the error is a context's, and the context has not ended: %v", r.err)
	}
	var api *lm.APIError
	if !errors.As(r.err, &api) {
		return
	}
	// When a context ends within an attempt, the APIError is that of the attempt before.
	if api.Attempts != r.Attempts && (ctx.Err() == nil || api.Attempts != r.Attempts-1) {
		r.problem("the APIError tells of %d attempts, the response of %d", api.Attempts, r.Attempts)
	}
	for sentinel, holds := range sentinels(api.StatusCode) {
		if errors.Is(r.err, sentinel) != holds {
			r.problem("status %d and errors.Is(err, %q) do not agree", api.StatusCode, sentinel)
		}
	}
}

// checkTokens holds a call of a service account against what is promised of all, and counts the requests for a token.
func (r *report) checkTokens(c Cell, s *subject) (tokens int) {
	for _, request := range s.Recorded() {
		switch request.Operation {
		case lmtest.IssueToken:
			tokens++
		case lmtest.Handshake:
			r.problem("a request without an access token has arrived: %v", request)
		}
	}
	if c.Fault.account != none && errors.Is(r.err, lm.ErrOutcomeUnknown) {
		r.problem("no token, no request: its outcome is known: %v", r.err)
	}
	var api *lm.APIError
	if c.Fault.account != atEndpoint || c.Fault.effect == tokenRejected || !errors.As(r.err, &api) {
		return tokens
	}
	if api.Method != http.MethodPost || api.Path != tokenPath {
		r.problem("the APIError is about %s %s, and not about the request for a token", api.Method, api.Path)
	}
	return tokens
}

// checkID compares the id of an error about a job that may have been created with the job.
func (r *report) checkID(c Cell, s *subject) {
	var unknown *lm.OutcomeUnknownError
	if !errors.As(r.err, &unknown) || unknown.ID == "" {
		return
	}
	jobs := s.Migrations()
	if last := string(jobs[len(jobs)-1].ID); c.Operation.Name != lmtest.CreateMigration || unknown.ID != last || r.Change != 1 {
		r.problem("the OutcomeUnknownError has the id %s, and the last job %s", unknown.ID, last)
	}
}

func sentinels(status int) map[error]bool {
	return map[error]bool{
		lm.ErrBadRequest: status == 400, lm.ErrUnauthorized: status == 401, lm.ErrForbidden: status == 403, lm.ErrNotFound: status == 404,
		lm.ErrConflict: status == 409, lm.ErrVersionGone: status == 410, lm.ErrRateLimited: status == 429, lm.ErrServer: status >= 500,
	}
}

// differs says what is not as it must be.
func (r *report) differs(want Expectation) []string {
	problems := r.problems
	got := r.Expectation
	got.exception, want.exception = nil, nil
	if got != want {
		problems = append(problems, fmt.Sprintf("got %s in %d attempts, want %s in %d attempts; the error is: %v", got, got.Attempts, want, want.Attempts, r.err))
	}
	return problems
}
