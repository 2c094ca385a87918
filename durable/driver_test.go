package durable

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
)

// wire is an in-process Atlas for one record, on virtual time. Each operation has an answer.
type wire struct {
	client  *livemigration.Client
	answers map[string]answer
	sent    []string // operations
	bodies  []string
}

type answer func(*http.Request) (*http.Response, error)

func onWire(t *testing.T, test func(*testing.T, *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answers: map[string]answer{
			opValidate:        reply(200, `{"_id": "`+string(validationID)+`", "status": "PENDING"}`),
			opCheckValidation: reply(200, `{"_id": "`+string(validationID)+`", "status": "SUCCESS"}`),
			opCreate:          reply(201, migrationJSON(false, "null")),
			opCheck:           reply(200, migrationJSON(true, "3")),
			opCutover:         reply(202, ""),
		}}
		token := livemigration.TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "a-token"}))
		client, err := livemigration.NewClient(token, livemigration.WithHTTPClient(&http.Client{Transport: w, Timeout: time.Hour}))
		require.NoError(t, err)
		w.client = client
		test(t, w)
	})
}

func migrationJSON(ready bool, lag string) string {
	const format = `{"_id": %q, "status": "WORKING", "readyForCutover": %v, "migrationHosts": ["vm-a.example.com"], "lagTimeSeconds": %s}`
	return fmt.Sprintf(format, migrationID, ready, lag)
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	op := opCheck
	switch validation := strings.Contains(req.URL.Path, "/validate"); {
	case req.Method == http.MethodPut:
		op = opCutover
	case req.Method == http.MethodPost && validation:
		op = opValidate
	case req.Method == http.MethodPost:
		op = opCreate
	case validation:
		op = opCheckValidation
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	w.sent, w.bodies = append(w.sent, op), append(w.bodies, string(body))
	return w.answers[op](req)
}

func reply(status int, body string, header ...string) answer {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
		}, nil
	}
}

// atlasError is an error in Atlas's own JSON.
func atlasError(status int, code string, header ...string) answer {
	return reply(status, fmt.Sprintf(`{"error": %d, "errorCode": %q, "detail": "a detail", "reason": "r"}`, status, code), header...)
}

func broken(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// later answers after some time, or when the request has ended.
func later(d time.Duration, then answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

func (w *wire) driver(t *testing.T, opts ...Option) *Driver {
	t.Helper()
	d, err := NewDriver(w.client, opts...)
	require.NoError(t, err)
	return d
}

// now begins the next action of a record, whose history is moved to this instant.
func now(r Record) Record {
	for i := range r.Approved {
		r.Approved[i].At = time.Now()
	}
	r.PlannedAt = stamp(time.Now())
	r.Events = []Event{{r.PlannedAt, "planned"}}
	return r.Begin(r.Next(time.Now()), "run-1", time.Now())
}

func do(t *testing.T, d *Driver, r Record) Result {
	t.Helper()
	require.NotNil(t, r.Begun)
	res := d.Do(t.Context(), r)
	assert.Equal(t, *r.Begun, res.Intent)
	assert.Equal(t, r.State, res.State)
	return res
}

func TestDoTakesARecordToItsEnd(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		d := w.driver(t)
		r, err := NewRecord(planFor("a"), time.Now()).Approve(GateCutover, "ann", time.Time{}, time.Now())
		require.NoError(t, err)
		var states []State
		for r.State != StateComplete {
			if r.State == StateFinishing {
				w.answers[opCheck] = reply(200, `{"_id": "`+string(migrationID)+`", "status": "COMPLETE"}`)
			}
			time.Sleep(time.Until(r.NextCheckAt))
			r = r.Begin(r.Next(time.Now()), "run-1", time.Now())
			r = r.Apply(do(t, d, r), time.Now())
			require.NoError(t, r.Validate())
			states = append(states, r.State)
		}
		assert.Equal(t, []State{StateValidating, StateValidated, StateReplicating, StateReady, StateFinishing, StateComplete}, states)
		assert.Equal(t, []string{opValidate, opCheckValidation, opCreate, opCheck, opCheck, opCutover, opCheck}, w.sent)
	})
}

// TestOutcomes: one request each, and what it means.
func TestOutcomes(t *testing.T) {
	planned, validated, replicating, ready := recordIn(StatePlanned), recordIn(StateValidated), recordIn(StateReplicating), approvedCutover()
	network := broken(errors.New("connection reset by peer"))
	retry := []string{"Retry-After", "7"}
	for name, test := range map[string]struct {
		record  Record
		op      string
		answer  answer
		want    Outcome
		problem Problem
	}{
		"validate": {planned, opValidate, nil, OutcomeDone, Problem{}},
		"validate, rejected": {
			planned, opValidate, atlasError(400, "X"), OutcomeRejected, Problem{Kind: ProblemRetrying, Status: 400, Code: "X"},
		},
		"validate, a gateway's 400": {planned, opValidate, reply(400, "no"), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 400}},
		"validate, 405 in an upgrade": {
			planned, opValidate, atlasError(405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"), OutcomeNotDone,
			Problem{Kind: ProblemRetrying, Status: 405, Code: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"},
		},
		"validate, 402": {
			planned, opValidate, atlasError(402, "X"), OutcomeNotDone, Problem{Kind: ProblemNeedsAttention, Status: 402, Code: "X"},
		},
		"validate, 500":        {planned, opValidate, reply(500, ""), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 500}},
		"validate, no network": {planned, opValidate, network, OutcomeNotDone, Problem{Kind: ProblemRetrying}},
		"create":               {validated, opCreate, nil, OutcomeDone, Problem{}},
		"create, rejected": {
			validated, opCreate, atlasError(400, "X"), OutcomeRejected, Problem{Kind: ProblemRetrying, Status: 400, Code: "X"},
		},
		"create, a conflict": {
			validated, opCreate, atlasError(409, "X"), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 409, Code: "X"},
		},
		"create, 401": {
			validated, opCreate, atlasError(401, "X"), OutcomeNotDone, Problem{Kind: ProblemNeedsAttention, Status: 401, Code: "X"},
		},
		"create, another organization": {
			validated, opCreate, atlasError(404, "GROUP_NOT_FOUND"), OutcomeNotDone,
			Problem{Kind: ProblemNeedsAttention, Status: 404, Code: "GROUP_NOT_FOUND"},
		},
		"create, 429": {
			validated, opCreate, atlasError(429, "RATE_LIMITED", retry...), OutcomeNotDone,
			Problem{Kind: ProblemRetrying, Status: 429, Code: "RATE_LIMITED"},
		},
		"create, 500": {
			validated, opCreate, atlasError(500, "X"), OutcomeUnknown, Problem{Kind: ProblemRetrying, Status: 500, Code: "X"},
		},
		"create, no response": {validated, opCreate, network, OutcomeUnknown, Problem{Kind: ProblemRetrying}},
		"check":               {replicating, opCheck, nil, OutcomeDone, Problem{}},
		"check, 400": {
			replicating, opCheck, atlasError(400, "X"), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 400, Code: "X"},
		},
		"check, 404": {
			replicating, opCheck, atlasError(404, codeNotFound), OutcomeNotDone,
			Problem{Kind: ProblemNeedsAttention, Status: 404, Code: codeNotFound},
		},
		"check, a certificate": {
			replicating, opCheck, broken(x509.UnknownAuthorityError{}), OutcomeNotDone, Problem{Kind: ProblemNeedsAttention},
		},
		"cutover": {ready, opCutover, nil, OutcomeDone, Problem{}},
		"cutover, rejected": {
			ready, opCutover, atlasError(400, "X"), OutcomeRejected, Problem{Kind: ProblemRetrying, Status: 400, Code: "X"},
		},
		"cutover, a conflict": {
			ready, opCutover, atlasError(409, "X"), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 409, Code: "X"},
		},
		"cutover, 401": {
			ready, opCutover, atlasError(401, "X"), OutcomeNotDone, Problem{Kind: ProblemNeedsAttention, Status: 401, Code: "X"},
		},
		"cutover, 429": {
			ready, opCutover, atlasError(429, "RATE_LIMITED", retry...), OutcomeNotDone,
			Problem{Kind: ProblemRetrying, Status: 429, Code: "RATE_LIMITED"},
		},
		"cutover, 503 and Retry-After": {
			ready, opCutover, atlasError(503, "X", retry...), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 503, Code: "X"},
		},
		"cutover, 503": {
			ready, opCutover, atlasError(503, "X"), OutcomeUnknown, Problem{Kind: ProblemRetrying, Status: 503, Code: "X"},
		},
		"cutover, a gateway's 409": {ready, opCutover, reply(409, "no"), OutcomeUnknown, Problem{Kind: ProblemRetrying, Status: 409}},
		"cutover, 408": {
			ready, opCutover, atlasError(408, "X"), OutcomeUnknown, Problem{Kind: ProblemRetrying, Status: 408, Code: "X"},
		},
		"cutover, no response": {ready, opCutover, network, OutcomeUnknown, Problem{Kind: ProblemRetrying}},
		"cutover, its check fails": {
			ready, opCheck, atlasError(400, "X"), OutcomeNotDone, Problem{Kind: ProblemRetrying, Status: 400, Code: "X"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				if test.answer != nil {
					w.answers[test.op] = test.answer
				}
				r := now(test.record)
				res := do(t, w.driver(t), r)
				assert.Equal(t, test.want, res.Outcome)
				assert.Equal(t, test.op, w.sent[len(w.sent)-1])
				if test.problem.Status != 401 { // the client fetches another token
					assert.Len(t, w.sent, 1+strings.Count(test.op, opCutover), "one attempt")
				}
				if test.problem.Kind == "" {
					assert.Nil(t, res.Failure)
					assert.LessOrEqual(t, res.Wait, 5*time.Second)
					return
				}
				require.NotNil(t, res.Failure)
				got := *res.Failure
				assert.Contains(t, got.Text, test.op)
				assert.Equal(t, stamp(time.Now()), got.Since)
				got.Text, got.Since, got.Operation = "", time.Time{}, ""
				assert.Equal(t, test.problem, got)
				applied := r.Apply(res, time.Now())
				if status := test.problem.Status; status != 400 && status != 0 {
					assert.False(t, applied.State.Final(), "everything else passes")
				}
			})
		})
	}
}

// TestCreationWithBrokenResponse: the ID that a part of the response shows is not lost.
func TestCreationWithBrokenResponse(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		w.answers[opCreate] = reply(201, migrationJSON(false, "null")[:60])
		res := do(t, w.driver(t), now(recordIn(StateValidated)))
		assert.Equal(t, OutcomeUnknown, res.Outcome)
		assert.Equal(t, migrationID, res.CreatedID)
	})
}

// TestIntentIsGoodForAMinute: nothing is sent that changes something when its intent is older, or lies in the future.
func TestIntentIsGoodForAMinute(t *testing.T) {
	for name, test := range map[string]struct {
		age  time.Duration
		sent bool
	}{
		"new":                                 {0, true},
		"just under a minute":                 {time.Minute - 1, true},
		"a minute":                            {time.Minute, false},
		"of a suspended run":                  {time.Hour, false},
		"a second in the future":              {-time.Second, false},
		"in the future, as clocks may differ": {-clockTolerance, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, record := range []Record{recordIn(StatePlanned), recordIn(StateValidated), approvedCutover()} {
				onWire(t, func(t *testing.T, w *wire) {
					r := now(record)
					r.Begun.At = stamp(time.Now().Add(-test.age))
					res := do(t, w.driver(t), r)
					assert.Equal(t, test.sent, len(w.sent) > 0)
					if test.sent {
						assert.Equal(t, OutcomeDone, res.Outcome)
						assert.False(t, time.Now().Before(r.Begun.At), "not before its time")
						return
					}
					assert.Equal(t, OutcomeNotDone, res.Outcome)
					assert.Equal(t, ProblemNeedsAttention, res.Failure.Kind)
					assert.Contains(t, res.Failure.Text, "clock")
				})
			}
		})
	}
	onWire(t, func(t *testing.T, w *wire) {
		r := recordIn(StateReplicating).Begin(ActionCheck, "run-1", time.Now().Add(-time.Hour))
		assert.Equal(t, OutcomeDone, do(t, w.driver(t), r).Outcome, "a look changes nothing")
	})
}

// TestRequestsEnd after 30 seconds, and with the minute of their intent; a creation that was handed over 30 seconds after it,
// whatever time the client gives an attempt.
func TestRequestsEnd(t *testing.T) {
	hangs := later(2*time.Hour, reply(500, ""))
	for name, test := range map[string]struct {
		record Record
		op     string
		age    time.Duration
		most   time.Duration
	}{
		"validate":            {recordIn(StatePlanned), opValidate, 0, 30 * time.Second},
		"create":              {recordIn(StateValidated), opCreate, 0, 90 * time.Second},
		"check":               {recordIn(StateReplicating), opCheck, 0, 30 * time.Second},
		"cutover":             {approvedCutover(), opCutover, 0, 30 * time.Second},
		"validate, sent late": {recordIn(StatePlanned), opValidate, 50 * time.Second, 10 * time.Second},
		"create, sent late":   {recordIn(StateValidated), opCreate, 50 * time.Second, 40 * time.Second},
		"cutover, sent late":  {approvedCutover(), opCutover, 50 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				w.answers[test.op] = hangs
				r := now(test.record)
				r.Begun.At = stamp(time.Now().Add(-test.age))
				start := time.Now()
				res := do(t, w.driver(t), r)
				assert.LessOrEqual(t, time.Since(start), test.most)
				assert.NotNil(t, res.Failure)
			})
		})
	}
}

func TestWhenTheContextEnds(t *testing.T) {
	during := func(w *wire, t *testing.T, r Record) (Result, time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		return w.driver(t).Do(ctx, r), time.Since(start)
	}
	onWire(t, func(t *testing.T, w *wire) { // a creation that was handed over
		w.answers[opCreate] = later(20*time.Second, w.answers[opCreate])
		res, _ := during(w, t, now(recordIn(StateValidated)))
		assert.Equal(t, OutcomeDone, res.Outcome)
		assert.Equal(t, migrationID, res.CreatedID)
		w.answers[opCreate] = later(time.Hour, w.answers[opCreate])
		r := now(recordIn(StateValidated))
		res, took := during(w, t, r)
		assert.Equal(t, OutcomeUnknown, res.Outcome)
		assert.LessOrEqual(t, took, 35*time.Second)
		assert.Equal(t, StateUnclear, r.Apply(res, time.Now()).State)
	})
	onWire(t, func(t *testing.T, w *wire) { // a look
		w.answers[opCheck] = later(time.Hour, nil)
		r := now(recordIn(StateReplicating))
		res, took := during(w, t, r)
		assert.Equal(t, 5*time.Second, took)
		assert.Equal(t, OutcomeNotDone, res.Outcome)
		assert.Nil(t, res.Failure)
		before := r.with(func(r *Record) { r.Begun = nil })
		assert.Equal(t, before, r.Apply(res, time.Now()), "nothing changes")
	})
	onWire(t, func(t *testing.T, w *wire) { // a cutover that may have arrived
		w.answers[opCutover] = later(time.Hour, nil)
		res, took := during(w, t, now(approvedCutover()))
		assert.Equal(t, 5*time.Second, took)
		assert.Equal(t, OutcomeUnknown, res.Outcome)
	})
	onWire(t, func(t *testing.T, w *wire) { // before anything
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, record := range []Record{recordIn(StatePlanned), recordIn(StateValidated), approvedCutover()} {
			r := now(record)
			res := w.driver(t).Do(ctx, r)
			assert.Empty(t, w.sent)
			assert.Equal(t, notDone(&r), res)
			assert.Equal(t, r.State, r.Apply(res, time.Now()).State)
		}
	})
}

// TestDoRefuses what the record does not allow.
func TestDoRefuses(t *testing.T) {
	with := func(r Record, a Action) Record {
		return r.with(func(r *Record) { r.Begun = &Intent{a, stamp(time.Now()), 8, "run-1"} })
	}
	onWire(t, func(t *testing.T, w *wire) {
		for name, r := range map[string]Record{
			"nothing has begun":    recordIn(StatePlanned),
			"another state":        with(recordIn(StateReplicating), ActionCreate),
			"a final state":        with(recordIn(StateComplete), ActionCheck),
			"abandoned":            with(recordIn(StateAbandoned), ActionCreate),
			"start not approved":   with(recordIn(StateValidated).with(func(r *Record) { r.Plan.HoldStart = true }), ActionCreate),
			"cutover not approved": with(recordIn(StateReady), ActionCutover),
		} {
			res := w.driver(t).Do(t.Context(), r)
			assert.Equal(t, OutcomeNotDone, res.Outcome, name)
			assert.Equal(t, ProblemNeedsAttention, res.Failure.Kind, name)
		}
		assert.Empty(t, w.sent)
	})
}

func TestNewDriverNamesBadOptions(t *testing.T) {
	client, err := livemigration.NewClient(livemigration.APIKey("public", "private"))
	require.NoError(t, err)
	_, err = NewDriver(client, WithPollInterval(2*time.Hour, time.Hour), WithLimit(0), WithMaxLag(-1), WithCutoverWindow(Window{}))
	require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
	for _, option := range []string{"WithPollInterval", "WithLimit", "WithMaxLag", "WithCutoverWindow"} {
		assert.ErrorContains(t, err, option)
	}
	_, err = NewDriver(client, WithCutoverWindow())
	assert.ErrorContains(t, err, "at least one window")
	_, err = NewDriver(client, WithPollInterval(time.Second, 2*time.Hour))
	assert.ErrorContains(t, err, "1h")
	_, err = NewDriver(nil)
	assert.ErrorIs(t, err, livemigration.ErrInvalidConfig)
	_, err = NewDriver(client, nil, WithLogger(nil))
	assert.NoError(t, err)
}

func TestPassword(t *testing.T) {
	scram := func(r Record) Record {
		r.Plan.Request.Source.ManagedAuthentication, r.Plan.Request.Source.Username = false, "user"
		return now(r)
	}
	gives := func(password livemigration.Secret, err error) Option {
		return WithPassword(func(context.Context, Plan) (livemigration.Secret, error) { return password, err })
	}
	onWire(t, func(t *testing.T, w *wire) {
		for _, r := range []Record{scram(recordIn(StatePlanned)), scram(recordIn(StateValidated))} {
			res := do(t, w.driver(t, gives("hunter2", nil)), r)
			assert.Equal(t, OutcomeDone, res.Outcome)
			assert.Contains(t, w.bodies[len(w.bodies)-1], "hunter2")
		}
		w.sent = nil
		for want, option := range map[string]Option{
			"there is none":   nil,
			"empty":           gives("", nil),
			"vault is sealed": gives("", errors.New("vault\nis sealed")),
			"no answer within 15s": WithPassword(func(context.Context, Plan) (livemigration.Secret, error) {
				time.Sleep(time.Minute)
				return "late", nil
			}),
		} {
			res := do(t, w.driver(t, option), scram(recordIn(StateValidated)))
			assert.Equal(t, OutcomeNotDone, res.Outcome)
			assert.Equal(t, ProblemNeedsAttention, res.Failure.Kind)
			assert.Contains(t, res.Failure.Text, want)
		}
		assert.Empty(t, w.sent)
		time.Sleep(time.Hour)

		slow := scram(recordIn(StateValidated))
		slow.Begun.At = stamp(time.Now().Add(-55 * time.Second))
		do(t, w.driver(t, WithPassword(func(context.Context, Plan) (livemigration.Secret, error) {
			time.Sleep(10 * time.Second)
			return "hunter2", nil
		})), slow)
		assert.Empty(t, w.sent, "the minute has passed meanwhile")
	})
}
