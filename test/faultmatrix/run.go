package faultmatrix

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	lm "github.com/livemigration/livemigration-go"
	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// subject is an Atlas with something in it, and the client that is tested: of Atlas, or of the source side.
type subject struct {
	*lmtest.Server
	client *lm.Client
	source *lm.SourceClient

	request    lm.MigrationRequest
	validation lm.ValidationID // that has succeeded
	migration  lm.MigrationID  // that is ready for cutover
	token      lm.Secret       // the link-token
	auditor    *lm.Client      // looks at what the source side has changed
}

// inProcess are options for clients beside the one that is tested.
func (s *subject) inProcess(url string) []lm.Option {
	return []lm.Option{lm.WithBaseURL(url), lm.WithHTTPClient(&http.Client{Transport: s.Transport()})}
}

const atlasURL, sourceURL = "https://atlas.test", "https://source.test"

// seed fills an Atlas behind the back of what is tested.
func (s *subject) seed(ctx context.Context, op *Operation) error {
	client, err := lm.NewClient(s.Credentials(), s.inProcess(atlasURL)...)
	if err != nil {
		return err
	}
	token, err := client.LinkTokens.Create(ctx, s.OrgID(), lm.LinkTokenRequest{})
	if err != nil {
		return err
	}
	s.request, s.token = s.SampleRequest(), token.Token
	if op.onSource() {
		return s.seedSource(ctx, op)
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
	if op.class == deleting { // which Atlas rejects while a migration runs
		return s.FailMigration(s.migration)
	}
	return nil
}

// seedSource connects the source organization, unless that is what is tested.
func (s *subject) seedSource(ctx context.Context, op *Operation) (err error) {
	if s.auditor, err = lm.NewClient(s.ServiceAccountCredentials(), s.inProcess(atlasURL)...); err != nil || op.class == creating {
		return err
	}
	source, err := lm.NewSourceClient(s.SourceCredentials(), s.inProcess(sourceURL)...)
	if err != nil {
		return err
	}
	_, err = source.MigrationLink.Create(ctx, s.SourceOrgID(), s.token)
	return err
}

// connect makes the client that is tested.
func (s *subject) connect(c Cell, way *way, v venue) (err error) {
	opts := []lm.Option{lm.WithBaseURL(way.url), lm.WithHTTPClient(&http.Client{Transport: way.client(v)})}
	if c.Operation.onSource() {
		if s.source, err = lm.NewSourceClient(s.SourceCredentials(), opts...); err == nil {
			way.closeIdle = s.source.CloseIdleConnections
		}
		return err
	}
	if s.client, err = lm.NewClient(c.credentials(s, v), append(opts, lm.WithAPIVersion(v.version))...); err == nil {
		way.closeIdle = s.client.CloseIdleConnections
	}
	return err
}

// warmUp makes a call that leaves a connection, and what the credentials hold.
func (s *subject) warmUp(ctx context.Context) (err error) {
	if s.source != nil {
		_, err = s.source.MigrationLink.Status(ctx, s.SourceOrgID())
	} else {
		_, err = s.client.Migrations.Get(ctx, s.ProjectID(), s.migration)
	}
	return err
}

// report is the result of a cell.
type report struct {
	Expectation
	err      error
	overrun  time.Duration // from the end of the context to the return
	problems []string      // that no expectation allows for
}

func (r *report) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// run makes the cell's call in a venue and returns the result.
func (c Cell) run(ctx context.Context, v venue) *report {
	r := &report{}
	s := &subject{Server: lmtest.NewServer(c.serverOptions()...)}
	defer s.Close()
	if err := s.seed(ctx, c.Operation); err != nil {
		r.problem("seed: %v", err)
		return r
	}
	way := c.newWay(s, v)
	defer way.close(r)
	if err := s.connect(c, way, v); err != nil {
		r.problem("client: %v", err)
		return r
	}
	if v.warm || c.Fault.warm {
		if err := s.warmUp(ctx); err != nil {
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

func (c Cell) serverOptions() []lmtest.Option {
	opts := []lmtest.Option{lmtest.WithInProcess()}
	if c.Operation.onSource() {
		opts = append(opts, lmtest.WithAutoConnect(false))
	}
	return opts
}

// observe makes the call.
func (c Cell) observe(ctx context.Context, s *subject, v venue, way *way, r *report) {
	before, err := s.holding(ctx)
	if err != nil {
		r.problem("before the call: %v", err)
	}
	parent := ctx
	ctx, ended, cancel := c.context(ctx)
	defer cancel()
	var response lm.Response
	opts := []lm.CallOption{lm.CaptureResponse(&response), lm.WithGrace(0)} // a grace is tested elsewhere
	if c.Fault.envelope {
		opts = append(opts, lm.WithEnvelope())
	}
	wrong, err := c.Operation.call(ctx, s, opts...)
	if at := ended(); !at.IsZero() {
		r.overrun = time.Since(at)
	}
	if wrong != nil {
		r.problem("result: %v", wrong)
	}
	r.err, r.Attempts, r.Authenticated = err, response.Attempts, way.authenticated(s, c.Operation)
	if r.Result, err = resultOf(ctx, err); err != nil {
		r.problem("%v", err)
	}
	r.checkError(ctx, c)
	if c.byAccount(v) {
		r.Tokens = r.checkTokens(c, s)
	}
	after, err := s.holding(parent)
	if err != nil {
		r.problem("after the call: %v", err)
	}
	if r.Change, err = c.Operation.change(before, after); err != nil {
		r.problem("%v", err)
	}
	r.checkID(c, s)
	if left := s.PendingFaultCount(); c.Fault.wire == nil && c.Strikes != Every && left > 0 {
		r.problem("the fault has not struck")
	}
}

// context returns the context of the call, and when it ended; never, as long as it has not.
func (c Cell) context(parent context.Context) (ctx context.Context, ended func() time.Time, cancel func()) {
	switch c.Fault.ends {
	case byDeadline:
		ctx, cancel := context.WithTimeout(parent, contextEnd)
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
		timer := time.AfterFunc(contextEnd, func() {
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
