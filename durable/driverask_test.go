package durable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestDriverPassword(t *testing.T) {
	const hunter = "hunter2"
	for _, state := range []State{StatePlanned, StateValidated} {
		t.Run(string(state), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				r := f.record(t, state)
				r.Plan.Request.Source.ManagedAuthentication, r.Plan.Request.Source.Username = false, "user"
				for problem, password := range map[string]func(context.Context, Plan) (livemigration.Secret, error){
					"not given": nil,
					"an empty":  func(context.Context, Plan) (livemigration.Secret, error) { return "", nil },
					"the vault": func(context.Context, Plan) (livemigration.Secret, error) {
						return "", errors.New("the vault at https://token@vault is sealed")
					},
				} {
					done := do(t, NewDriver(f.client, WithPassword(password)), r, r.Next())
					assert.Equal(t, state, done.State)
					assert.Contains(t, done.Problem, problem)
					assert.NotContains(t, done.Problem, "token")
				}
				assert.Zero(t, f.count(livemigrationtest.CreateValidation)+f.count(livemigrationtest.CreateMigration))

				f.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(400).WithDetail("the password is "+hunter), 1)
				f.Inject(livemigrationtest.CreateValidation, livemigrationtest.Status(400).WithDetail("the password is "+hunter), 1)
				d := NewDriver(f.client, WithPassword(func(_ context.Context, plan Plan) (livemigration.Secret, error) {
					assert.Equal(t, "a", plan.Name)
					return hunter, nil
				}))
				done := do(t, d, r, r.Next())
				assert.Equal(t, StateFailed, done.State)
				written, err := done.MarshalJSON()
				require.NoError(t, err)
				assert.NotContains(t, string(written), hunter)
				requests := f.Recorded()
				assert.Contains(t, requests[len(requests)-1].Body.Reveal(), hunter)
			})
		})
	}
}

// Whatever the function for the password returns, Atlas has not said it.
func TestAnErrorOfThePasswordFunctionIsWeather(t *testing.T) {
	for _, state := range []State{StatePlanned, StateValidated} {
		for _, cause := range []error{
			livemigration.ErrInvalidRequest, apiError(404, "RESOURCE_NOT_FOUND"), &livemigration.OutcomeUnknownError{Err: apiError(500, "")},
		} {
			t.Run(fmt.Sprintf("%s %T", state, cause), func(t *testing.T) {
				inBubble(t, func(t *testing.T, f *fixture) {
					r := f.record(t, state)
					r.Plan.Request.Source.ManagedAuthentication, r.Plan.Request.Source.Username = false, "user"
					done := do(t, NewDriver(f.client, WithPassword(func(context.Context, Plan) (livemigration.Secret, error) {
						return "", fmt.Errorf("the vault: %w", cause)
					})), r, r.Next())
					assert.Equal(t, state, done.State)
					assert.Contains(t, done.Problem, "without a password for the source user: the vault")
				})
			})
		}
	}
}

func TestDriverLooksAtAnEditedRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		d := NewDriver(f.client)
		r := f.record(t, StateReplicating).with(func(r *Record) { r.MigrationID = "" })
		assert.Equal(t, StateUnclear, do(t, d, r, ActionCheck).State)
		r = f.record(t, StateReady).with(approve(GateCutover)).with(func(r *Record) { r.MigrationID = "" })
		assert.Equal(t, StateUnclear, do(t, d, r, ActionCutover).State)
		r = f.record(t, StateValidating).with(func(r *Record) { r.ValidationID = "" })
		assert.Equal(t, StatePlanned, do(t, d, r, ActionCheckValidation).State)
	})
}

func TestDriverAsksForApproval(t *testing.T) {
	ask := func(yes bool, err error) Option {
		return WithApproval(func(_ context.Context, r Record, g Gate) (bool, error) { return yes && g == r.Gate(), err })
	}
	for _, state := range []State{StateValidated, StateReady} {
		t.Run(string(state), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				r := f.record(t, state).with(drops)
				gate := r.Gate()
				require.NotEmpty(t, gate)
				assert.False(t, do(t, NewDriver(f.client), r, ActionApprove).changed(r) && state == StateValidated)
				no := do(t, NewDriver(f.client, ask(false, nil)), r, ActionApprove)
				assert.Equal(t, gate, no.Gate())
				yes := do(t, NewDriver(f.client, ask(true, nil)), no, ActionApprove)
				assert.Empty(t, yes.Gate())
				assert.Equal(t, []Gate{gate}, yes.Granted)
				assert.Empty(t, yes.Problem)
				assert.False(t, yes.CheckAt.After(time.Now()), "it is due at once")

				failed := do(t, NewDriver(f.client, ask(false, errors.New("no pager"))), no.with(func(r *Record) { r.CheckAt = time.Time{} }), ActionApprove)
				assert.Contains(t, failed.Problem, "no pager")
				assert.Equal(t, gate, failed.Gate())
				time.Sleep(time.Hour)
				again := do(t, NewDriver(f.client, ask(true, errors.New("no pager"))), failed, ActionApprove)
				assert.False(t, again.News(failed), "a failure that goes on writes nothing")
				time.Sleep(time.Hour)
				over := do(t, NewDriver(f.client, ask(false, nil)), again, ActionApprove)
				assert.Equal(t, no.Problem, over.Problem)
			})
		})
	}
}

func TestDriverLooksAtWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		asked := 0
		d := NewDriver(f.client, WithApproval(func(context.Context, Record, Gate) (bool, error) { asked++; return false, nil }))
		r := f.record(t, StateReady)
		r = do(t, d, r, ActionApprove)
		require.Equal(t, 1, f.count(livemigrationtest.GetMigration))
		r = do(t, d, r, ActionApprove)
		assert.Equal(t, 1, f.count(livemigrationtest.GetMigration), "a look is not due yet")
		assert.Equal(t, 2, asked)
		require.NoError(t, f.ExpireMigration(r.MigrationID))
		time.Sleep(time.Until(r.CheckAt))
		r = do(t, d, r, ActionApprove)
		assert.Equal(t, StateExpired, r.State)
		assert.Equal(t, 2, asked)

		elsewhere := f.record(t, StateReady)
		require.NoError(t, f.client.Migrations.Cutover(t.Context(), f.ProjectID(), elsewhere.MigrationID))
		elsewhere = do(t, d, elsewhere, ActionApprove)
		assert.Equal(t, StateReplicating, elsewhere.State)
		time.Sleep(f.Timings().Finishing)
		assert.Equal(t, StateComplete, do(t, d, elsewhere, ActionCheck).State)
	})
}

func TestDriverLooksEverMoreRarely(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		d := NewDriver(f.client, WithPollInterval(10*time.Second, 100*time.Second))
		r := f.record(t, StateReplicating)
		interval := func(age time.Duration) time.Duration {
			now := stamp(time.Now())
			return d.due(r, r.with(func(r *Record) { r.Events = []Event{{now.Add(-age), ""}} }).ref(), nil, now).Sub(now)
		}
		assert.InDelta(t, 9*time.Second, interval(0), float64(time.Second+1))
		assert.InDelta(t, 45*time.Second, interval(200*time.Second), float64(5*time.Second+1))
		assert.InDelta(t, 90*time.Second, interval(time.Hour), float64(10*time.Second+1))
		assert.InDelta(t, 9*time.Second, interval(-time.Hour), float64(time.Second+1), "a clock that was set back")

		backoff := func(outage time.Duration, err error) time.Duration {
			now := stamp(time.Now())
			return d.due(r, r.with(func(r *Record) { r.weather(readingMigration, callError(), now.Add(-outage)) }).ref(), err, now).Sub(now)
		}
		assert.InDelta(t, 9*time.Second, backoff(0, callError()), float64(time.Second+1))
		assert.InDelta(t, 54*time.Second, backoff(2*time.Minute, callError()), float64(6*time.Second+1))
		assert.InDelta(t, 270*time.Second, backoff(24*time.Hour, callError()), float64(30*time.Second+1))
		assert.Equal(t, time.Hour, backoff(0, &livemigration.APIError{StatusCode: http.StatusTooManyRequests, RetryAfter: time.Hour}))
	})
}

func (r Record) ref() *Record { return &r }

func TestDriverErrorsNameTheRecord(t *testing.T) {
	_, err := NewDriver(nil).Do(t.Context(), recordIn(StatePlanned))
	assert.True(t, strings.HasPrefix(err.Error(), `durable: record "a" cannot`), err)
}
