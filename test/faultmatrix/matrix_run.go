package faultmatrix

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	lm "github.com/livemigration/livemigration-go"
	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
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
	headLimit  int64 // of an answer; 0 is net/http's own
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
		policy:  lm.RetryPolicy{MinBackoff: 2 * time.Millisecond, MaxBackoff: 4 * time.Millisecond},
		attempt: 300 * time.Millisecond, contextEnd: 300 * time.Millisecond,
		retryAfter: map[wait]time.Duration{soon: 0, late: time.Second, tooLate: time.Hour},
		headLimit:  64 << 10, // reading the 10 MiB of the default takes its time
	}
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
	case (v.tls || v.warm || v.wrapped) && f.costly(), (v.warm || v.wrapped) && f.ends != never, (v.tls || v.wrapped) && f.arrives():
		return false
	case f.wire == nil:
		return true
	default:
		return !(v.tls && f.wire.plainOnly) && !(!v.tls && f.wire.tlsOnly)
	}
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

// subject is an Atlas with something in it, and a client of it.
type subject struct {
	*lmtest.Server
	client     *lm.Client
	request    lm.MigrationRequest
	validation lm.ValidationID // that has succeeded
	migration  lm.MigrationID  // that is ready for cutover
}

// seed fills an Atlas behind the back of what is tested.
func (s *subject) seed(ctx context.Context) error {
	client, err := lm.NewClient(s.Credentials(), lm.WithBaseURL("https://atlas.test"), lm.WithHTTPClient(&http.Client{Transport: s.Transport()}))
	if err != nil {
		return err
	}
	s.request = s.Request()
	if _, err := client.LinkTokens.Create(ctx, s.OrgID(), lm.LinkTokenRequest{}); err != nil {
		return err
	}
	validation, err := client.Validations.Create(ctx, s.ProjectID(), s.request)
	if err != nil {
		return err
	}
	migration, err := client.Migrations.Create(ctx, s.ProjectID(), s.request)
	if err != nil {
		return err
	}
	s.validation, s.migration = validation.ID, migration.ID
	s.Advance(s.Timings().Scheduling + s.Timings().InitialSync)
	return nil
}

// report is what came of a cell.
type report struct {
	Expectation
	err      error
	overrun  time.Duration // from the end of the context to the return
	problems []string      // that no expectation allows for
}

func (r *report) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// run makes the cell's call in a venue and says what came of it.
func (c Cell) run(ctx context.Context, v venue) *report {
	r := &report{}
	s := &subject{Server: lmtest.NewServer(serverOptions(v)...)}
	defer s.Close()
	if err := s.seed(ctx); err != nil {
		r.problem("seed: %v", err)
		return r
	}
	way, err := c.newWay(s, v)
	if err != nil {
		r.problem("listen: %v", err)
		return r
	}
	defer way.close(r)
	if s.client, err = lm.NewClient(c.credentials(s, v), c.clientOptions(way, v)...); err != nil {
		r.problem("client: %v", err)
		return r
	}
	if v.warm || c.Fault.warm {
		if _, err := s.client.Migrations.Get(ctx, s.ProjectID(), s.migration); err != nil {
			r.problem("call before the cell's: %v", err)
			return r
		}
	}
	s.ResetRequests()
	if !way.arm(c, s, v) {
		r.problem("the client has not noticed that its idle connection was closed")
		return r
	}
	c.observe(ctx, s, v, way, r)
	return r
}

// byAccount reports whether the cell's call is one of a service account.
func (c Cell) byAccount(v venue) bool { return v.account || c.Fault.account != none }

// expectIn is Expect. Besides, a service account needs its first token.
func (c Cell) expectIn(v venue) Expectation {
	e := Expect(c)
	if v.account {
		e.Tokens = 1
	}
	return e
}

func (c Cell) credentials(s *subject, v venue) lm.Credentials {
	if c.byAccount(v) {
		return s.ServiceAccountCredentials()
	}
	return s.Credentials()
}

func serverOptions(v venue) []lmtest.Option {
	switch {
	case v.inProcess:
		return []lmtest.Option{lmtest.InProcess()}
	case v.tls:
		return []lmtest.Option{lmtest.WithTLS()}
	default:
		return nil
	}
}

// observe makes the call.
func (c Cell) observe(ctx context.Context, s *subject, v venue, way *way, r *report) {
	before := s.holding()
	ctx, ended, cancel := c.context(ctx, v)
	defer cancel()
	var response lm.Response
	wrong, err := c.Operation.call(ctx, s, lm.CaptureResponse(&response))
	if at := ended(); !at.IsZero() {
		r.overrun = time.Since(at)
	}
	if wrong != nil {
		r.problem("result: %v", wrong)
	}
	r.err, r.Attempts, r.Authenticated = err, response.Attempts, way.authenticated(s)
	if r.Result, err = resultOf(ctx, err); err != nil {
		r.problem("%v", err)
	}
	r.checkError(ctx)
	if c.byAccount(v) {
		r.Tokens = r.checkTokens(c, s)
	}
	if r.Change, err = c.Operation.change(before, s.holding()); err != nil {
		r.problem("%v", err)
	}
	r.checkID(c, s)
	if left := s.PendingFaults(); c.Fault.wire == nil && c.Strikes != Every && left > 0 {
		r.problem("the fault has not struck")
	}
}

// context returns the context of the call, and when it ended; never, as long as it has not.
func (c Cell) context(parent context.Context, v venue) (ctx context.Context, ended func() time.Time, cancel func()) {
	switch c.Fault.ends {
	case byDeadline:
		ctx, cancel := context.WithTimeout(parent, v.contextEnd)
		deadline, _ := ctx.Deadline()
		return ctx, func() time.Time {
			if ctx.Err() == nil {
				return time.Time{}
			}
			return deadline
		}, cancel
	case byCancel:
		ctx, cancel := context.WithCancel(parent)
		var at atomic.Pointer[time.Time]
		timer := time.AfterFunc(v.contextEnd, func() {
			now := time.Now()
			at.Store(&now)
			cancel()
		})
		return ctx, func() time.Time {
			if t := at.Load(); t != nil {
				return *t
			}
			return time.Time{}
		}, func() { timer.Stop(); cancel() }
	default:
		return parent, func() time.Time { return time.Time{} }, func() {}
	}
}

func (c Cell) clientOptions(way *way, v venue) []lm.Option {
	opts := []lm.Option{
		lm.WithBaseURL(way.url), lm.WithHTTPClient(&http.Client{Transport: way.client(v)}),
		lm.WithAPIVersion(v.version), lm.WithRetryPolicy(c.policy(v)),
	}
	if c.Fault.impatient {
		opts = append(opts, lm.WithTimeout(v.attempt))
	}
	return opts
}

// policy is the venue's, but where a fault needs a longer wait.
func (c Cell) policy(v venue) lm.RetryPolicy {
	policy := v.policy
	switch {
	case v.inProcess:
	case c.Fault.wait == late && c.Fault.ends == byCancel: // a wait that the policy does not refuse
		policy.MaxBackoff = v.retryAfter[late]
	case c.Fault.wire != nil && c.Fault.wire.idle: // time to notice
		policy = lm.RetryPolicy{MinBackoff: 300 * time.Millisecond, MaxBackoff: 300 * time.Millisecond}
	}
	return policy
}

// way is the way from the client to Atlas, and the transport on it.
type way struct {
	url       string
	transport http.RoundTripper
	wire      *wire
	idle      bool // wait for idle connections to be closed

	dial  func(context.Context) (net.Conn, error) // in the place of those dials
	on    func(n int) bool
	open  atomic.Int32
	dials atomic.Int32
	armed atomic.Bool

	spoils   bool
	spoil    func() // before those requests with credentials
	requests atomic.Int32
}

func (c Cell) newWay(s *subject, v venue) (*way, error) {
	w := &way{on: c.Strikes.on, spoils: c.Fault.spoil != nil}
	if v.inProcess {
		w.url, w.transport = s.URL(), s.Transport()
		return w, nil
	}
	transport := &http.Transport{DialContext: w.dialContext, MaxResponseHeaderBytes: v.headLimit}
	w.transport = transport
	if c.Fault.wire == nil {
		w.url = s.URL()
		if own, ok := s.HTTPClient().Transport.(*http.Transport); ok && v.tls {
			transport.TLSClientConfig = own.TLSClientConfig.Clone()
		}
		return w, nil
	}
	var config *tls.Config
	scheme := "http://"
	if v.tls {
		scheme = "https://"
		config = &tls.Config{Certificates: []tls.Certificate{certificates().own}, SessionTicketsDisabled: true}
		transport.TLSClientConfig = &tls.Config{RootCAs: certificates().pool}
	}
	var err error
	if w.wire, err = newWire(s.Handler(), c, config); err != nil {
		return nil, err
	}
	w.url = scheme + w.wire.listener.Addr().String()
	w.dial, w.idle = c.Fault.wire.dial, c.Fault.wire.idle && c.Strikes != Second
	return w, nil
}

// arm lets the fault strike from the next attempt on.
func (w *way) arm(c Cell, s *subject, v venue) bool {
	f := c.Fault
	if w.idle && !eventually(10*time.Second, func() bool { return w.open.Load() == 0 }) {
		return false
	}
	target := f.target
	if target == "" {
		target = c.Operation.Name
	}
	if c.Strikes == Second {
		before := lmtest.Status(http.StatusTooManyRequests).WithRetryAfter(v.retryAfter[soon])
		if f.inHandshake() { // net/http sends a GET again by itself on a connection that it reuses
			before = before.WithHeader("Connection", "close")
		}
		s.Inject(target, before, 1)
	}
	times := 1
	if c.Strikes == Every {
		times = 1000
	}
	fault := f.inject
	if f.wait != notGiven {
		fault = fault.WithRetryAfter(v.retryAfter[f.wait])
	}
	s.Inject(target, fault, times)
	switch {
	case f.spoil != nil:
		w.spoil = func() { f.spoil(s.Server) }
	case f.account != none && v.warm:
		s.ExpireTokens()
	}
	w.armed.Store(true)
	if w.wire != nil {
		w.wire.arm()
	}
	return true
}

// client is the transport that the client gets.
func (w *way) client(v venue) http.RoundTripper {
	if w.spoils || v.wrapped {
		return w
	}
	return w.transport
}

// RoundTrip is where nonces and access tokens expire.
func (w *way) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.spoil != nil && req.Header.Get("Authorization") != "" && req.URL.Path != tokenPath && w.on(int(w.requests.Add(1))) {
		w.spoil()
	}
	return w.transport.RoundTrip(req)
}

func (w *way) CloseIdleConnections() {
	if t, ok := w.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// dialContext counts connections until they are closed.
func (w *way) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if w.armed.Load() && w.dial != nil && w.on(int(w.dials.Add(1))) {
		return w.dial(ctx)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.open.Add(1)
	return &countedConn{Conn: conn, closed: sync.OnceFunc(func() { w.open.Add(-1) })}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// dialRefused dials a port on which nothing listens any more.
func dialRefused(ctx context.Context) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_ = l.Close()
	return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
}

func dialNoHost(context.Context) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "atlas.invalid", IsNotFound: true}}
}

// authenticated counts the requests with credentials that hold: by Atlas's records, and those that a listener kept from
// it.
func (w *way) authenticated(s *subject) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Authenticated && r.Operation != lmtest.IssueToken {
			n++
		}
	}
	if w.wire != nil {
		n += int(w.wire.swallowed.Load())
	}
	return n
}

// close ends the way, and reports what the client has left on it once its idle connections are closed.
func (w *way) close(r *report) {
	const patience = 5 * time.Second
	w.CloseIdleConnections()
	if !eventually(patience, func() bool { return w.open.Load() == 0 }) {
		r.problem("%d connections are left", w.open.Load())
	}
	if w.wire == nil {
		return
	}
	if !w.wire.quiet(patience) {
		r.problem("the server has connections left")
	}
	w.wire.close()
}

func eventually(within time.Duration, condition func() bool) bool {
	for end := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

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
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	case errors.As(err, &header), says("tls: "):
		return BadTLS
	case says("headers exceeded"):
		return EndlessHead
	case says("malformed HTTP"):
		return NotHTTP
	case is(syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF), says("server closed idle connection"), says("unexpected EOF"):
		return Broken
	case says("is larger than"):
		return HugeBody
	case says("unusable response"), says("oauth2: "): // what x/oauth2 makes of one
		return BadBody
	default:
		return ""
	}
}

// checkError holds an error against what is promised of all.
func (r *report) checkError(ctx context.Context) {
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
	if api.Attempts != r.Attempts {
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
	for _, request := range s.Requests() {
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

// unsafe says what must not come out of any run.
func (r *report) unsafe(c Cell) bool {
	if c.Operation.class != creating {
		return false
	}
	believed := c.Fault.effect == serverError && c.Fault.carriedOut
	return r.Change > 1 || r.Change == 1 && r.err != nil && !r.Result.Unknown && !believed
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

// identities are the certificates of the listeners.
type identities struct {
	own, other tls.Certificate
	pool       *x509.CertPool
}

var certificates = sync.OnceValue(func() identities {
	var i identities
	var leaf *x509.Certificate
	i.own, leaf = newCertificate()
	i.other, _ = newCertificate()
	i.pool = x509.NewCertPool()
	i.pool.AddCert(leaf)
	return i
})

func newCertificate() (tls.Certificate, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf
}
