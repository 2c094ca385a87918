package livemigration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/auth/bearer"
)

// RetryPolicy says how often a request is repeated, and after what time. A zero field stands for its default.
//
// What may be repeated is not configurable: a request that creates something is repeated only when Atlas cannot have
// carried it out.
type RetryPolicy struct {
	// MaxAttempts is how often a request is made at the most, the first time included. Default: 5. 1 means no repeat.
	MaxAttempts int
	// MinBackoff is the most that the first wait lasts; each further one may last twice as long. Waits are drawn at
	// random between nothing and that. Default: 1 second.
	MinBackoff time.Duration
	// MaxBackoff is where that growth ends. Default: 30 seconds. When Atlas asks for a wait, that wait is kept to and
	// extended; a request for more than ten times MaxBackoff ends the call at once.
	MaxBackoff time.Duration
}

const (
	defaultMaxAttempts = 5
	defaultMinBackoff  = time.Second
	defaultMaxBackoff  = 30 * time.Second
)

func (p RetryPolicy) invalid() bool {
	return p.MaxAttempts < 0 || p.MinBackoff < 0 || p.MaxBackoff < 0 ||
		p.MinBackoff > 0 && p.MaxBackoff > 0 && p.MinBackoff > p.MaxBackoff
}

// withDefaults fills in what is zero. A default gives way to the other bound where the caller set that one.
func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = defaultMaxAttempts
	}
	switch {
	case p.MinBackoff == 0 && p.MaxBackoff == 0:
		p.MinBackoff, p.MaxBackoff = defaultMinBackoff, defaultMaxBackoff
	case p.MinBackoff == 0:
		p.MinBackoff = min(defaultMinBackoff, p.MaxBackoff)
	case p.MaxBackoff == 0:
		p.MaxBackoff = max(defaultMaxBackoff, p.MinBackoff)
	}
	return p
}

// ceiling is the longest wait after so many attempts.
func (p RetryPolicy) ceiling(attempts int) time.Duration {
	d := p.MinBackoff
	for range attempts - 1 {
		if d >= p.MaxBackoff/2 {
			return p.MaxBackoff
		}
		d *= 2
	}
	return d
}

// delay is the wait after so many attempts. On top of a wait that Atlas asked for, it draws from the upper half only,
// so that each further refusal is answered with a longer wait.
func (p RetryPolicy) delay(attempts int, f *failure) time.Duration {
	ceiling := p.ceiling(attempts)
	if !f.retryAfterGiven() {
		return rand.N(ceiling + 1)
	}
	extra := ceiling/2 + rand.N(ceiling/2+1)
	return f.api.RetryAfter + min(extra, math.MaxInt64-f.api.RetryAfter)
}

// tooLong reports whether Atlas asks for a wait that nobody means to sit out inside of a call.
func (p RetryPolicy) tooLong(f *failure) bool {
	return f.retryAfterGiven() && f.api.RetryAfter/retryAfterFactor > p.MaxBackoff
}

// retryAfterFactor is how many times MaxBackoff a call may wait because Atlas asks for it.
const retryAfterFactor = 10

// failure is what an attempt's error means for the next one.
type failure struct {
	err error
	api *APIError // when err is one
	// transient: another attempt may end better.
	transient bool
	// undone: Atlas has not carried the request out, because no credentials were sent with it or because it said so.
	undone bool
	// outcomeLost: it is not known what became of the request.
	outcomeLost bool
}

func (f *failure) status() int {
	if f.api == nil {
		return 0
	}
	return f.api.StatusCode
}

// paced reports whether the attempt was not made because its turn would have come too late.
func (f *failure) paced() bool {
	_, ok := f.err.(*PacingError)
	return ok
}

func (f *failure) retryAfterGiven() bool { return f.api != nil && f.api.retryAfterGiven }

// errSentTwice takes the place of a 401 that says nothing about the keys: net/http has sent a read a second time by
// itself, with the same Authorization header, and a server that has seen the first one refuses its nonce count.
var errSentTwice = fmt.Errorf("the connection broke, and the repetition by net/http was refused for its nonce count: %w", io.ErrUnexpectedEOF)

// classify reads the error of an attempt.
func classify(err error, sent *sentState) failure {
	unsent := sent.unsent()
	var noToken *bearer.TokenError
	if errors.As(err, &noToken) && !sent.final.Load() {
		unsent = true // it has not been sent, or was refused with the token before
	}
	f := failure{err: withoutURL(err), undone: unsent}
	var late *PacingError
	if errors.As(err, &late) {
		f.err, f.undone = late, true
		return f
	}
	if !errors.As(err, &f.api) {
		f.transient = !permanent(err)
		f.outcomeLost = !unsent
		return f
	}
	switch f.api.StatusCode {
	case http.StatusUnauthorized:
		// One whose nonce expired a second time while it was under way is refused whatever the keys are.
		f.transient = f.api.staleNonce
		f.undone = f.undone || f.api.staleNonce
	case http.StatusTooManyRequests:
		f.transient, f.undone = true, true
	case http.StatusServiceUnavailable:
		f.transient, f.undone = true, unsent || f.api.retryAfterGiven
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		f.transient = true
	}
	// Atlas itself says 500; what is above and not in its words comes from something before it.
	fromGateway := !f.api.fromAtlas && f.api.StatusCode > http.StatusInternalServerError
	f.outcomeLost = !f.undone && fromGateway
	return f
}

// permanent recognizes errors that another attempt cannot mend.
func permanent(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
		proxy       *proxyError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &proxy) && proxy.refusesCredentials() || errors.Is(err, errTooLarge)
}

// begin is go-retryablehttp's hook before each attempt.
func (c *call) begin(retryablehttp.Logger, *http.Request, int) {
	c.attempts++
	c.started = time.Now()
	c.waiting = false
	c.answer, c.status = nil, 0
	c.sent.reset()
}

// checkRetry decides on the next attempt. go-retryablehttp asks before it hands an answer to call.handle and after; a
// failure has an error either time.
func (c *call) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil {
		return false, nil
	}
	c.turn.Cancel() // unless its answer has been reported
	if late := c.pacingError(err); late != nil {
		err = late
	} else {
		err = c.named(ctx, err)
	}
	c.failure = classify(err, &c.sent)
	f := &c.failure
	if f.api != nil && f.api.Attempts == 0 { // a token endpoint's, and perhaps also that of other calls
		own := *f.api
		own.Attempts = c.attempts
		f.api, f.err = &own, &own
	}
	c.logAttempt(f)
	repeatable := f.transient && (f.undone || c.op.repeat == repeatAlways)
	if !repeatable || ctx.Err() != nil || c.attempts >= c.maxAttempts() || c.client.retry.tooLong(f) {
		return false, nil
	}
	wait := c.client.retry.delay(c.attempts, f)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < max(wait, c.client.pacer.Held(c.scope)) {
		return false, nil
	}
	c.wait, c.waiting = wait, true
	c.maybeDone = c.maybeDone || !f.undone
	c.logRepeat()
	return true, nil
}

// named gives the end of an attempt's time, or of a time that the user's transport has set, a name of its own: net's
// errors for it are also that of a context.
func (c *call) named(ctx context.Context, err error) error {
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	timeout := &timeoutError{withoutURL(err).Error(), err}
	if limit := c.client.timeout; time.Since(c.started) >= limit {
		timeout.text = "no answer within " + limit.String()
		var at *endpointError
		if errors.As(err, &at) {
			timeout.text = at.before() + timeout.text
		}
	}
	return keepSalvaged(err, timeout)
}

// maxAttempts is the policy's, unless the call has one of its own.
func (c *call) maxAttempts() int {
	if c.settings.maxAttempts > 0 {
		return c.settings.maxAttempts
	}
	return c.client.retry.MaxAttempts
}

// backoff is the wait that checkRetry has drawn.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait }

// callKey finds the call in a request's context.
type callKey struct{}

// callOf is nil for a request of somebody else.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// sentState tracks whether the request of an attempt may have left with credentials. After an error a connection may
// still be about to write, so having a connection counts as having sent.
type sentState struct {
	state atomic.Int32
	// standard says that the transport below is net/http's own, whose trace tells everything.
	standard atomic.Bool
	// final: the request may have arrived, and nothing that comes later in the attempt takes that back.
	final atomic.Bool
	// answered: the connection has brought the first byte of an answer.
	answered atomic.Bool
	// twice: net/http has sent the request a second time by itself, because a connection broke before its answer. Over
	// HTTP/1 it does so with requests that change nothing and with those of which it has written nothing; over HTTP/2
	// with every request whose body it can get again.
	twice atomic.Bool
	// h2: the connection is one of HTTP/2.
	h2 atomic.Bool
	// inside counts the requests that wrappers of the user have handed on and that have not come back. An attempt that is
	// over for a wrapper may go on there.
	inside atomic.Int32
}

const (
	sentUnknown    int32 = iota // nothing tells what becomes of the request
	sentNothing                 // it has not reached a connection
	sentHandshake               // what goes out carries no credentials
	sentConnecting              // the transport looks for a connection
	sentRequest                 // the transport has one
)

// reset begins an attempt.
func (s *sentState) reset() {
	s.final.Store(false)
	s.h2.Store(false)
	s.state.Store(sentNothing)
}

func (s *sentState) unsent() bool {
	state := s.state.Load()
	return !s.final.Load() && s.inside.Load() == 0 && state != sentUnknown && state != sentRequest
}

// enter notes a request on its way to the user's transport. One that is not net/http's own shows only by its trace, if
// at all, what it does.
func (s *sentState) enter(handshake, standard bool) {
	s.standard.Store(standard)
	s.twice.Store(false)
	switch {
	case handshake:
		s.state.Store(sentHandshake)
	case standard:
		s.state.Store(sentNothing)
	default:
		s.state.Store(sentUnknown)
	}
}

// leave notes what the user's transport came back with. A 401 is the one answer after which the credentials may send
// the request again as if for the first time.
func (s *sentState) leave(resp *http.Response, err error) {
	state := s.state.Load()
	refused := err == nil && resp != nil && resp.StatusCode == http.StatusUnauthorized
	if (state == sentRequest || state == sentUnknown) && !refused {
		s.final.Store(true)
	}
}

// connecting takes sentRequest back for net/http's own transport over HTTP/1 only: that one looks for a second
// connection when it has written nothing to the first, or when the request changes nothing. Other transports may share
// the request's trace with requests of their own.
func (s *sentState) connecting() {
	switch s.state.Load() {
	case sentHandshake:
		return
	case sentRequest:
		if !s.answered.Load() {
			s.twice.Store(true)
		}
		if !s.standard.Load() || s.h2.Load() {
			return
		}
	}
	s.state.Store(sentConnecting)
}

func (s *sentState) connected(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol == "h2" {
		s.h2.Store(true)
	}
	s.answered.Store(false)
	if s.state.Load() != sentHandshake {
		s.state.Store(sentRequest)
	}
}

// repeatedOverH2 reports whether net/http may have had the request carried out more than once.
func (s *sentState) repeatedOverH2() bool { return s.twice.Load() && s.h2.Load() }

func (s *sentState) trace() httptrace.ClientTrace {
	return httptrace.ClientTrace{
		GetConn: func(string) { s.connecting() },
		GotConn: func(info httptrace.GotConnInfo) { s.connected(info.Conn) },

		GotFirstResponseByte: func() { s.answered.Store(true) },
	}
}

// sentTransport stands between the credentials' transport and the user's.
type sentTransport struct {
	// base is a function because a dump by reflection would find what was sent last in the buffers of connections.
	base     func(*http.Request) (*http.Response, error)
	standard bool
}

func newSentTransport(base http.RoundTripper) *sentTransport {
	_, standard := base.(*http.Transport)
	return &sentTransport{base.RoundTrip, standard}
}

func (t *sentTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if c == nil {
		return t.base(req)
	}
	c.sent.enter(auth.IsNegotiation(req.Context()), t.standard)
	resp, err := t.base(c.once(req))
	if err == nil && c.refusedForItsCount(req, resp) {
		// Before the credentials see it: they would take it for an expired nonce, and send the request a third time.
		_ = resp.Body.Close()
		resp, err = nil, errSentTwice
	}
	c.sent.leave(resp, err)
	return resp, err
}

// refusedForItsCount recognizes the refusal of a read that net/http has sent twice with one nonce count. Only Digest
// has such counts.
func (c *call) refusedForItsCount(req *http.Request, resp *http.Response) bool {
	own := c.client.authenticator
	return own != nil && own.countsRequests() && resp != nil && resp.Body != nil && resp.StatusCode == http.StatusUnauthorized &&
		req.Method == http.MethodGet && c.sent.twice.Load()
}

var errNotOverH2 = errors.New("the HTTP/2 stream broke, and the request must not be sent twice")

// once keeps net/http from sending by itself what must not be carried out twice. Over HTTP/2 it repeats a request that it
// can read again also when the server has had all of it; over HTTP/1 it does so with one that has a header which calls it
// idempotent, and a wrapper of the user may have set that.
func (c *call) once(req *http.Request) *http.Request {
	if c.op.repeat != repeatUnsent {
		return req
	}
	once := req.WithContext(req.Context())
	once.Header = auth.CloneHeader(req.Header)
	for _, name := range idempotencyHeaders {
		delete(once.Header, name)
	}
	if getBody := req.GetBody; getBody != nil {
		once.GetBody = func() (io.ReadCloser, error) {
			if c.sent.h2.Load() {
				return nil, errNotOverH2
			}
			return getBody()
		}
	}
	return once
}

var idempotencyHeaders = [...]string{"Idempotency-Key", "X-Idempotency-Key"}
