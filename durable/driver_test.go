package durable

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// fixture is a server on virtual time, and a client of it.
type fixture struct {
	*livemigrationtest.Server
	client *livemigration.Client
}

func inBubble(t *testing.T, test func(*testing.T, *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
		defer server.Close()
		client, err := server.NewClient()
		require.NoError(t, err)
		test(t, &fixture{server, client})
	})
}

// plan is a plan that the server takes, with clusters and a host of its own.
func (f *fixture) plan(name string) Plan {
	plan := planFor(name)
	plan.ProjectID = f.ProjectID()
	return plan
}

// record is a record of which the server knows the jobs.
func (f *fixture) record(t *testing.T, state State) Record {
	t.Helper()
	r := recordIn(state)
	r.Plan, r.CheckAt = f.plan("a"), time.Time{}
	if r.ValidationID != "" {
		v, err := f.client.Validations.Create(t.Context(), f.ProjectID(), r.Plan.Request)
		require.NoError(t, err)
		r.ValidationID = v.ID
	}
	if r.MigrationID != "" {
		m, err := f.client.Migrations.Create(t.Context(), f.ProjectID(), r.Plan.Request)
		require.NoError(t, err)
		r.MigrationID = m.ID
	}
	if state == StateReady {
		f.Advance(f.Timings().Scheduling + f.Timings().InitialSync)
	}
	f.ResetRequests()
	return r
}

// count is how many requests of the operation have arrived.
func (f *fixture) count(op livemigrationtest.Operation) (n int) {
	for _, r := range f.Recorded() {
		if r.Operation == op {
			n++
		}
	}
	return n
}

func do(t *testing.T, d *Driver, r Record, a Action) Record {
	t.Helper()
	done, err := d.Do(t.Context(), r.Begin(a, time.Now()))
	require.NoError(t, err)
	require.NoError(t, done.Validate())
	return done
}

func TestDriverTakesARecordToItsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		d := NewDriver(f.client)
		r := NewRecord(f.plan("a"), time.Now()).Approve(GateCutover, time.Now())
		var states []State
		for r.Next() != ActionNone {
			time.Sleep(time.Until(r.CheckAt))
			r = do(t, d, r, r.Next())
			if len(states) == 0 || states[len(states)-1] != r.State {
				states = append(states, r.State)
			}
		}
		assert.Equal(t, []State{StateValidating, StateValidated, StateReplicating, StateReady, StateFinishing, StateComplete}, states)
		assert.Len(t, f.Migrations(), 1)
		assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
		assert.Equal(t, 1, f.count(livemigrationtest.Cutover))
		assert.Empty(t, r.Problem)
	})
}

func TestDriverCannot(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		begun := func(state State, a Action, change func(*Record)) Record {
			return recordIn(state).with(change).with(func(r *Record) { r.Begun = a })
		}
		nothing := func(*Record) {}
		for name, test := range map[string]struct {
			driver *Driver
			record Record
			want   string
		}{
			"nothing has begun": {NewDriver(f.client), recordIn(StatePlanned), "nothing has begun"},
			"another state":     {NewDriver(f.client), begun(StateReplicating, ActionCreate, nothing), "it is REPLICATING"},
			"a final state":     {NewDriver(f.client), begun(StateComplete, ActionCheck, nothing), "it is COMPLETE"},
			"start not open":    {NewDriver(f.client), begun(StateValidated, ActionCreate, drops), `the gate "start" is not open`},
			"cutover not open":  {NewDriver(f.client), begun(StateReady, ActionCutover, nothing), `the gate "cutover" is not open`},
			"no client":         {NewDriver(nil), begun(StatePlanned, ActionValidate, nothing), "no client"},
			"bad options":       {NewDriver(f.client, WithPollInterval(0, 0)), begun(StatePlanned, ActionValidate, nothing), "WithPollInterval"},
		} {
			done, err := test.driver.Do(t.Context(), test.record)
			assert.ErrorContains(t, err, test.want, name)
			assert.Equal(t, test.record, done, name)
		}
		assert.Empty(t, f.Recorded())
	})
}

func TestDriverCreates(t *testing.T) {
	type want struct {
		state State
		jobs  int
		sent  int // 0: as often as the credentials want
	}
	for name, test := range map[string]struct {
		fault livemigrationtest.Fault
		times int
		want  want
	}{
		"at once":                  {livemigrationtest.Fault{}, 0, want{StateReplicating, 1, 1}},
		"after 429":                {livemigrationtest.Status(429).WithRetryAfter(time.Second), 2, want{StateReplicating, 1, 3}},
		"after 503 and RetryAfter": {livemigrationtest.Status(503).WithRetryAfter(time.Second), 2, want{StateReplicating, 1, 3}},
		"not during a rate limit":  {livemigrationtest.Status(429).WithRetryAfter(time.Second), 100, want{StateValidated, 0, 5}},
		"not with 401":             {livemigrationtest.Status(401), 100, want{StateValidated, 0, 0}},
		"not with 403":             {livemigrationtest.Status(403), 100, want{StateValidated, 0, 1}},
		"not with 400":             {livemigrationtest.Status(400), 100, want{StateFailed, 0, 1}},
		"unclear with 500":         {livemigrationtest.Status(500), 100, want{StateUnclear, 0, 1}},
		"unclear with 503":         {livemigrationtest.Status(503), 100, want{StateUnclear, 0, 1}},
		"unclear with 504":         {livemigrationtest.RawStatus(504, "text/html", "<html>").Processed(), 100, want{StateUnclear, 1, 1}},
		"unclear without response": {livemigrationtest.ResetAfterRequest(), 100, want{StateUnclear, 1, 1}},
		"with half a response":     {livemigrationtest.TruncatedBody(), 100, want{StateReplicating, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				r := f.record(t, StateValidated)
				f.Inject(livemigrationtest.CreateMigration, test.fault, test.times)
				done := do(t, NewDriver(f.client), r, ActionCreate)
				got := want{done.State, len(f.Migrations()), f.count(livemigrationtest.CreateMigration)}
				if test.want.sent == 0 {
					got.sent = 0
				}
				assert.Equal(t, test.want, got, done.Problem)
				assert.Empty(t, done.Begun)
				if done.State == StateReplicating {
					assert.Equal(t, f.Migrations()[0].ID, done.MigrationID)
				}
			})
		})
	}
}

func TestDriverCreatesWithOneRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		r := f.record(t, StateValidated)
		r.ValidationID = validationID // which Atlas does not know any more
		f.ResetRequests()
		assert.Equal(t, StateReplicating, do(t, NewDriver(f.client), r, ActionCreate).State)
		assert.Len(t, f.Recorded(), 1)
		f.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(500), 100)
		assert.Equal(t, StateUnclear, do(t, NewDriver(f.client), r, ActionCreate).State)
	})
}

func TestDriverWhenTheContextEnds(t *testing.T) {
	for name, test := range map[string]struct {
		slow  time.Duration
		state State
		err   bool
		took  time.Duration
	}{
		"a creation is waited for":   {5 * time.Second, StateReplicating, false, 5 * time.Second},
		"a creation that is no more": {time.Hour, StateUnclear, true, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				r := f.record(t, StateValidated)
				f.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(test.slow), 1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				done, err := NewDriver(f.client).Do(ctx, r.Begin(ActionCreate, begun))
				assert.Equal(t, test.state, done.State)
				assert.Equal(t, test.err, errors.Is(err, context.DeadlineExceeded), err)
				assert.InDelta(t, test.took, time.Since(begun), float64(2*time.Second))
			})
		})
	}
	for _, state := range []State{StatePlanned, StateValidating, StateValidated, StateReplicating, StateReady} {
		t.Run(string(state), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				r := f.record(t, state).Approve(GateCutover, t1)
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errors.New("SIGTERM"))
				done, err := NewDriver(f.client).Do(ctx, r.Begin(r.Next(), t1))
				require.ErrorIs(t, err, context.Canceled)
				assert.ErrorContains(t, err, "SIGTERM")
				assert.False(t, done.News(r), "what was not sent comes back un-begun")
				assert.Empty(t, f.Recorded())
			})
		})
	}
}

func TestDriverStopsOtherRequestsAtOnce(t *testing.T) {
	for state, op := range map[State]livemigrationtest.Operation{
		StatePlanned: livemigrationtest.CreateValidation, StateValidating: livemigrationtest.GetValidation,
		StateReplicating: livemigrationtest.GetMigration, StateReady: livemigrationtest.Cutover,
	} {
		t.Run(string(state), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				r := f.record(t, state).Approve(GateCutover, t1)
				f.Inject(op, livemigrationtest.SlowBody(time.Hour), 1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				done, err := NewDriver(f.client).Do(ctx, r.Begin(r.Next(), begun))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, time.Second, time.Since(begun))
				if state == StateReady {
					assert.Equal(t, StateFinishing, done.State, "it may have been carried out")
					return
				}
				assert.False(t, done.News(r))
			})
		})
	}
}
